"""Transfer of counts and log entries from memory to the database, in threads of its own."""
