"""The request log: which requests and exceptions are kept, and what of them."""
