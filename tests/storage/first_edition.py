"""The first edition of the lens as a database sees it: its tables, and what its workers send.

A worker of that release knows no inbox: it adds each batch to the shared rows itself. Its
statements are written down here once more, so that they stay what they were.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.errors import DeadlockError, UnavailableError
from fastapi_lens.histogram.histogram import Histogram
from fastapi_lens.storage.coordination.worker import WorkerFacts
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.migrations import migrate
from fastapi_lens.storage.schema.models import lens_metadata
from fastapi_lens.storage.schema.tables import (
    BUCKET,
    ENDPOINT,
    META,
    SCHEMA_STEP,
    SCHEMA_VERSION,
    STATUS,
    WORKER,
)
from fastapi_lens.storage.writing.batches import (
    Batch,
    BucketKey,
    EndpointFacts,
    StatusKey,
    bucket_sums,
    status_sums,
)

VERSION = 2
TRIES = 5
"""Transactions that it begins before a deadlock, or a lock that it waited for, is an error."""

_NARROW = {
    "postgresql": "ALTER TABLE {} ALTER COLUMN method TYPE VARCHAR(16)",
    "mysql": "ALTER TABLE {} MODIFY method VARCHAR(16) NOT NULL",
}

COLUMNS = {
    "audit": "id app actor client action target before after",
    "bucket": (
        "tier bucket endpoint_id calls redirects errors_4xx errors_5xx duration_us max_us histogram"
    ),
    "endpoint": (
        "id app method path kind name source summary tags deprecated first_seen_at "
        "last_seen_at first_called_at last_called_at total_calls"
    ),
    "failure": "id app endpoint_id type message place traceback calls first_at last_at",
    "lease": "name owner expires_at",
    "meta": "name value",
    "request": (
        "id app endpoint_id method path query status duration_us reason client agent failure_id"
    ),
    "setting": "app name value version",
    "status": "day endpoint_id status calls",
    "throttle": "client failures first_at last_at blocked_until",
    "worker": (
        "id app host pid release interval_ms started_at seen_at ended_at killed "
        "complete_to seq dropped pending flush_us cost_ns clock_ahead_us log_seq"
    ),
}
"""Its tables with their columns, by their names without ``lens_``."""

INDEXES = frozenset({"ix_lens_endpoint_app", "ix_lens_failure_app"})


def make_tables(database: Database) -> None:
    """Make its tables, in an empty database."""
    migrate(database)
    with database.write() as connection:
        for table in lens_metadata.sorted_tables:
            columns = COLUMNS.get(table.name.removeprefix("lens_"))
            if columns is None:
                table.drop(connection)
                continue
            for index in table.indexes:
                if index.name not in INDEXES:
                    index.drop(connection)
            for name in set(table.columns.keys()) - set(columns.split()):
                connection.exec_driver_sql(f"ALTER TABLE {table.name} DROP COLUMN {name}")
        narrow = _NARROW.get(database.dialect.name)
        for table_name in ("lens_endpoint", "lens_request") if narrow else ():
            connection.exec_driver_sql(str(narrow).format(table_name))
        connection.execute(sa.delete(META).where(META.c.name == SCHEMA_STEP))
        version = sa.update(META).where(META.c.name == SCHEMA_VERSION)
        connection.execute(version.values(value=str(VERSION)))


def until_alone(work: Callable[[], object]) -> int:
    """Do a work as flushers do: again after a deadlock, or a lock that it waited for too long.

    Returns:
        The number of times that it failed.
    """
    for failed in range(TRIES - 1):
        try:
            work()
        except (DeadlockError, UnavailableError):
            continue
        return failed
    work()
    return TRIES - 1


class FirstWorker:
    """A worker of that release.

    Attributes:
        deadlocks: Number of transactions that it repeated.
    """

    def __init__(self, database: Database, facts: WorkerFacts) -> None:
        self._database = database
        self._facts = facts
        self.deadlocks = 0

    def start(self, endpoints: Sequence[EndpointFacts]) -> None:
        """Look whether the tables are there, and register."""
        with self._database.read() as connection:
            assert version_in(connection) == VERSION, "it would stop writing, or migrate"
        facts = self._facts
        worker = {
            "id": facts.id,
            "app": facts.app,
            "host": facts.host,
            "pid": facts.pid,
            "release": facts.release,
            "interval_ms": facts.interval_ms,
            "started_at": facts.started_at_us,
            "seen_at": 1,
            "ended_at": 0,
            "killed": False,
            **dict.fromkeys(("complete_to", "seq", "dropped", "pending", "flush_us"), 0),
            "cost_ns": 0,
            "clock_ahead_us": None,
            "log_seq": 0,
        }
        rows = [
            {
                "id": one.id,
                "app": one.app,
                "method": one.method,
                "path": one.path,
                "kind": "http",
                "name": "",
                "source": "",
                "summary": "",
                "tags": "[]",
                "deprecated": False,
                "first_seen_at": 1,
                "last_seen_at": 1,
                **dict.fromkeys(("first_called_at", "last_called_at", "total_calls"), 0),
            }
            for one in sorted(endpoints, key=lambda one: one.id)
        ]
        self._until_alone(lambda: self._register(worker, rows))

    def write(self, batch: Batch) -> None:
        """Add a batch, unless it was added."""
        self._until_alone(lambda: self._write(batch))

    def beat(self) -> None:
        """Say that it lives."""
        self._until_alone(self._beat)

    def _until_alone(self, work: Callable[[], object]) -> None:
        self.deadlocks += until_alone(work)

    def _beat(self) -> None:
        with self._database.write() as connection:
            mine = sa.update(WORKER).where(WORKER.c.id == self._facts.id, _has_schema())
            values = {"seen_at": 2, "ended_at": 0, "complete_to": 2, "pending": 0, "cost_ns": 9}
            assert connection.execute(mine.values(**values)).rowcount == 1

    def _register(self, worker: dict[str, Any], rows: list[dict[str, Any]]) -> None:
        with self._database.write() as connection:
            # Named column by column, as that release knows them.
            connection.execute(_inserting(self._database, WORKER, worker), worker)
            connection.execute(_inserting(self._database, ENDPOINT, rows[0]), rows)
        with self._database.write() as connection:
            for row in rows:
                mine = sa.update(ENDPOINT).where(ENDPOINT.c.id == row["id"])
                connection.execute(mine.values(last_seen_at=row["last_seen_at"], tags=row["tags"]))

    def _write(self, batch: Batch) -> None:
        missing = self._try(batch)
        if missing is not None:
            with self._database.write() as connection:
                for table, keys in zip((BUCKET, STATUS), missing, strict=True):
                    rows = [_empty(table, key) for key in sorted(keys)]
                    if rows:
                        connection.execute(_inserting(self._database, table, rows[0]), rows)
            assert self._try(batch) is None

    def _try(self, batch: Batch) -> tuple[list[BucketKey], list[StatusKey]] | None:
        """Add it; or tell which rows have to be made first."""
        sums, statuses = bucket_sums(batch.deltas), status_sums(batch.deltas)
        with self._database.write() as connection:
            if not self._advance(connection, batch.seq):
                return None
            known = _locked_buckets(connection, sums)
            counted = _locked_statuses(connection, statuses)
            missing = (
                [key for key in sums if key not in known],
                [key for key in statuses if key not in counted],
            )
            if any(missing):
                connection.rollback()
                return missing
            for one in sorted(batch.deltas, key=lambda one: one.endpoint_id):
                first, last = ENDPOINT.c.first_called_at, ENDPOINT.c.last_called_at
                is_first = (first == 0) | (first > one.first_at_us)
                connection.execute(
                    sa.update(ENDPOINT)
                    .where(ENDPOINT.c.id == one.endpoint_id)
                    .values(
                        total_calls=ENDPOINT.c.total_calls + one.calls,
                        first_called_at=sa.case((is_first, one.first_at_us), else_=first),
                        last_called_at=sa.case((last < one.last_at_us, one.last_at_us), else_=last),
                    )
                )
            for key in sorted(sums):
                added, (max_us, histogram) = sums[key], known[key]
                names = ("calls", "redirects", "errors_4xx", "errors_5xx", "duration_us")
                latency = Histogram.from_bytes(histogram) + added.histogram
                connection.execute(
                    sa.update(BUCKET)
                    .where(*_is(BUCKET, key))
                    .values(
                        max_us=max(added.max_us, max_us),
                        histogram=latency.to_bytes(),
                        **{name: BUCKET.c[name] + getattr(added, name) for name in names},
                    )
                )
            for status_key in sorted(statuses):
                more = STATUS.c.calls + statuses[status_key]
                connection.execute(
                    sa.update(STATUS).where(*_is(STATUS, status_key)).values(calls=more)
                )
            return None

    def _advance(self, connection: Connection, seq: int) -> bool:
        mine = WORKER.c.id == self._facts.id
        moved = connection.execute(
            sa.update(WORKER).where(mine, WORKER.c.seq == seq - 1, _has_schema()).values(seq=seq)
        )
        if moved.rowcount == 1:
            return True
        assert version_in(connection) == VERSION, "it would stop writing"
        applied = connection.execute(sa.select(WORKER.c.seq).where(mine)).scalar_one()
        assert applied >= seq, "it would register again"
        return False


def version_in(connection: Connection) -> int:
    fact = sa.select(META.c.value).where(META.c.name == SCHEMA_VERSION)
    return int(connection.execute(fact).scalar_one())


def _has_schema() -> sa.ColumnElement[bool]:
    return sa.exists().where(META.c.name == SCHEMA_VERSION, META.c.value == str(VERSION))


def _inserting(database: Database, table: sa.Table, row: dict[str, Any]) -> Any:
    """An INSERT of just these columns."""
    return database.insert_ignore(
        sa.Table(
            table.name,
            sa.MetaData(),
            *map(_plain, table.primary_key),
            *(_plain(table.c[name]) for name in row if not table.c[name].primary_key),
        )
    )


def _plain(column: sa.Column[Any]) -> sa.Column[Any]:
    return sa.Column(column.name, column.type, primary_key=column.primary_key)


def _empty(table: sa.Table, key: Sequence[int]) -> dict[str, Any]:
    names = [column.name for column in table.primary_key]
    zeros = {one.name: b"" if one.name == "histogram" else 0 for one in table.columns}
    return {**zeros, **dict(zip(names, key, strict=True))}


def _is(table: sa.Table, key: Sequence[int]) -> list[sa.ColumnElement[bool]]:
    return [column == value for column, value in zip(table.primary_key, key, strict=True)]


def _locked_buckets(
    connection: Connection, keys: Iterable[BucketKey]
) -> dict[BucketKey, tuple[int, bytes]]:
    found: dict[BucketKey, tuple[int, bytes]] = {}
    for (tier, bucket), group in groupby(sorted(keys), lambda key: key[:2]):
        rows = connection.execute(
            sa.select(*BUCKET.primary_key, BUCKET.c.max_us, BUCKET.c.histogram)
            .where(
                BUCKET.c.tier == tier,
                BUCKET.c.bucket == bucket,
                BUCKET.c.endpoint_id.in_([key[2] for key in group]),
            )
            .order_by(BUCKET.c.endpoint_id)
            .with_for_update()
        )
        found.update({(row[0], row[1], row[2]): (row[3], bytes(row[4])) for row in rows})
    return found


def _locked_statuses(connection: Connection, keys: Iterable[StatusKey]) -> set[StatusKey]:
    found: set[StatusKey] = set()
    for day, group in groupby(sorted(keys), lambda key: key[0]):
        rows = connection.execute(
            sa.select(*STATUS.primary_key)
            .where(STATUS.c.day == day, STATUS.c.endpoint_id.in_({key[1] for key in group}))
            .order_by(STATUS.c.endpoint_id, STATUS.c.status)
            .with_for_update()
        )
        found.update((row[0], row[1], row[2]) for row in rows)
    return found
