"""The overview: the state of the application and what changed."""
