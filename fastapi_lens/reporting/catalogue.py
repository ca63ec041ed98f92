"""Catalogue: the endpoints of an app as rows, of which only changed ones are read again.

A row changes in three cases: its endpoint is called, which shows in its total calls; a call of it
is open, which advances the last call; or a worker that has the endpoint starts, which stores the
time. All rows are read again from time to time, which finds any other change.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.reporting.bucket_rows import Row, fetched, few
from fastapi_lens.reporting.facts import ID, METHOD, PATH, read_facts
from fastapi_lens.reporting.sums import COMPLETE_SECONDS
from fastapi_lens.storage.tables import ENDPOINT

_MARKS = tuple(ENDPOINT.c[name] for name in ("id", "total_calls", "last_called_at", "last_seen_at"))
_NOTHING: Mapping[int, Row] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class _Known:
    """Rows, and what tells whether they are still what they were.

    Attributes:
        since: Epoch seconds at which all of them were read.
        depends: What they depend on besides themselves.
        marks: Id, total calls, last call and last-seen time of each row.
        rows: By id, ordered by path and method.
    """

    since: float = float("-inf")
    depends: tuple[str, str | None] = ("", None)
    marks: frozenset[Row] = frozenset()
    rows: Mapping[int, Row] = field(default_factory=lambda: _NOTHING)


class Catalogue:
    """Reads the endpoints of one app; safe to use from several threads."""

    def __init__(self) -> None:
        """Know none yet."""
        self._known = _Known()

    def read(
        self, connection: Connection, *, app: str, oldest: int, sign: str | None, now: float
    ) -> Mapping[int, Row]:
        """All endpoints that were ever called or that a living worker has.

        Args:
            connection: In a transaction that sees one state.
            app: Its name.
            oldest: When the oldest living worker started, in microseconds.
            sign: See `storage.rewriting`.
            now: Epoch seconds.

        Returns:
            Rows of `FACTS` by id, ordered by path and method. A row that has not changed is the
            same object as before.
        """
        shown = (
            ENDPOINT.c.app == app,
            (ENDPOINT.c.last_called_at > 0) | (ENDPOINT.c.last_seen_at >= oldest),
        )
        marks = frozenset(fetched(connection, sa.select(*_MARKS).where(*shown)))
        known, depends = self._known, (app, sign)
        if known.depends != depends or not 0 <= now - known.since < COMPLETE_SECONDS:
            known = _Known(now, depends)
        changed = few([mark[0] for mark in marks - known.marks], len(marks))
        if changed != []:
            which = shown if changed is None else [ENDPOINT.c.id.in_(changed)]
            read = read_facts(connection, *which)
            rows = _with(known.rows, read)
        else:
            rows = known.rows
        if len(rows) > len(marks):
            there = {mark[0] for mark in marks}
            rows = {identity: row for identity, row in rows.items() if identity in there}
        self._known = _Known(known.since, depends, marks, rows)
        return rows

    def forget(self) -> None:
        """Read everything again from now on."""
        self._known = _Known()


def _with(known: Mapping[int, Row], read: list[Row]) -> Mapping[int, Row]:
    """Rows, and others in their place or among them."""
    rows = {**known, **{row[ID]: row for row in read}}
    if len(rows) == len(known):
        return rows
    by_name = sorted(rows.values(), key=lambda row: (row[PATH], row[METHOD]))
    return {row[ID]: row for row in by_name}
