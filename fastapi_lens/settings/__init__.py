"""Settings that may change while the application runs, over those of the code."""
