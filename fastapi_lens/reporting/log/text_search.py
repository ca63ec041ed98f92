"""Search for a text in columns. Reads nothing."""

import sqlalchemy as sa


def containing(text: str, *columns: sa.Column[str]) -> sa.ColumnElement[bool]:
    """A condition: one of the columns contains a text, in any case; wildcards are literal."""
    # Both: SQLite lowers only ASCII letters.
    exact = [column.contains(text, autoescape=True) for column in columns]
    lowered = [sa.func.lower(column).contains(text.lower(), autoescape=True) for column in columns]
    return sa.or_(*exact, *lowered)
