"""The state of each page as its address holds it. No I/O, no HTML."""
