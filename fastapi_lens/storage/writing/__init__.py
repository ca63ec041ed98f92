"""Counts on their way to the rows that are shown: inbox, drain, roll-up rows."""
