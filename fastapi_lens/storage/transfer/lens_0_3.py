"""Import of the calls that the package fastapi-lens 0.3 of PyPI has recorded. Reads no other file.

That package stores a row for each request. Calls become the same sums as ours, and only those of
endpoints that the app has or had here: with lazy routers (FastAPI 0.137 and newer) it stores the
requested path in place of the template, and such a path must not become an endpoint. What it has
observed is unknown, so that the evidence of the app begins anew with the import.
"""

import hashlib
import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.errors import StorageError
from fastapi_lens.histogram.histogram import Histogram, bucket_index
from fastapi_lens.storage.engine.clock_skew import EARLIEST, microseconds
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.engine.sqlite_file import NAMESAKE_TABLE, read_only
from fastapi_lens.storage.records.import_notes import IMPORT_NOTE, import_notes
from fastapi_lens.storage.schema.data_version import note_change
from fastapi_lens.storage.schema.models import Tier
from fastapi_lens.storage.schema.tables import ENDPOINT, META
from fastapi_lens.storage.transfer.endpoint_matcher import EndpointMatcher
from fastapi_lens.storage.transfer.export import endpoint_keys
from fastapi_lens.storage.writing.batches import Batch, Delta
from fastapi_lens.storage.writing.rollup import Rollup

CALLS_AT_ONCE = 5_000
"""Calls that one transaction adds: a flush may have to wait for it."""

NAMED_PATHS = 1_000
"""Paths without an endpoint that are counted by name; calls of others are counted together."""

_SOURCE = "fastapi-lens 0.3"
_COLUMNS = ("id", "method", "path", "status_code", "duration_ms", "timestamp")
_LATEST = 60.0
"""Seconds after the begin of the import that a call may be recorded: both may run."""

_LONGEST_MS = 1e9
_DAY_MINUTES = Tier.DAY // Tier.MINUTE
_HOUR_MINUTES = Tier.HOUR // Tier.MINUTE
_DAYS_OF_HOURS = 36
"""Our hours are kept for 35 days, and our minutes for less than one: see `retention.pruner`."""


class NoSourceError(StorageError):
    """The file is none of fastapi-lens 0.3, or cannot be read."""


class RecordedCall(NamedTuple):
    """A row of that package, unchecked."""

    id: Any
    method: Any
    path: Any
    status: Any
    duration_ms: Any
    at: Any


class RecordedCalls:
    """The calls in a file of that package, which is only read.

    Attributes:
        last_id: Number of the latest call; 0 if there is none.
        fingerprint: 32 hexadecimal digits of the first call, which identify the file while it is
            there.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Read the first and the latest call.

        Raises:
            NoSourceError: The calls have no numbers.
        """
        self._connection = connection
        (last,) = connection.execute(f"SELECT max(id) FROM {NAMESAKE_TABLE}").fetchone()  # noqa: S608  Constants.
        # SQLite checks no types, so an id may be anything.
        if not isinstance(last, int | None):
            raise NoSourceError(f"the calls of {_SOURCE} are not numbered")
        # Kept, because the other package may still be recording.
        self.last_id: int = last or 0
        first = next(self.after(0), None)
        text = f"{_SOURCE}\0{first!r}"
        self.fingerprint = hashlib.sha256(text.encode(errors="replace")).hexdigest()[:32]

    def after(self, call: int) -> Iterator[RecordedCall]:
        """The calls after a number, up to the latest one, in the order of their numbers."""
        rows = self._connection.execute(
            f"SELECT {', '.join(_COLUMNS)} FROM {NAMESAKE_TABLE} "  # noqa: S608  Constants.
            "WHERE id > ? AND id <= ? ORDER BY id",
            (call, self.last_id),
        )
        yield from map(RecordedCall._make, rows)


def _decoded(data: bytes) -> str:
    return data.decode(errors="replace")


@contextmanager
def recorded_calls(path: Path) -> Generator[RecordedCalls]:
    """Open a file of that package.

    Raises:
        NoSourceError: It is none, or cannot be read.
    """
    try:
        with read_only(path) as connection:
            # Another program's text may be no UTF-8.
            connection.text_factory = _decoded
            columns = {row[1] for row in connection.execute(f"PRAGMA table_info({NAMESAKE_TABLE})")}
            if not columns.issuperset(_COLUMNS):
                raise NoSourceError(f"{path} is not a database of {_SOURCE}")
            yield RecordedCalls(connection)
    except sqlite3.Error as error:
        raise NoSourceError(f"{path} cannot be read: {error}") from error


@dataclass(slots=True)
class Outcome:
    """Result of an import.

    Attributes:
        calls: Number of added calls.
        endpoints: Ids of the endpoints that got them.
        unknown: Number of calls by method and path that are those of no endpoint, up to
            `NAMED_PATHS` of them.
        unknown_calls: Number of all these calls.
        unreadable: Number of calls with a value that no call has.
    """

    calls: int = 0
    endpoints: set[int] = field(default_factory=set[int])
    unknown: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    unknown_calls: int = 0
    unreadable: int = 0

    def add_unknown(self, method: str, path: str) -> None:
        """Count a call of no endpoint."""
        self.unknown_calls += 1
        if (method, path) in self.unknown or len(self.unknown) < NAMED_PATHS:
            self.unknown[method, path] += 1


class CallImporter:
    """Adds the calls of one file to one app, each exactly once; continues an interrupted import.

    Args:
        database: The target, with this release's tables.
        app: Name of the app, whose endpoints are known.
        source: The calls.
        now: Epoch seconds.
    """

    def __init__(self, database: Database, app: str, source: RecordedCalls, *, now: float) -> None:
        """Read the endpoints of the app."""
        self._database = database
        self._app = app
        self._source = source
        self._now = now
        identity = hashlib.sha256(f"{source.fingerprint}\0{app}".encode()).hexdigest()[:32]
        self._name = f"{IMPORT_NOTE}{identity}"
        with database.read() as connection:
            self._matcher = EndpointMatcher(endpoint_keys(connection, app))

    def has_others(self) -> bool:
        """True if calls of another file of that package were added to the app."""
        with self._database.read() as connection:
            notes = import_notes(connection)
        return any(
            note.get("source") == _SOURCE and self._app in note["origins"]
            for name, note in notes.items()
            if name != self._name
        )

    def run(self, advance: Callable[[int], None]) -> Outcome:
        """Add all calls that were not added before.

        Args:
            advance: Called with the number of calls that were read.

        Raises:
            StorageError: The database cannot be written, or another process imports this file.
        """
        outcome = Outcome()
        applied = self._begin()
        advance(applied)
        chunk: list[RecordedCall] = []
        for call in self._source.after(applied):
            chunk.append(call)
            if len(chunk) == CALLS_AT_ONCE:
                applied = self._add(chunk, applied, outcome)
                advance(len(chunk))
                chunk = []
        if chunk:
            self._add(chunk, applied, outcome)
            advance(len(chunk))
        return outcome

    def _begin(self) -> int:
        """Note that this import has begun; returns the number of the last call already added."""
        note = {
            "applied": 0,
            "rows": self._source.last_id,
            "source": _SOURCE,
            "origins": {self._app: [self._source.fingerprint]},
        }
        with self._database.write() as connection:
            connection.execute(
                self._database.insert_ignore(META), {"name": self._name, "value": json.dumps(note)}
            )
            applied = int(self._locked_note(connection)["applied"])
            if applied < self._source.last_id:
                # Before any call: nobody here observed what was called there, or the other way
                # round.
                of_app = sa.update(ENDPOINT).where(ENDPOINT.c.app == self._app)
                connection.execute(of_app.values(evidence_since=microseconds(self._now)))
                note_change(self._database, connection)
        return applied

    def _add(self, chunk: list[RecordedCall], applied: int, outcome: Outcome) -> int:
        """Add some calls and the number of the last one to the note, in one transaction."""
        deltas = tuple(self._deltas(chunk, outcome))
        last: int = chunk[-1].id

        def claim(connection: Connection) -> None:
            note = self._locked_note(connection)
            if note["applied"] != applied:
                raise StorageError("another process imports the same file")
            changed = json.dumps({**note, "applied": last, "rows": self._source.last_id})
            of_it = sa.update(META).where(META.c.name == self._name)
            connection.execute(of_it.values(value=changed))

        # Of no release: none of ours has recorded these calls.
        Rollup(self._database).add([Batch(0, deltas)], claim)
        return last

    def _locked_note(self, connection: Connection) -> dict[str, Any]:
        row = sa.select(META.c.value).where(META.c.name == self._name).with_for_update()
        note: dict[str, Any] = json.loads(connection.execute(row).scalar_one())
        return note

    def _deltas(self, chunk: Iterable[RecordedCall], outcome: Outcome) -> Iterator[Delta]:
        """The sums of calls of known endpoints; all others are counted in the outcome."""
        calls: dict[tuple[int, int, int], list[tuple[int, int]]] = {}
        for call in chunk:
            if not _is_readable(call, self._now):
                outcome.unreadable += 1
                continue
            key = self._matcher.find(call.method, call.path)
            if key is None:
                outcome.add_unknown(call.method, call.path)
                continue
            kind = (key, _minute(call.at, self._now), call.status)
            spent = round(call.duration_ms * 1_000)
            calls.setdefault(kind, []).append((spent, microseconds(call.at)))
            outcome.calls += 1
            outcome.endpoints.add(key)
        for (key, minute, status), found in calls.items():
            durations = [spent for spent, _ in found]
            moments = [at for _, at in found]
            yield Delta(
                endpoint_id=key,
                minute=minute,
                status=status,
                calls=len(found),
                duration_us=sum(durations),
                max_us=max(durations),
                first_at_us=min(moments),
                last_at_us=max(moments),
                histogram=Histogram.from_counts(
                    Counter(bucket_index(spent * 1_000) for spent in durations)
                ),
            )


def _is_readable(call: RecordedCall, now: float) -> bool:
    """True if all values are those of a call."""
    return (
        isinstance(call.method, str)
        and isinstance(call.path, str)
        and isinstance(call.status, int)
        and 100 <= call.status <= 599  # noqa: PLR2004  The codes of HTTP.
        and isinstance(call.duration_ms, int | float)
        and 0 <= call.duration_ms <= _LONGEST_MS
        and isinstance(call.at, int | float)
        and EARLIEST <= call.at <= now + _LATEST
    )


def _minute(at: float, now: float) -> int:
    """The minute of a call, or the first one of the finest row that is still kept for its time."""
    minute = int(at) // Tier.MINUTE
    days = (now - at) / Tier.DAY
    if days > _DAYS_OF_HOURS:
        return minute - minute % _DAY_MINUTES
    return minute - minute % _HOUR_MINUTES if days > 1 else minute
