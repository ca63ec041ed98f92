"""The database: tables, migrations, exactly-once writing, retention. Knows no HTTP."""
