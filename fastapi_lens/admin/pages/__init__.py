"""One folder for each page: parse the query, ask the read side, render. No SQL, no HTML."""
