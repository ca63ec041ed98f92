"""The admin: pages and JSON over the read side. No SQL, no business rules."""
