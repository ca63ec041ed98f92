"""Access to the admin: keys, sessions, the host's hook, limits on wrong keys."""
