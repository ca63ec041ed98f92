"""The page of one endpoint."""
