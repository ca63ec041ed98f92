"""Queries of the recorded data. Knows no HTML and no HTTP."""
