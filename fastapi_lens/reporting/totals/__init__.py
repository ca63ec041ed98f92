"""Sums of calls and durations in a window, of each endpoint and of an application."""
