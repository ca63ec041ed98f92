"""Rows of settings, of the audit log, of ended sessions and of wrong keys."""
