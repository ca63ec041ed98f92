"""The answer to "what changed?" of one endpoint: slower, failing more, gone quiet. Pure.

No I/O, no clock, no other room but histogram.
"""
