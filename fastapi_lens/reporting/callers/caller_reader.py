"""CallerReader: queries of the ledger of callers. Knows no HTML and judges nothing."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.reporting.callers.caller_uses import latest_first, listed, use_of, with_weeks
from fastapi_lens.reporting.evidence.evidence import Judged
from fastapi_lens.reporting.ledger.attribution import attributed_since, attributed_since_of_all
from fastapi_lens.reporting.ledger.caller_rows import (
    IDS_AT_ONCE,
    NAMELESS,
    OF_CALLER,
    CallerNames,
    is_of_app,
    noise_of,
    read_has_nameless,
    read_latest_uses,
    read_stored_uses,
)
from fastapi_lens.reporting.ledger.caller_totals import read_caller_totals
from fastapi_lens.reporting.ledger.callers import (
    NO_CALLERS,
    AppCallers,
    Caller,
    CallerDetail,
    CallerTotals,
    CallerUse,
    EndpointCallers,
)
from fastapi_lens.reporting.log.shown_endpoints import read_hidden
from fastapi_lens.reporting.model import id_from_key
from fastapi_lens.reporting.totals.bucket_rows import fetched
from fastapi_lens.settings.settings import Settings
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.engine.yield_gil import yield_gil
from fastapi_lens.storage.schema.models import OTHERS_ID
from fastapi_lens.storage.schema.sanitized_rows import whole
from fastapi_lens.storage.schema.tables import CALLER, ENDPOINT, USE, USE_WEEK
from fastapi_lens.verdict.history import NOISE_WINDOW

MOST_CALLERS = 2_000
"""Most callers of a list of all; those that called the longest time ago are left out."""

MOST_USES = 20_000
"""Most pairs of an endpoint and a caller of a list of all; the latest are listed."""

MOST_LISTED = 20
"""Most callers of an endpoint among those of all endpoints."""


class CallerReader:
    """Answers queries about the callers of one app.

    Endpoints that are not recorded are not shown.

    Args:
        database: The database with the rows.
        app: Returns the app's name.
        settings: Returns the active settings.
    """

    def __init__(
        self, database: Database, *, app: Callable[[], str], settings: Callable[[], Settings]
    ) -> None:
        """Read nothing yet."""
        self._database = database
        self._app = app
        self._settings = settings

    def callers_of(self, key: str, *, now: float) -> EndpointCallers:
        """The callers of one endpoint.

        Args:
            key: The key of the endpoint.
            now: Epoch seconds.

        Returns:
            `NO_CALLERS` if there is no such endpoint, or if it is not recorded.

        Raises:
            StorageError: The database cannot be read.
        """
        identity = id_from_key(key)
        with self._database.read() as connection:
            shown = self._endpoints(connection, ENDPOINT.c.id == identity)
            if identity not in shown:
                return NO_CALLERS
            found = self._uses(connection, shown, USE.c.endpoint_id == identity)
            uses = with_weeks(connection, found, USE_WEEK.c.endpoint_id == identity, now=now)
        return EndpointCallers(
            since=attributed_since(shown[identity]),
            is_complete=not any(use.caller.kind in NAMELESS for use in uses),
            uses=uses,
        )

    def by_endpoint(self, ids: Collection[int]) -> Mapping[int, Sequence[CallerUse]]:
        """The callers of some endpoints by their ids, the latest first, without weeks.

        Raises:
            StorageError: The database cannot be read.
        """
        ordered = sorted(ids)
        found: dict[int, list[CallerUse]] = {identity: [] for identity in ordered}
        with self._database.read() as connection:
            for begin in range(0, len(ordered), IDS_AT_ONCE):
                part = ordered[begin : begin + IDS_AT_ONCE]
                shown = self._endpoints(connection, ENDPOINT.c.id.in_(part))
                for use in self._uses(connection, shown, USE.c.endpoint_id.in_(part)):
                    found[id_from_key(use.endpoint)].append(use)
        return found

    def uses(self, key: str | None) -> EndpointCallers | None:
        """The callers of one endpoint or of all, without weeks.

        Args:
            key: The key of the endpoint; None for all, at most `MOST_USES` with the latest calls.

        Returns:
            None if there is no such endpoint, or if it is not recorded.

        Raises:
            StorageError: The database cannot be read.
        """
        of_one = [] if key is None else [ENDPOINT.c.id == id_from_key(key)]
        with self._database.read() as connection:
            shown = self._endpoints(connection, *of_one)
            if key is not None and not shown:
                return None
            wanted = is_of_app(self._app()) if key is None else USE.c.endpoint_id.in_(shown)
            found = self._uses(connection, shown, wanted, most=MOST_USES)
        more = max(0, sum(whole(row.callers) for row in shown.values()) - len(found))
        return EndpointCallers(
            since=attributed_since_of_all(shown.values()),
            is_complete=not more and not any(use.caller.kind in NAMELESS for use in found),
            uses=tuple(found),
            more=more,
        )

    def of_judged(self, judged: Sequence[Judged]) -> AppCallers:
        """The callers of judged endpoints, with those of the names that their paths had before.

        A caller that was always refused is among them if it was refused in `NOISE_WINDOW`.

        Raises:
            StorageError: The database cannot be read.
        """
        ids = {identity for one in judged for identity in one.ids}
        since = max((one.history.today for one in judged), default=0) - NOISE_WINDOW + 1
        with self._database.read() as connection:
            endpoints = self._endpoints(connection)
            names = self._names(connection)
            found = read_latest_uses(connection, names, ids, MOST_LISTED, refused_since=since)
            is_nameless = read_has_nameless(connection, self._app())
        return AppCallers(
            since=attributed_since_of_all(endpoints.values()),
            is_complete=not is_nameless,
            by_endpoint={
                one.endpoint.id: listed(one, found, endpoints[one.endpoint.id], most=MOST_LISTED)
                for one in yield_gil(judged)
                if one.endpoint.id in endpoints and not found.keys().isdisjoint(one.ids)
            },
        )

    def callers(self) -> list[CallerTotals]:
        """All callers of the app, the latest first; at most `MOST_CALLERS`.

        Raises:
            StorageError: The database cannot be read.
        """
        with self._database.read() as connection:
            hidden = read_hidden(connection, self._app(), self._settings().is_recorded)
            return read_caller_totals(
                connection, self._app(), self._names(connection), hidden, most=MOST_CALLERS
            )

    def caller(self, identity: int, *, now: float) -> CallerDetail | None:
        """One caller with everything that it uses; None if it does not exist.

        Args:
            identity: The id of the caller.
            now: Epoch seconds.

        Raises:
            StorageError: The database cannot be read.
        """
        with self._database.read() as connection:
            caller = self._named(connection, [identity]).get(identity)
            if caller is None:
                return None
            conditions = USE.c.caller_id == identity, is_of_app(self._app())
            called = sa.select(USE.c.endpoint_id).where(USE.c.caller_id == identity)
            shown = self._endpoints(connection, ENDPOINT.c.id.in_(called))
            found = self._uses(connection, shown, *conditions)
            uses = with_weeks(connection, found, USE_WEEK.c.caller_id == identity, now=now)
        return CallerDetail(caller=caller, uses=uses)

    def called_by(self, identity: int) -> frozenset[int]:
        """The ids of all endpoints of the app that a caller has called.

        Args:
            identity: The id of the caller.

        Raises:
            StorageError: The database cannot be read.
        """
        rows = sa.select(USE.c.endpoint_id).where(
            USE.c.caller_id == identity, is_of_app(self._app())
        )
        with self._database.read() as connection:
            return frozenset(connection.execute(rows).scalars())

    def names(self, ids: Collection[int]) -> Mapping[int, str]:
        """The names of some callers of the app, as pages show them; unknown ones are missing.

        Raises:
            StorageError: The database cannot be read.
        """
        with self._database.read() as connection:
            return {one.id: one.name for one in self._named(connection, ids).values()}

    def _named(self, connection: Connection, ids: Collection[int]) -> dict[int, Caller]:
        ordered = sorted(ids)
        rows: list[Any] = []
        for begin in range(0, len(ordered), IDS_AT_ONCE):
            part = CALLER.c.id.in_(ordered[begin : begin + IDS_AT_ONCE])
            wanted = sa.select(CALLER.c.id, *OF_CALLER).where(part, CALLER.c.app == self._app())
            rows += fetched(connection, wanted)
        found = [(row[0], row[1:]) for row in rows]
        if OTHERS_ID in ids:
            # They have no row.
            found.append((OTHERS_ID, (None,) * len(OF_CALLER)))
        return self._names(connection).callers(found)

    def _names(self, connection: Connection) -> CallerNames:
        return CallerNames(connection, self._app(), noise_of(self._settings()))

    def _endpoints(
        self, connection: Connection, *conditions: sa.ColumnElement[bool]
    ) -> dict[int, Any]:
        """Rows of the app's recorded endpoints by their ids."""
        rows = sa.select(*_OF_ENDPOINT).where(ENDPOINT.c.app == self._app(), *conditions)
        settings = self._settings()
        return {
            row.id: row
            for row in yield_gil(connection.execute(rows).all())
            if settings.is_recorded(str(row.method), str(row.path))
        }

    def _uses(
        self,
        connection: Connection,
        endpoints: Mapping[int, Any],
        *conditions: sa.ColumnElement[bool],
        most: int | None = None,
    ) -> list[CallerUse]:
        """The uses of some endpoints, the latest first; those of others are left out."""
        found = read_stored_uses(connection, self._names(connection), *conditions, most=most)
        shown = [
            use_of(use, endpoints[use.endpoint_id]) for use in found if use.endpoint_id in endpoints
        ]
        return latest_first(shown)


_OF_ENDPOINT = tuple(
    ENDPOINT.c[name]
    for name in (
        *("id", "method", "path", "first_seen_at", "evidence_since", "removed_at"),
        *("last_called_at", "attributed_until", "unattributed_at", "callers"),
    )
)
