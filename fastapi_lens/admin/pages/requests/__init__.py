"""The request log, and its export."""
