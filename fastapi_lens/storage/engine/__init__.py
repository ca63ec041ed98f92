"""Transactions, dialects, files and clocks of a database. Knows no table of the lens."""
