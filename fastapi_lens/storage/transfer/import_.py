"""Adds the rows of another database to this one, each exactly once. Reads no file.

An import stores in the database how many rows of which export were added, in the transaction that
adds them. A repeated import, after a crash or by mistake, continues from there.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.storage.coordination.sequence import retry_on_deadlock
from fastapi_lens.storage.engine.clock_skew import microseconds
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.records.import_notes import IMPORT_NOTE, import_notes
from fastapi_lens.storage.schema.data_version import note_change
from fastapi_lens.storage.schema.identities import shape_id
from fastapi_lens.storage.schema.migrations import migrate
from fastapi_lens.storage.schema.tables import (
    ENDPOINT,
    META,
    RELEASE,
    REQUEST,
    USE,
    USE_WEEK,
    WORKER,
)
from fastapi_lens.storage.transfer.export import Origins, origins
from fastapi_lens.storage.transfer.imported_rows import ADDERS, Row, emptied
from fastapi_lens.storage.transfer.joined_endpoints import joined

CHUNK_ROWS = 400
"""Rows that one transaction adds: a flush may have to wait for its few milliseconds."""

TRIES = 10
"""Attempts before a deadlock becomes an error."""


class Importer:
    """Adds the rows of one export.

    Args:
        database: The target; missing tables are created.
        export_id: 32 hexadecimal digits that identify the export.
        rows: Number of rows in the export.
        origins: The origins of the counts in the export, by app.
        now: Epoch seconds.
    """

    def __init__(
        self, database: Database, export_id: str, rows: int, origins: Origins, *, now: float
    ) -> None:
        """Write nothing yet."""
        self._database = database
        self._name = f"{IMPORT_NOTE}{export_id}"
        self._rows = rows
        self._origins = origins
        self._now_us = microseconds(now)

    def repeated_apps(self) -> list[str]:
        """The apps of the export that already have counts of the same origin in the database.

        This export itself does not count, because its rows are added only once. An app that the
        database has recorded itself counts as long as the database has rows of it.

        Raises:
            StorageError: The database cannot be migrated or read.
        """
        migrate(self._database)
        with self._database.read() as connection:
            if self._name in import_notes(connection):
                return []
            apps = sa.select(ENDPOINT.c.app).where(ENDPOINT.c.app.in_(list(self._origins)))
            present = sorted(set(connection.execute(apps).scalars()))
            here = origins(connection, present)
        return [app for app in present if not set(here[app]).isdisjoint(self._origins[app])]

    def begin(self) -> int:
        """Note that this import has begun; returns the number of rows already added.

        Raises:
            StorageError: The database cannot be written.
        """
        note = {"applied": 0, "rows": self._rows, "origins": self._origins}
        with self._database.read() as connection:
            is_first = self._name not in import_notes(connection)
        with self._database.write() as connection:
            if is_first:
                self._lose_evidence(connection)
            connection.execute(
                self._database.insert_ignore(META),
                {"name": self._name, "value": json.dumps(note)},
            )
        with self._database.read() as connection:
            return int(import_notes(connection)[self._name]["applied"])

    def _lose_evidence(self, connection: Connection) -> None:
        """Let the evidence of all endpoints begin now whose apps have recorded into this database.

        The export may lack some of them: they were not observed there, and what was observed there
        fills the holes of the app.
        """
        recorded = _recorded_apps(connection, self._origins)
        earlier = ENDPOINT.c.app.in_(recorded) & (ENDPOINT.c.evidence_since < self._now_us)
        connection.execute(sa.update(ENDPOINT).where(earlier).values(evidence_since=self._now_us))

    def add(self, table: sa.Table, start: int, rows: Sequence[Row]) -> None:
        """Add some rows of one table, unless they were already added.

        Args:
            table: Their table.
            start: Number of rows of the export before them.
            rows: In primary-key order; at least one.

        Raises:
            StorageError: The database cannot be written.
        """
        if table is ENDPOINT:
            rows = [self._endpoint(row) for row in rows]
        if table is REQUEST:
            rows = [{"caller_id": 0, **row} for row in rows]
        retry_on_deadlock(lambda: self._add(table, start, rows), tries=TRIES)

    def _endpoint(self, row: Row) -> Row:
        """An endpoint with all columns; its shape is derived, so that it cannot be wrong."""
        shape = shape_id(row["app"], row["method"], row["path"])
        # Older exports tell nothing about observation, so their silence is no evidence.
        since = {"evidence_since": self._now_us}
        # Its callers are counted anew, because those of both places together have a bound.
        return {**_OLDER_ENDPOINT, **since, **row, "shape_id": shape, "callers": 0}

    def _add(self, table: sa.Table, start: int, rows: Sequence[Row]) -> None:
        # Two transactions: on MariaDB, transactions that insert and then update deadlock.
        if table not in _BOUNDED:
            with self._database.write() as connection:
                empty = [emptied(table, row) for row in rows]
                connection.execute(self._database.insert_ignore(table), empty)
        with self._database.write() as connection:
            note = self._locked_note(connection)
            missing = rows[max(0, note["applied"] - start) :]
            if missing:
                if table is ENDPOINT:
                    self._add_endpoints(connection, missing)
                elif table in ADDERS:
                    ADDERS[table](connection, missing)
                self._note(connection, {**note, "applied": start + len(rows)})
                note_change(self._database, connection)

    def _locked_note(self, connection: Connection) -> dict[str, Any]:
        value = connection.execute(
            # Locked, because two processes may import the same file.
            sa.select(META.c.value).where(META.c.name == self._name).with_for_update()
        ).scalar_one()
        note: dict[str, Any] = json.loads(value)
        return note

    def _note(self, connection: Connection, note: dict[str, Any]) -> None:
        connection.execute(
            sa.update(META).where(META.c.name == self._name).values(value=json.dumps(note))
        )

    def _add_endpoints(self, connection: Connection, rows: Sequence[Row]) -> None:
        found = connection.execute(
            sa.select(ENDPOINT)
            .where(ENDPOINT.c.id.in_([row["id"] for row in rows]))
            .order_by(ENDPOINT.c.id)
            .with_for_update()
        )
        here = {row["id"]: dict(row) for row in found.mappings()}
        recorded = _recorded_apps(connection, {row["app"] for row in rows})
        for row in rows:
            values = joined(here[row["id"]], row)
            # Otherwise all of its history comes from the export, which is whole in itself.
            if row["app"] in recorded:
                # Nobody here observed what was called there, or the other way round.
                values["evidence_since"] = max(values["evidence_since"], self._now_us)
            of_it = sa.update(ENDPOINT).where(ENDPOINT.c.id == row["id"])
            connection.execute(of_it.values(values))


def _recorded_apps(connection: Connection, apps: Collection[str]) -> set[str]:
    """Those of some apps that have recorded into this database before the import.

    Workers and releases follow the endpoints in an export.
    """
    recorded = (sa.select(table.c.app).where(table.c.app.in_(apps)) for table in (WORKER, RELEASE))
    return set(connection.execute(sa.union(*recorded)).scalars())


OLDEST_SCHEMA = 8
"""The oldest schema version whose exports can be imported."""

_OLDER_ENDPOINT: Mapping[str, Any] = MappingProxyType(
    {
        **dict.fromkeys(("present_since", "removed_at", "last_used_at"), 0),
        **dict.fromkeys(("first_release_id", "last_release_id"), 0),
        **dict.fromkeys(("first_called_release_id", "last_called_release_id"), 0),
        # So the caller of its last call is unknown.
        **dict.fromkeys(("attributed_until", "unattributed_at"), 0),
        "overrides": None,
    }
)

ADDED_COLUMNS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        ENDPOINT.name: frozenset({*_OLDER_ENDPOINT, "shape_id", "evidence_since", "callers"}),
        REQUEST.name: frozenset({"caller_id"}),
    }
)
"""Columns that rows lack in exports of older schema versions, by table."""

_BOUNDED = frozenset({USE, USE_WEEK})
"""Tables whose rows are bounded, so that not each row of an export gets one."""
