"""The HTTP interface, one module for each thing that clients ask about."""
