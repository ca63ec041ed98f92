"""The counter columns of a bucket row, which writing, import and reading sum in the same way."""

COUNTERS = ("calls", "redirects", "errors_4xx", "errors_5xx", "duration_us")
"""Columns whose values are summed when rows are merged; of ``max_us`` the greater value is kept."""
