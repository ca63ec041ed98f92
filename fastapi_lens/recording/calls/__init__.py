"""One call: its outcome, its client, and how long it stays open."""
