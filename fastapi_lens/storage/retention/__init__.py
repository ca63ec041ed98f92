"""Deletion of rows past their retention, and of rows that a user chose."""
