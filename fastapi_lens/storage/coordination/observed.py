"""Marks of observed minutes: bits in one row for each release and hour, shared by its workers.

A mark is only ever added, so a repeated write changes nothing. Hours in which calls got lost stand
under an id of their own: readers take them out, whoever has marked them.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.storage.coordination.sequence import retry_on_deadlock
from fastapi_lens.storage.coordination.worker import WorkerFacts
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.engine.prepared import Prepared
from fastapi_lens.storage.engine.texts import storable
from fastapi_lens.storage.schema.identities import dropped_id, release_id
from fastapi_lens.storage.schema.tables import OBSERVED, RELEASE, WORKER

HOUR_MINUTES = 60
WHOLE_HOUR = (1 << HOUR_MINUTES) - 1
"""All minutes of an hour."""

MINUTE_US = 60_000_000
_HOUR_SECONDS = 3_600
MOST_LOST_HOURS = 400 * 24
"""Most hours of one loss."""

_CHUNK_HOURS = 200
"""Most hours that one transaction marks."""


@dataclass(frozen=True, slots=True)
class Observed:
    """A worker's report of the time that it has watched. Minutes and hours count from the epoch.

    Attributes:
        minutes: Minutes that it has recorded from begin to end, and written.
        wrong: Minutes that it has marked at times from a wrong clock.
        lost_hours: Hours in which it has dropped calls, ascending.
        at: Time of the report, in epoch seconds; 0 if the database does not confirm it.
    """

    minutes: range = field(default_factory=lambda: range(0))
    wrong: tuple[range, ...] = ()
    lost_hours: tuple[int, ...] = ()
    at: float = 0.0


class ReleaseMarks:
    """The marks of one worker in the rows of its release.

    Args:
        database: With tables.
        worker: The worker, whose release may be empty.
    """

    def __init__(self, database: Database, worker: WorkerFacts) -> None:
        """Write nothing yet."""
        self._database = database
        self._worker = worker
        self._app = storable(worker.app)
        self._id = release_id(self._app, worker.release)
        self._rows: set[int] | None = None
        self._has_told = False

    def forget(self) -> None:
        """Make missing rows again: the database may be a different one."""
        self._rows, self._has_told = None, False

    def prepare(self, observed: Observed) -> None:
        """Make the rows that a report changes, and note its lost hours.

        A transaction of its own: on MariaDB, transactions that insert and then update deadlock.

        Raises:
            StorageError: The database cannot be written.
        """
        needed = set(_hours(observed.minutes))
        if self._rows is not None and needed <= self._rows and not observed.lost_hours:
            return
        retry_on_deadlock(lambda: self._insert(sorted(needed), observed.lost_hours))
        # Not the hours before, or the set would grow for ever.
        self._rows = needed

    def mark(self, connection: Connection, observed: Observed, *, applied: int) -> bool:
        """Mark minutes, in the transaction of a heartbeat.

        Args:
            connection: In a writing transaction.
            observed: As it was prepared.
            applied: Number of the worker's last batch.

        Returns:
            False if nothing was marked, because the database has not all batches of the worker, or
            has lost rows of the release: register again.
        """
        tells = bool(observed.at and (observed.minutes or not self._has_told))
        if not tells and not observed.wrong:
            return True
        stored = _SEQ.read(connection, {"worker": self._worker.id})
        # A minute whose calls are missing here must not look observed and silent.
        if [seq for (seq,) in stored] != [applied]:
            return False
        # Before the new marks, which may lie in the same minutes.
        _unmark(connection, self._id, observed.wrong)
        if not tells:
            return True
        now_us = round(observed.at * 1_000_000)
        begin_us = observed.minutes.start * MINUTE_US if observed.minutes else now_us
        is_there = _mark(connection, self._id, observed.minutes)
        self._has_told = tell_release(connection, self._id, begin_us, now_us) and is_there
        return self._has_told

    def _insert(self, hours: Sequence[int], lost_hours: Sequence[int]) -> None:
        with self._database.write() as connection:
            insert_release(self._database, connection, self._app, self._worker.release)
            _insert_hours(self._database, connection, self._id, hours)
            note_lost_hours(self._database, connection, self._app, lost_hours)


def hours_between(first: float, last: float) -> range:
    """The hours that two times, in epoch seconds, and all between are in; the last ones if many."""
    hours = range(int(first // _HOUR_SECONDS), int(last // _HOUR_SECONDS) + 1)
    return hours[-MOST_LOST_HOURS:]


def note_lost_hours(
    database: Database, connection: Connection, app: str, hours: Iterable[int]
) -> None:
    """Note that calls of an app got lost in some hours, in a writing transaction.

    Args:
        database: The database of the transaction.
        connection: In the transaction.
        app: The app's name as it is stored.
        hours: Hours since the epoch, in ascending order.
    """
    identity = dropped_id(app)
    # Whole hours, so that a row that is there already says the same.
    rows = [{"release_id": identity, "hour": hour, "minutes": WHOLE_HOUR} for hour in hours]
    if rows:
        connection.execute(database.insert_ignore(OBSERVED), rows)


def insert_release(database: Database, connection: Connection, app: str, name: str) -> None:
    """Make the row of a release, unless it is there, in a writing transaction."""
    row = {"id": release_id(app, name), "app": app, "name": name, "first_at": 0, "last_at": 0}
    connection.execute(database.insert_ignore(RELEASE), row)


def tell_release(connection: Connection, identity: int, first_us: int, last_us: int) -> bool:
    """Add a time of recording to a release, in a writing transaction; false if it has no row.

    Args:
        connection: In the transaction.
        identity: Its id.
        first_us: First time, in microseconds since the epoch; 0 for none.
        last_us: Last time.
    """
    times = {"release": identity, "first": first_us, "last": last_us}
    return _TELL.change(connection, times) == 1


def mark_hour(connection: Connection, identity: int, hour: int, minutes: int) -> bool:
    """Mark minutes of one hour, in a writing transaction; false if it has no row.

    Args:
        connection: In the transaction.
        identity: The id of the release.
        hour: The number of the hour since the epoch.
        minutes: Its minutes, as bits.
    """
    return _ADD.change(connection, {"release": identity, "hour": hour, "mask": minutes}) == 1


def mark_minutes(database: Database, app: str, name: str, minutes: range) -> None:
    """Mark minutes of a release, in short transactions.

    Args:
        database: With tables.
        app: The app's name.
        name: The name of the release.
        minutes: Minutes since the epoch.

    Raises:
        StorageError: The database cannot be written; earlier transactions stay.
    """
    app, identity = storable(app), release_id(app, name)
    hours = list(_hours(minutes))
    for begin in range(0, len(hours), _CHUNK_HOURS):
        chunk = hours[begin : begin + _CHUNK_HOURS]
        of_chunk = range(chunk[0] * HOUR_MINUTES, (chunk[-1] + 1) * HOUR_MINUTES)
        part = range(max(minutes.start, of_chunk.start), min(minutes.stop, of_chunk.stop))
        retry_on_deadlock(partial(_insert_rows, database, app, name, chunk))
        retry_on_deadlock(partial(_mark_part, database, identity, part))


def _insert_rows(database: Database, app: str, name: str, hours: Sequence[int]) -> None:
    with database.write() as connection:
        insert_release(database, connection, app, name)
        _insert_hours(database, connection, release_id(app, name), hours)


def _mark_part(database: Database, identity: int, minutes: range) -> None:
    with database.write() as connection:
        _mark(connection, identity, minutes)


def _hours(minutes: range) -> range:
    """The hours that have some of these minutes."""
    if not minutes:
        return range(0)
    return range(minutes.start // HOUR_MINUTES, (minutes.stop - 1) // HOUR_MINUTES + 1)


def _masks(minutes: range) -> Iterator[tuple[int, int]]:
    """Each hour of some minutes, and their bits in it."""
    for hour in _hours(minutes):
        first = max(0, minutes.start - hour * HOUR_MINUTES)
        end = min(HOUR_MINUTES, minutes.stop - hour * HOUR_MINUTES)
        yield hour, (1 << end) - (1 << first)


def _insert_hours(
    database: Database, connection: Connection, identity: int, hours: Sequence[int]
) -> None:
    rows = [{"release_id": identity, "hour": hour, "minutes": 0} for hour in hours]
    if rows:
        connection.execute(database.insert_ignore(OBSERVED), rows)


def _mark(connection: Connection, identity: int, minutes: range) -> bool:
    """Mark minutes; false if a row is missing."""
    found = [mark_hour(connection, identity, hour, mask) for hour, mask in _masks(minutes)]
    return all(found)


def _unmark(connection: Connection, identity: int, wrong: Iterable[range]) -> None:
    # Workers share the bits, so this takes theirs, too; that only delays a verdict.
    for minutes in wrong:
        for hour, mask in _masks(minutes):
            row = {"release": identity, "hour": hour, "mask": WHOLE_HOUR & ~mask}
            _KEEP.change(connection, row)


_IS_ROW = (OBSERVED.c.release_id == sa.bindparam("release")) & (
    OBSERVED.c.hour == sa.bindparam("hour")
)
# 64 bits always: PostgreSQL would treat a small mask as 32-bit.
_MASK = sa.bindparam("mask", type_=sa.BigInteger)
_ADD = Prepared(
    sa.update(OBSERVED).where(_IS_ROW).values(minutes=OBSERVED.c.minutes.bitwise_or(_MASK))
)
_KEEP = Prepared(
    sa.update(OBSERVED).where(_IS_ROW).values(minutes=OBSERVED.c.minutes.bitwise_and(_MASK))
)
_NEVER: sa.ColumnElement[int] = sa.literal_column("0")
_FIRST, _LAST = (sa.bindparam(name, type_=sa.BigInteger) for name in ("first", "last"))
_TELL = Prepared(
    sa.update(RELEASE)
    .where(RELEASE.c.id == sa.bindparam("release"))
    .values(
        first_at=sa.case(
            (_FIRST == _NEVER, RELEASE.c.first_at),
            (sa.or_(RELEASE.c.first_at == _NEVER, RELEASE.c.first_at > _FIRST), _FIRST),
            else_=RELEASE.c.first_at,
        ),
        last_at=sa.case((RELEASE.c.last_at < _LAST, _LAST), else_=RELEASE.c.last_at),
    )
)
_SEQ = Prepared(sa.select(WORKER.c.seq).where(WORKER.c.id == sa.bindparam("worker")))
