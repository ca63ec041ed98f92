"""Deletion: what is past its retention, and what somebody chose to delete."""
