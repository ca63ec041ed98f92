"""ExceptionReader: queries of the kinds of exceptions in the request log. Knows no HTML."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.reporting.log.exception_counts import (
    PeriodCounts,
    kept_period,
    read_counts,
    read_exception_trends,
)
from fastapi_lens.reporting.log.shown_endpoints import ShownEndpoints
from fastapi_lens.reporting.log.text_search import containing
from fastapi_lens.reporting.model import id_from_key, key_from_id
from fastapi_lens.reporting.series.time_series import Times
from fastapi_lens.reporting.windows import bounds_of
from fastapi_lens.storage.engine.clock_skew import microseconds
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.models import OTHERS_ID
from fastapi_lens.storage.schema.sanitized_rows import sound_rows
from fastapi_lens.storage.schema.tables import ENDPOINT, EXCEPTION, REQUEST

MOST_EXCEPTIONS = 1_000
"""Most kinds of exceptions that are listed, the most recent ones."""

MOST_CALLERS = 10
"""Callers of an exception that its page names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExceptionKind:
    """Exceptions of one type, raised at one line, of one endpoint.

    Attributes:
        key: 16 hexadecimal digits.
        endpoint_key: Key of their endpoint, whose `method` and `path` are empty if it is
            deleted.
        type: Qualified name of the class.
        message: Message of a recent occurrence; `traceback` is that of the same one.
        place: Location, ``app/routers/users.py:41 in read_user``; empty if unknown.
        calls: Number of such exceptions since the first that is kept.
        first_at: Epoch seconds, as is `last_at`.
        in_period: Number of them in the period that was asked for.
        is_new: True if the first of them is in that period.
        counted_since: Epoch seconds from which on those of the period are counted; None if all of
            them are.
    """

    key: str
    endpoint_key: str
    method: str
    path: str
    type: str
    message: str
    place: str
    traceback: str
    calls: int
    first_at: float
    last_at: float
    in_period: int
    is_new: bool
    counted_since: float | None = None

    @property
    def id(self) -> int:
        """The key as a number."""
        return id_from_key(self.key)


class ExceptionReader:
    """Answers queries about the exceptions of one app.

    Args:
        database: The database with the rows.
        shown: The endpoints of the app that are shown.
    """

    def __init__(self, database: Database, shown: ShownEndpoints) -> None:
        """Read nothing yet."""
        self._database = database
        self._shown = shown

    def kinds(
        self,
        *,
        during: Times | None = None,
        endpoint: str = "",
        text: str = "",
        limit: int = MOST_EXCEPTIONS,
    ) -> list[ExceptionKind]:
        """Kinds of exceptions without their tracebacks, the most recent first.

        Args:
            during: Only kinds with one in this period, and their number in it; None for all.
            endpoint: Key of an endpoint; empty for all.
            text: Text in the type, the message or the location; empty for all.
            limit: Most kinds to return.

        Raises:
            StorageError: The database cannot be read.
        """
        with self._database.read() as connection:
            shown = self._shown.conditions(connection, EXCEPTION, endpoint)
            period = _Period() if during is None else _read_period(connection, during)
            # A row begins without calls.
            rows = _kinds(traceback=False).where(*shown, *period.conditions, EXCEPTION.c.calls > 0)
            if text:
                rows = rows.where(
                    containing(text, EXCEPTION.c.type, EXCEPTION.c.message, EXCEPTION.c.place)
                )
            newest_first = rows.order_by(EXCEPTION.c.last_at.desc(), EXCEPTION.c.id).limit(limit)
            found = sound_rows(connection.execute(newest_first), EXCEPTION, _OF_KIND)
            return [
                _exception(row, period)
                for row in found
                if period.holds(row) and self._shown.holds(row.method, row.path)
            ]

    def kind(self, key: str, *, during: Times | None = None) -> ExceptionKind | None:
        """One kind of exception by its key; None if it does not exist, or no longer.

        Args:
            key: Its key.
            during: The period of `in_period`; None for all time.

        Raises:
            StorageError: The database cannot be read.
        """
        with self._database.read() as connection:
            one = EXCEPTION.c.id == id_from_key(key), self._shown.ours(EXCEPTION)
            rows = connection.execute(_kinds(traceback=True).where(*one)).all()
            period = _Period() if during is None else _read_period(connection, during)
        row = next(iter(sound_rows(rows, EXCEPTION, _OF_KIND)), None)
        if row is None or not self._shown.holds(row.method, row.path):
            return None
        return _exception(row, period)

    def new(self, *, since: float) -> int:
        """The number of kinds of exceptions whose first is not before a time, in epoch seconds.

        Raises:
            StorageError: The database cannot be read.
        """
        rows = (
            sa.select(*_OF_KIND.values())
            .select_from(EXCEPTION)
            .outerjoin(ENDPOINT, ENDPOINT.c.id == EXCEPTION.c.endpoint_id)
            .where(self._shown.ours(EXCEPTION), EXCEPTION.c.first_at >= microseconds(since))
        )
        with self._database.read() as connection:
            found = connection.execute(rows)
            return sum(self._shown.holds(row.method, row.path) for row in found)

    def trends(self, ids: Sequence[int], during: Times) -> Mapping[int, Sequence[int]]:
        """Exceptions of some kinds per step of a period, oldest first.

        Raises:
            StorageError: The database cannot be read.
        """
        with self._database.read() as connection:
            return read_exception_trends(connection, ids, kept_period(during))

    def callers_of(self, key: str, *, limit: int = MOST_CALLERS) -> dict[int, int]:
        """The callers that met one kind of exception: logged requests by id, the most first.

        Requests without a recorded caller are left out.

        Args:
            key: The key of the kind.
            limit: Most callers to return.

        Raises:
            StorageError: The database cannot be read.
        """
        calls = sa.func.count().label("calls")
        rows = (
            sa.select(REQUEST.c.caller_id, calls)
            .where(
                self._shown.ours(REQUEST),
                REQUEST.c.failure_id == id_from_key(key),
                REQUEST.c.caller_id > OTHERS_ID,
            )
            .group_by(REQUEST.c.caller_id)
            .order_by(calls.desc(), REQUEST.c.caller_id)
            .limit(limit)
        )
        with self._database.read() as connection:
            return {identity: int(count) for identity, count in connection.execute(rows)}


_OF_KIND: Mapping[str, sa.Column[Any]] = MappingProxyType(
    {"method": ENDPOINT.c.method, "path": ENDPOINT.c.path}
)
"""Columns of endpoints, by their names in the results of `_kinds`."""


@dataclass(frozen=True, slots=True)
class _Period:
    """A period of kinds of exceptions; all time without a start.

    Attributes:
        start: Microseconds since the epoch.
        end: Microseconds since the epoch; None for now.
        counts: The exceptions in the period; None for all time.
    """

    start: int = 0
    end: int | None = None
    counts: PeriodCounts | None = None

    @property
    def conditions(self) -> list[sa.ColumnElement[bool]]:
        """Conditions for kinds that may have an exception in the period."""
        found = [EXCEPTION.c.last_at >= self.start]
        return found if self.end is None else [*found, EXCEPTION.c.first_at < self.end]

    def holds(self, row: Any) -> bool:
        """True if a kind that fulfils the conditions has an exception in the period."""
        return self.number(row) > 0 or self.counted_since(row) is not None

    def number(self, row: Any) -> int:
        """The number of exceptions of a kind in the period, as far as they were counted."""
        if self.counts is None:
            return int(row.calls)
        # A worker of an older release does not count by period.
        known = self.contains(row.first_at) or self.contains(row.last_at)
        return max(self.counts.calls.get(row.id, 0), int(known))

    def counted_since(self, row: Any) -> float | None:
        """The time from which on exceptions of a kind in the period are counted; None if all are.

        In epoch seconds.
        """
        if self.counts is None or max(self.start, row.first_at) >= self.counts.since:
            return None
        return self.counts.since / 1_000_000

    def contains(self, at_us: int) -> bool:
        """True if a time is in the period."""
        return self.start <= at_us and (self.end is None or at_us < self.end)


def _read_period(connection: Connection, during: Times) -> _Period:
    """The period of a window, as far back as kinds are kept."""
    times = kept_period(during)
    bounds = bounds_of(times.window, now=times.now, kept=times.kept)
    return _Period(
        start=microseconds(bounds.start or 0),
        end=None if bounds.end is None else microseconds(bounds.end),
        counts=read_counts(connection, times),
    )


def _kinds(*, traceback: bool) -> sa.Select[Any]:
    """Exceptions with their endpoints.

    Args:
        traceback: False for an empty text instead, because a traceback may be long.
    """
    columns = [
        one if traceback or one is not EXCEPTION.c.traceback else sa.literal("").label(one.name)
        for one in EXCEPTION.c
    ]
    return (
        sa.select(*columns, *_OF_KIND.values())
        .select_from(EXCEPTION)
        .outerjoin(ENDPOINT, ENDPOINT.c.id == EXCEPTION.c.endpoint_id)
    )


def _exception(row: Any, period: _Period) -> ExceptionKind:
    return ExceptionKind(
        key=key_from_id(row.id),
        endpoint_key=key_from_id(row.endpoint_id),
        method=row.method or "",
        path=row.path or "",
        type=row.type,
        message=row.message,
        place=row.place,
        traceback=row.traceback,
        calls=int(row.calls),
        first_at=row.first_at / 1_000_000,
        last_at=row.last_at / 1_000_000,
        in_period=period.number(row),
        is_new=period.counts is not None and period.contains(row.first_at),
        counted_since=period.counted_since(row),
    )
