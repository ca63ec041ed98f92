"""The exceptions that left a handler."""
