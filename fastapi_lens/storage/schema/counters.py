"""The counter columns of a bucket row: writer, import and reading add up each of them alike."""

COUNTERS = ("calls", "redirects", "errors_4xx", "errors_5xx", "duration_us")
"""What two rows have together is the sum of each; of ``max_us`` it is the greater one."""
