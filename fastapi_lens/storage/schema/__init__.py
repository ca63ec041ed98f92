"""The tables, their columns and their migrations."""
