"""What several workers agree on: leases, sequence numbers, heartbeats, the time."""
