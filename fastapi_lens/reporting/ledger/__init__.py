"""Rows of the ledger of callers: who called which endpoint, how often, and when."""
