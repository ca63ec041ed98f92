"""The list of endpoints, and its export."""
