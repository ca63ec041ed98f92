"""Callers with all that they use."""
