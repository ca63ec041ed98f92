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
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.engine.texts import storable
from fastapi_lens.storage.schema.data_version import note_change
from fastapi_lens.storage.schema.identities import shape_id
from fastapi_lens.storage.schema.statements import FACTS, UPDATE_FACTS
from fastapi_lens.storage.schema.tables import ENDPOINT, WORKER
from fastapi_lens.storage.writing.batches import EndpointFacts
from fastapi_lens.storage.writing.refusals import add_one_by_one, log_refusals

UNREGISTERED = "unregistered"
"""The kind of an endpoint of which nothing but its id and app is known yet."""


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
        rows = [_endpoint_values(fact, now_us) for fact in facts]
        connection.execute(database.insert_ignore(ENDPOINT), rows)


class Registrar:
    """Registers one worker in one database."""

    def __init__(self, database: Database, worker: WorkerFacts) -> None:
        """Write nothing yet."""
        self._database = database
        self._worker = worker

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
        rows = sorted((_endpoint_values(fact, now_us) for fact in facts), key=lambda row: row["id"])
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

    def unregistered(self) -> set[int]:
        """The ids of the app's endpoints whose rows `insert_unregistered` has made.

        Raises:
            StorageError: The database cannot be read.
        """
        is_mine = ENDPOINT.c.app == storable(self._worker.app)
        ids = sa.select(ENDPOINT.c.id).where(is_mine, ENDPOINT.c.kind == UNREGISTERED)
        with self._database.read() as connection:
            return set(connection.execute(ids).scalars())

    def _accepted(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Add endpoints one by one; returns those that the database accepts."""
        insert = self._database.insert_ignore(ENDPOINT)
        with self._database.write() as connection:

            def add(row: dict[str, Any]) -> None:
                connection.execute(insert, row)
                UPDATE_FACTS.run_all(connection, [_bound(row, "id")])

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
                    .where(WORKER.c.id == self._worker.id, number < worker[number.name])
                    .values({number: worker[number.name]})
                )
            if rows:
                UPDATE_FACTS.run_all(connection, [_bound(row, "id") for row in rows])
                note_change(self._database, connection)


def _endpoint_values(fact: EndpointFacts, now_us: int) -> dict[str, Any]:
    return {
        "id": fact.id,
        "app": storable(fact.app),
        "method": fact.method,
        "path": storable(fact.path),
        "kind": fact.kind,
        "name": storable(fact.name),
        "source": storable(fact.source),
        "summary": storable(fact.summary),
        "tags": json.dumps(fact.tags),
        "deprecated": fact.deprecated,
        "first_seen_at": fact.seen_at_us,
        "last_seen_at": now_us,
        "first_called_at": 0,
        "last_called_at": 0,
        "total_calls": 0,
        "shape_id": shape_id(fact.app, fact.method, fact.path),
        "present_since": 0,
        "evidence_since": 0,
        "removed_at": 0,
        "last_used_at": 0,
        "first_release_id": 0,
        "last_release_id": 0,
        "first_called_release_id": 0,
        "last_called_release_id": 0,
        "overrides": None,
    }


def _bound(row: dict[str, Any], key: str) -> dict[str, Any]:
    return {f"key_{key}": row[key], **{f"new_{name}": row[name] for name in FACTS}}
