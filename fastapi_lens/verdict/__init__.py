"""The answer to "may I delete this endpoint?". Pure: no I/O, no clock, no other room but errors."""
