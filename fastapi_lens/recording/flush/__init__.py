"""From counts in memory to the database, in threads of its own."""
