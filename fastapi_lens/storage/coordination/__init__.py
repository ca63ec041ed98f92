"""State shared by several workers: leases, sequence numbers, heartbeats, the time."""
