"""The request path: counting in memory. Knows no SQL."""
