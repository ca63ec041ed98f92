"""State of each page in its address. No I/O, no HTML."""
