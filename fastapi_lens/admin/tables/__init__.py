"""The columns of each table: one object says all of a column but the markup of its cells."""
