"""Logged requests, and exceptions with their counts."""
