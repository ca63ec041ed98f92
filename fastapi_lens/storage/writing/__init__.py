"""Writing of counts: inbox, drain, and the roll-up rows that are shown."""
