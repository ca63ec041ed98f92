"""Registration of one worker and the endpoints of its app: their rows and the endpoints' facts.

Rows are written in primary-key order, so that workers wait for each other and do not deadlock.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from fastapi_lens.errors import RefusedError
from fastapi_lens.storage.coordination.heartbeat import new_row
from fastapi_lens.storage.coordination.sequence import retry_on_deadlock
from fastapi_lens.storage.coordination.worker import WorkerFacts
from fastapi_lens.storage.engine.clock_skew import AHEAD_SECONDS, microseconds
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.engine.texts import storable
from fastapi_lens.storage.schema.data_version import note_change
from fastapi_lens.storage.schema.identities import release_id, shape_id
from fastapi_lens.storage.schema.statements import FACTS, UPDATE_FACTS
from fastapi_lens.storage.schema.tables import ENDPOINT, WORKER
from fastapi_lens.storage.writing.batches import EndpointFacts
from fastapi_lens.storage.writing.refusals import add_one_by_one, log_refusals

UNREGISTERED = "unregistered"
"""The kind of an endpoint of which nothing but its id and app is known yet."""

_AHEAD_US = microseconds(AHEAD_SECONDS)
_LATE_US = 3_600_000_000
"""A row that is made this long after the discovery of its endpoint may replace one that was deleted
with its history."""


def insert_unregistered(database: Database, apps: Mapping[int, str], *, now_us: int) -> None:
    """Make rows for endpoints with calls that no worker has registered, so that they are shown.

    The next worker of the app that registers gives them their names.

    Args:
        database: The database to write to.
        apps: The app of each endpoint, by id.
        now_us: Microseconds since the epoch.

    Raises:
        StorageError: The database cannot be written.
    """
    facts = (
        EndpointFacts(
            identity, app, "UNKNOWN", f"<endpoint {identity}>", UNREGISTERED, seen_at_us=now_us
        )
        for identity, app in sorted(apps.items())
    )
    with database.write() as connection:
        # Whoever deleted an endpoint that is in use deleted its history, too.
        rows = [{**_endpoint_values(fact, 0, now_us), "evidence_since": now_us} for fact in facts]
        connection.execute(database.insert_ignore(ENDPOINT), rows)


class Registrar:
    """Registers one worker in one database."""

    def __init__(self, database: Database, worker: WorkerFacts) -> None:
        """Write nothing yet."""
        self._database = database
        self._worker = worker
        self._release_id = release_id(worker.app, worker.release)

    def register(
        self, facts: Iterable[EndpointFacts], *, applied: int, now_us: int, log_applied: int = 0
    ) -> None:
        """Create the worker's row and the endpoints' rows, and update the endpoints' facts.

        Args:
            facts: The endpoints that the app has, called or not.
            applied: Number of the last batch known to be applied, for a database that has
                lost the worker's row, or has an older one from a backup.
            now_us: Microseconds since the epoch.
            log_applied: The same of the request log.

        Raises:
            StorageError: The database cannot be written.
        """
        seen_us = self._seen_us(now_us)
        values = (_endpoint_values(fact, self._release_id, seen_us) for fact in facts)
        rows = sorted(values, key=lambda row: row["id"])
        worker = new_row(self._worker, applied=applied, now_us=now_us, log_applied=log_applied)
        try:
            retry_on_deadlock(lambda: self._register(worker, rows))
        except RefusedError:
            accepted = self._accepted(rows)
            retry_on_deadlock(lambda: self._register(worker, accepted))

    def knows(self, applied: int) -> bool:
        """True if the database has a batch of the worker, and all before it.

        Args:
            applied: The number of the batch; 0 only asks for the worker's row.

        Raises:
            StorageError: The database cannot be read.
        """
        seq = sa.select(WORKER.c.seq).where(WORKER.c.id == self._worker.id)
        with self._database.read() as connection:
            stored = connection.execute(seq).scalar_one_or_none()
        return stored is not None and stored >= applied

    def outdated(self, *, now_us: int) -> set[int]:
        """The ids of the app's endpoints that this worker has to register again, if it has them.

        Their rows were made by `insert_unregistered`, are noted as removed, or were last seen
        before this worker started, because the clock of another worker was set.

        Args:
            now_us: Microseconds since the epoch.

        Raises:
            StorageError: The database cannot be read.
        """
        started = (
            sa.select(WORKER.c.started_at)
            # A start far ahead, from a wrong clock, would make every endpoint outdated.
            .where(WORKER.c.id == self._worker.id, WORKER.c.started_at <= now_us + _AHEAD_US)
            .scalar_subquery()
        )
        is_outdated = sa.or_(
            ENDPOINT.c.kind == UNREGISTERED,
            ENDPOINT.c.removed_at > 0,
            ENDPOINT.c.last_seen_at < started,
        )
        ids = sa.select(ENDPOINT.c.id).where(self._is_mine, is_outdated)
        with self._database.read() as connection:
            return set(connection.execute(ids).scalars())

    def add_shapes(self) -> None:
        """Set the shapes of endpoints that workers of an older release have registered.

        Raises:
            StorageError: The database cannot be read or written.
        """
        columns = ENDPOINT.c.id, ENDPOINT.c.app, ENDPOINT.c.method, ENDPOINT.c.path
        shapeless = sa.select(*columns).where(self._is_mine, ENDPOINT.c.shape_id == 0)
        with self._database.read() as connection:
            rows = connection.execute(shapeless.order_by(ENDPOINT.c.id)).all()
        # As a rule there are none, and only a read was needed.
        if not rows:
            return
        with self._database.write() as connection:
            for row in rows:
                shape = shape_id(row.app, row.method, row.path)
                of_it = sa.update(ENDPOINT).where(ENDPOINT.c.id == row.id)
                connection.execute(of_it.values(shape_id=shape))
            note_change(self._database, connection)

    @property
    def _is_mine(self) -> sa.ColumnElement[bool]:
        return ENDPOINT.c.app == storable(self._worker.app)

    def _seen_us(self, now_us: int) -> int:
        """The time at which this worker sees its endpoints: never before its own start.

        Its clock may have been set back since. A start that is far ahead came from a wrong clock,
        and is corrected in the worker's row.
        """
        started_us = self._worker.started_at_us
        return max(now_us, started_us) if started_us <= now_us + _AHEAD_US else now_us

    def _accepted(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Add endpoints one by one; returns those that the database accepts."""
        insert = self._database.insert_ignore(ENDPOINT)
        with self._database.write() as connection:

            def add(row: dict[str, Any]) -> None:
                connection.execute(insert, row)
                # The facts, too, because the database may refuse just these.
                UPDATE_FACTS.run_all(connection, [_bound(row)])

            refusals = add_one_by_one(connection, rows, add)
        log_refusals(refusals, "endpoints", ("method", "path"))
        refused = {refusal.row["id"] for refusal in refusals}
        return [row for row in rows if row["id"] not in refused]

    def _register(self, worker: dict[str, Any], rows: list[dict[str, Any]]) -> None:
        # Two transactions: on MariaDB, transactions that insert and then update deadlock.
        with self._database.write() as connection:
            connection.execute(self._database.insert_ignore(WORKER), worker)
            if rows:
                connection.execute(self._database.insert_ignore(ENDPOINT), rows)
        with self._database.write() as connection:
            for number in (WORKER.c.seq, WORKER.c.log_seq):
                connection.execute(
                    sa.update(WORKER)
                    # Only raised: a batch may be applied whose acknowledgement was lost.
                    .where(WORKER.c.id == self._worker.id, number < worker[number.name])
                    .values({number: worker[number.name]})
                )
            if rows:
                UPDATE_FACTS.run_all(connection, [_bound(row) for row in rows])
                note_change(self._database, connection)


def _endpoint_values(fact: EndpointFacts, release: int, now_us: int) -> dict[str, Any]:
    is_late = now_us - fact.seen_at_us > _LATE_US
    return {
        "id": fact.id,
        "app": storable(fact.app),
        "method": fact.method,
        "path": storable(fact.path),
        "kind": fact.kind,
        "name": storable(fact.name),
        "source": storable(fact.source),
        "summary": storable(fact.summary),
        # JSON escapes all that `storable` would replace.
        "tags": json.dumps(fact.tags),
        "deprecated": fact.deprecated,
        "first_seen_at": fact.seen_at_us,
        "last_seen_at": now_us,
        "first_called_at": 0,
        "last_called_at": 0,
        "total_calls": 0,
        "shape_id": shape_id(fact.app, fact.method, fact.path),
        "present_since": 0,
        "evidence_since": now_us if is_late else 0,
        "removed_at": 0,
        "last_used_at": 0,
        "first_release_id": release,
        "last_release_id": release,
        "first_called_release_id": 0,
        "last_called_release_id": 0,
        "overrides": fact.overrides,
    }


def _bound(row: dict[str, Any]) -> dict[str, Any]:
    seen_us = row["last_seen_at"]
    return {
        "key_id": row["id"],
        **{f"new_{name}": row[name] for name in FACTS},
        "seen": seen_us,
        "ahead": seen_us + _AHEAD_US,
    }
