"""Histories of endpoints as verdicts need them, and the verdicts on them."""
