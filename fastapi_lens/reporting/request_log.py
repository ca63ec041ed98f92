"""LogReader: queries of the request log's requests and exceptions. Knows no HTML."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.reporting.bucket_rows import fetched
from fastapi_lens.reporting.exception_counts import (
    PeriodCounts,
    kept_period,
    read_counts,
    read_exception_trends,
)
from fastapi_lens.reporting.model import id_from_key, key_from_id
from fastapi_lens.reporting.time_series import Times
from fastapi_lens.reporting.windows import bounds_of
from fastapi_lens.storage.engine.clock_skew import microseconds
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.models import OTHERS_ID, REQUEST_ID_BITS
from fastapi_lens.storage.schema.row_checks import MAX_ID
from fastapi_lens.storage.schema.sanitized_rows import sound_rows
from fastapi_lens.storage.schema.tables import ENDPOINT, EXCEPTION, REQUEST
from fastapi_lens.text.masked_paths import masked_path

MOST_NEWER = 1_000
"""Number up to which newer requests are counted."""

MOST_EXCEPTIONS = 1_000
"""Most kinds of exceptions that are listed, the most recent ones."""

MOST_CALLERS = 10
"""Callers of an exception that its page names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFilter:
    """Filter of requests; fields that are empty or None match all.

    Attributes:
        endpoint: Key of an endpoint, 16 hexadecimal digits.
        caller: Key of a caller, 16 hexadecimal digits.
        statuses: Lowest and highest status code.
        text: Text in the requested path, or in the type or message of the exception.
        reason: ``error``, ``slow`` or ``sample``.
        since: Epoch seconds of the earliest arrival.
        until: Epoch seconds before which they arrived.
    """

    endpoint: str = ""
    caller: str = ""
    statuses: tuple[int, int] | None = None
    method: str = ""
    min_ms: float | None = None
    text: str = ""
    reason: str = ""
    since: int | None = None
    until: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedCall:
    """One request of the log.

    Attributes:
        id: Greater for later ones; `key` is the same in 16 hexadecimal digits.
        at: Epoch seconds of its arrival.
        endpoint_key: Key of its endpoint; `template` is that endpoint's path, empty if the
            endpoint is deleted.
        path: The requested path; `query` has only parameter names unless values are kept.
        exception_key: Key of its exception; empty without one, as are `exception_type` and
            `message`.
        caller_id: Id of its caller; 0 if it was not recorded, or is forgotten.
    """

    id: int
    at: float
    endpoint_key: str
    endpoint_method: str
    template: str
    method: str
    path: str
    query: str
    status: int
    duration_ms: float
    reason: str
    client: str
    agent: str
    exception_key: str
    exception_type: str
    message: str
    caller_id: int = 0

    @property
    def key(self) -> str:
        """The id in 16 hexadecimal digits."""
        return key_from_id(self.id)


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


class LogReader:
    """Answers queries about the log of one app.

    Args:
        database: The database with the rows.
        app: Returns the app's name.
        is_recorded: Returns true if an endpoint (method, path) is recorded, and so is shown.
    """

    def __init__(
        self, database: Database, *, app: Callable[[], str], is_recorded: Callable[[str, str], bool]
    ) -> None:
        """Read nothing yet."""
        self._database = database
        self._app = app
        self._recorded = is_recorded

    def requests(
        self, wanted: LogFilter, *, before: int | None = None, limit: int = 50
    ) -> list[LoggedCall]:
        """Requests, the newest first.

        Args:
            wanted: The filter.
            before: Exclusive upper limit of the ids; None for the newest.
            limit: Most requests to return.

        Raises:
            StorageError: The database cannot be read.
        """
        with self._database.read() as connection:
            rows = _joined().where(*self._conditions(connection, wanted))
            if before is not None:
                rows = rows.where(REQUEST.c.id < before)
            found = connection.execute(rows.order_by(REQUEST.c.id.desc()).limit(limit))
            return [
                _call(row)
                for row in sound_rows(found, REQUEST, _OF_REQUEST)
                if self._is_recorded(row.endpoint_method, row.template)
            ]

    def newer(self, wanted: LogFilter, *, after: int) -> int:
        """The number of requests that are newer than one; `MOST_NEWER` at most.

        Raises:
            StorageError: The database cannot be read.
        """
        with self._database.read() as connection:
            rows = _joined().where(REQUEST.c.id > after, *self._conditions(connection, wanted))
            if wanted.endpoint:
                # `_of` leaves one endpoint to the check of each row, and a count reads no rows.
                hidden = self._hidden(connection, ENDPOINT.c.id == id_from_key(wanted.endpoint))
                rows = rows.where(REQUEST.c.endpoint_id.not_in(hidden))
            ids = rows.with_only_columns(REQUEST.c.id).limit(MOST_NEWER).subquery()
            return int(connection.execute(sa.select(sa.func.count()).select_from(ids)).scalar_one())

    def request(self, key: str) -> LoggedCall | None:
        """One request by its key; None if it does not exist, or no longer.

        Raises:
            StorageError: The database cannot be read.
        """
        with self._database.read() as connection:
            ours = REQUEST.c.app == self._app()
            rows = connection.execute(_joined().where(REQUEST.c.id == id_from_key(key), ours)).all()
        row = next(iter(sound_rows(rows, REQUEST, _OF_REQUEST)), None)
        if row is None or not self._is_recorded(row.endpoint_method, row.template):
            return None
        return _call(row)

    def exception_kinds(
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
            shown = self._of(connection, EXCEPTION, endpoint)
            period = _Period() if during is None else _read_period(connection, during)
            rows = _kinds(traceback=False).where(*shown, *period.conditions, EXCEPTION.c.calls > 0)
            if text:
                rows = rows.where(
                    _contains(text, EXCEPTION.c.type, EXCEPTION.c.message, EXCEPTION.c.place)
                )
            newest_first = rows.order_by(EXCEPTION.c.last_at.desc(), EXCEPTION.c.id).limit(limit)
            found = sound_rows(connection.execute(newest_first), EXCEPTION, _OF_KIND)
            return [
                _exception(row, period)
                for row in found
                if period.holds(row) and self._is_recorded(row.method, row.path)
            ]

    def exception_kind(self, key: str, *, during: Times | None = None) -> ExceptionKind | None:
        """One kind of exception by its key; None if it does not exist, or no longer.

        Args:
            key: Its key.
            during: The period of `in_period`; None for all time.

        Raises:
            StorageError: The database cannot be read.
        """
        with self._database.read() as connection:
            ours = EXCEPTION.c.app == self._app()
            rows = connection.execute(
                _kinds(traceback=True).where(EXCEPTION.c.id == id_from_key(key), ours)
            ).all()
            period = _Period() if during is None else _read_period(connection, during)
        row = next(iter(sound_rows(rows, EXCEPTION, _OF_KIND)), None)
        if row is None or not self._is_recorded(row.method, row.path):
            return None
        return _exception(row, period)

    def new_exceptions(self, *, since: float) -> int:
        """The number of kinds of exceptions whose first is not before a time, in epoch seconds.

        Raises:
            StorageError: The database cannot be read.
        """
        rows = (
            sa.select(*_OF_KIND.values())
            .select_from(EXCEPTION)
            .outerjoin(ENDPOINT, ENDPOINT.c.id == EXCEPTION.c.endpoint_id)
            .where(EXCEPTION.c.app == self._app(), EXCEPTION.c.first_at >= microseconds(since))
        )
        with self._database.read() as connection:
            found = connection.execute(rows)
            return sum(self._is_recorded(row.method, row.path) for row in found)

    def exception_trends(self, ids: Sequence[int], during: Times) -> Mapping[int, Sequence[int]]:
        """Exceptions of some kinds per step of a period, oldest first.

        Raises:
            StorageError: The database cannot be read.
        """
        with self._database.read() as connection:
            return read_exception_trends(connection, ids, kept_period(during))

    def callers_of_exception(self, key: str, *, limit: int = MOST_CALLERS) -> dict[int, int]:
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
                REQUEST.c.app == self._app(),
                REQUEST.c.failure_id == id_from_key(key),
                REQUEST.c.caller_id > OTHERS_ID,
            )
            .group_by(REQUEST.c.caller_id)
            .order_by(calls.desc(), REQUEST.c.caller_id)
            .limit(limit)
        )
        with self._database.read() as connection:
            return {identity: int(count) for identity, count in connection.execute(rows)}

    def _of(
        self, connection: Connection, table: sa.Table, endpoint: str
    ) -> list[sa.ColumnElement[bool]]:
        """Conditions for the rows of one endpoint, or of all shown endpoints of this app.

        Args:
            connection: In a transaction.
            table: The table of the rows.
            endpoint: Key of the endpoint, which the caller checks in the rows; empty for all.
        """
        ours = table.c.app == self._app()
        if endpoint:
            return [ours, table.c.endpoint_id == id_from_key(endpoint)]
        hidden = self._hidden(connection)
        return [ours, *([table.c.endpoint_id.not_in(hidden)] if hidden else [])]

    def _hidden(self, connection: Connection, *conditions: sa.ColumnElement[bool]) -> list[int]:
        """The ids of the endpoints of this app that are not shown."""
        facts = sa.select(ENDPOINT.c.id, ENDPOINT.c.method, ENDPOINT.c.path)
        rows = fetched(connection, facts.where(ENDPOINT.c.app == self._app(), *conditions))
        return [identity for identity, method, path in rows if not self._is_recorded(method, path)]

    def _is_recorded(self, method: Any, path: Any) -> bool:
        """True if an endpoint is shown, or is deleted, so that no rule applies to it."""
        is_known = isinstance(method, str) and isinstance(path, str)
        return not is_known or self._recorded(method, path)

    def _conditions(
        self, connection: Connection, wanted: LogFilter
    ) -> list[sa.ColumnElement[bool]]:
        found = self._of(connection, REQUEST, wanted.endpoint)
        # Other ids contain no time, and paging through the log would stop at them.
        first = 0 if wanted.since is None else _first_id(wanted.since)
        last = MAX_ID if wanted.until is None else _first_id(wanted.until) - 1
        found.append(REQUEST.c.id.between(first, last))
        if wanted.caller:
            found.append(REQUEST.c.caller_id == id_from_key(wanted.caller))
        if wanted.statuses is not None:
            found.append(REQUEST.c.status.between(*wanted.statuses))
        if wanted.method:
            found.append(REQUEST.c.method == wanted.method)
        if wanted.min_ms is not None:
            found.append(REQUEST.c.duration_us >= round(wanted.min_ms * 1_000))
        if wanted.text:
            searched = REQUEST.c.path, EXCEPTION.c.type, EXCEPTION.c.message
            found.append(_contains(wanted.text, *searched))
        if wanted.reason:
            found.append(REQUEST.c.reason == wanted.reason)
        return found


_OF_REQUEST: Mapping[str, sa.Column[Any]] = MappingProxyType(
    {
        "endpoint_method": ENDPOINT.c.method,
        "template": ENDPOINT.c.path,
        "exception_type": EXCEPTION.c.type,
        "message": EXCEPTION.c.message,
    }
)
_OF_KIND: Mapping[str, sa.Column[Any]] = MappingProxyType(
    {"method": ENDPOINT.c.method, "path": ENDPOINT.c.path}
)
"""Columns of other tables, by their names in the results of `_joined` and `_kinds`."""


def _first_id(epoch: int) -> int:
    """The lowest id of a request that arrived at a time in epoch seconds or later."""
    return min(epoch * 1_000_000 << REQUEST_ID_BITS, MAX_ID)


def _joined() -> sa.Select[Any]:
    """Requests with their endpoints and exceptions."""
    return (
        sa.select(REQUEST, *(column.label(name) for name, column in _OF_REQUEST.items()))
        .select_from(REQUEST)
        # Outer joins, because a purge may leave requests without their endpoint.
        .outerjoin(ENDPOINT, ENDPOINT.c.id == REQUEST.c.endpoint_id)
        .outerjoin(EXCEPTION, EXCEPTION.c.id == REQUEST.c.failure_id)
    )


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


def _contains(text: str, *columns: sa.Column[str]) -> sa.ColumnElement[bool]:
    """A condition: one of the columns contains a text, in any case; wildcards are literal."""
    # Both: SQLite lowers only ASCII letters.
    exact = [column.contains(text, autoescape=True) for column in columns]
    lowered = [sa.func.lower(column).contains(text.lower(), autoescape=True) for column in columns]
    return sa.or_(*exact, *lowered)


def _call(row: Any) -> LoggedCall:
    return LoggedCall(
        id=row.id,
        at=(row.id >> REQUEST_ID_BITS) / 1_000_000,
        endpoint_key=key_from_id(row.endpoint_id),
        endpoint_method=row.endpoint_method or "",
        template=row.template or "",
        method=row.method,
        # Includes paths that an older release has stored unmasked.
        path=masked_path(row.path, row.template or ""),
        query=row.query,
        status=row.status,
        duration_ms=row.duration_us / 1_000,
        reason=row.reason,
        client=row.client,
        agent=row.agent,
        # An exception may be deleted before its requests.
        exception_key=key_from_id(row.failure_id) if row.failure_id and row.exception_type else "",
        exception_type=row.exception_type or "",
        message=row.message or "",
        caller_id=row.caller_id,
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
