"""Pure functions on text from outside: escaping, masking, origins, addresses."""
