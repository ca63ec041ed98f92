"""The JSON reports, and files to download."""
