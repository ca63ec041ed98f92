"""Questions and answers about what was recorded. Knows no HTML and no HTTP."""
