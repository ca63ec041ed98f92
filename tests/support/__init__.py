"""Helpers of the tests: a PostgreSQL, a browser, server processes. Knows nothing of the package."""
