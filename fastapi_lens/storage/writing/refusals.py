"""Skipping of rows that a database refuses: rows are added one by one, so that others succeed."""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.engine import Connection

from fastapi_lens.errors import RefusedError
from fastapi_lens.storage.engine.dialects.base import REFUSED
from fastapi_lens.text.escaping import visible

logger = logging.getLogger("fastapi_lens")

_SHOWN = 200
"""Characters of a row's names in the log."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """One row that was left out.

    Attributes:
        row: Its values, by column or parameter.
        reason: The driver's message.
    """

    row: dict[str, Any]
    reason: str


def add_one_by_one(
    connection: Connection, rows: Iterable[dict[str, Any]], add: Callable[[dict[str, Any]], object]
) -> list[Refusal]:
    """Add rows in a running transaction, which continues after a refused row.

    Args:
        connection: In a transaction.
        rows: The rows to add.
        add: Adds one row by this connection.

    Returns:
        The refused rows.
    """
    refusals: list[Refusal] = []
    for row in rows:
        try:
            # A savepoint, because PostgreSQL refuses all statements after an error.
            with connection.begin_nested():
                add(row)
        except (RefusedError, *REFUSED) as error:
            # SQLAlchemy's text, and PostgreSQL's further lines, quote the values of the row.
            refusals.append(Refusal(row, str(getattr(error, "orig", error)).partition("\n")[0]))
    return refusals


def log_refusals(refusals: Sequence[Refusal], kind: str, names: Sequence[str]) -> None:
    """Log the refused rows in one line; nothing if there are none.

    Args:
        refusals: The result of `add_one_by_one`.
        kind: The kind of rows, in the plural.
        names: Columns or parameters that identify a row; those that it lacks are skipped.
    """
    if refusals:
        row = refusals[0].row
        words = " ".join(str(row[name]) for name in names if name in row)
        logger.warning(
            "fastapi_lens skipped %d %s that the database refuses, such as %s: %s",
            len(refusals),
            kind,
            visible(words[:_SHOWN]),
            refusals[0].reason,
        )
