"""Calls and durations over time, as charts show them."""
