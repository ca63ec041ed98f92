"""Requests, forms, static files and threads of the admin. Knows no page."""
