"""LogReader: queries of the single requests in the log. Knows no HTML."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.reporting.log.shown_endpoints import ShownEndpoints
from fastapi_lens.reporting.log.text_search import containing
from fastapi_lens.reporting.model import id_from_key, key_from_id
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.models import REQUEST_ID_BITS
from fastapi_lens.storage.schema.row_checks import MAX_ID
from fastapi_lens.storage.schema.sanitized_rows import sound_rows
from fastapi_lens.storage.schema.tables import ENDPOINT, EXCEPTION, REQUEST
from fastapi_lens.text.masked_paths import masked_path

MOST_NEWER = 1_000
"""Number up to which newer requests are counted."""


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


class LogReader:
    """Answers queries about the logged requests of one app.

    Args:
        database: The database with the rows.
        shown: The endpoints of the app that are shown.
    """

    def __init__(self, database: Database, shown: ShownEndpoints) -> None:
        """Read nothing yet."""
        self._database = database
        self._shown = shown

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
                if self._shown.holds(row.endpoint_method, row.template)
            ]

    def newer(self, wanted: LogFilter, *, after: int) -> int:
        """The number of requests that are newer than one; `MOST_NEWER` at most.

        Raises:
            StorageError: The database cannot be read.
        """
        with self._database.read() as connection:
            rows = _joined().where(REQUEST.c.id > after, *self._conditions(connection, wanted))
            if wanted.endpoint:
                # `conditions` leaves one endpoint to the check of each row; a count reads no rows.
                of_it = ENDPOINT.c.id == id_from_key(wanted.endpoint)
                rows = rows.where(
                    REQUEST.c.endpoint_id.not_in(self._shown.hidden(connection, of_it))
                )
            ids = rows.with_only_columns(REQUEST.c.id).limit(MOST_NEWER).subquery()
            return int(connection.execute(sa.select(sa.func.count()).select_from(ids)).scalar_one())

    def request(self, key: str) -> LoggedCall | None:
        """One request by its key; None if it does not exist, or no longer.

        Raises:
            StorageError: The database cannot be read.
        """
        with self._database.read() as connection:
            one = REQUEST.c.id == id_from_key(key)
            rows = connection.execute(_joined().where(one, self._shown.ours(REQUEST))).all()
        row = next(iter(sound_rows(rows, REQUEST, _OF_REQUEST)), None)
        if row is None or not self._shown.holds(row.endpoint_method, row.template):
            return None
        return _call(row)

    def _conditions(
        self, connection: Connection, wanted: LogFilter
    ) -> list[sa.ColumnElement[bool]]:
        found = self._shown.conditions(connection, REQUEST, wanted.endpoint)
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
            found.append(containing(wanted.text, *searched))
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
"""Columns of other tables, by their names in the results of `_joined`."""


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
