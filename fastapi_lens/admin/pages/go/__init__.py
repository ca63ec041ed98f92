"""The search for pages, actions and endpoints."""
