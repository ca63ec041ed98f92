"""Export, import, inspection and repair of a whole database."""
