"""The drain: adds batches of the inbox to the rows that are shown, each exactly once.

A batch is added in the transaction that deletes it, so it does not matter which process does it, or
when that process dies. One process at a time drains, because several would wait for each other.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.errors import RefusedError, StorageError
from fastapi_lens.storage.coordination.dropped_calls import count_dropped
from fastapi_lens.storage.coordination.observed import hours_between, note_lost_hours
from fastapi_lens.storage.coordination.sequence import retry_on_deadlock
from fastapi_lens.storage.engine.clock_skew import AHEAD_SECONDS, EARLIEST, microseconds
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.engine.prepared import Prepared
from fastapi_lens.storage.engine.texts import unescaped
from fastapi_lens.storage.engine.yield_gil import yield_gil
from fastapi_lens.storage.schema.data_version import note_change
from fastapi_lens.storage.schema.identities import release_id
from fastapi_lens.storage.schema.migrations import WRITTEN_AS, require_schema
from fastapi_lens.storage.schema.models import Tier
from fastapi_lens.storage.schema.statements import HAS_SCHEMA
from fastapi_lens.storage.schema.tables import ENDPOINT, INBOX, WORKER
from fastapi_lens.storage.writing.batches import Batch, CallerCalls, CallerFacts, Delta, Use
from fastapi_lens.storage.writing.callers import added_up
from fastapi_lens.storage.writing.inbox import UnreadableError, is_newer, newer_bodies, unpack
from fastapi_lens.storage.writing.registrar import insert_unregistered
from fastapi_lens.storage.writing.rollup import Claim, Rollup, UnregisteredError
from fastapi_lens.text.escaping import visible

logger = logging.getLogger("fastapi_lens")

AIM_SECONDS = 0.05
"""Target duration of a transaction, unless batches arrive faster than they are added."""

LEAST_AT_ONCE, FIRST_AT_ONCE, MOST_AT_ONCE = 16, 64, 256
"""Batches to read at once, if as many wait, and to add in one transaction unless they have too many
distinct sums. The workers of a fleet change the same rows."""

MOST_SUMS = 3_000
"""Most distinct sums of one transaction, plus one batch; four rows for each sum, about 0.3 s."""

FOLD_EVERY = 32
"""Most unpacked batches in memory."""

MAX_TRIES = 5
"""Attempts for a batch that fails with an unexpected error; then its calls are dropped."""


Key = tuple[str, int]
"""Worker and number of a batch."""

_FIRST: Key = ("", 0)
"""A key before that of the first batch."""


class _TakenError(StorageError):
    """Another process has added these batches."""


class Waiting(NamedTuple):
    """A batch in the inbox, see `models.InboxRow`.

    Attributes:
        release: The release of its worker; None if the worker's row was deleted.
    """

    worker_id: str
    seq: int
    app: str
    calls: int
    body: bytes
    release: str | None = None

    @property
    def key(self) -> Key:
        """Its position in the order of the inbox."""
        return self.worker_id, self.seq


class Drain:
    """Empties the inbox of one database.

    Calls that can never be added are counted as dropped by their app.

    Args:
        database: A database with tables.
        clock: Epoch seconds.
        timer: Seconds of a monotonic clock.
        pause: Waits some seconds.
    """

    def __init__(
        self,
        database: Database,
        *,
        clock: Callable[[], float] = time.time,
        timer: Callable[[], float] = time.monotonic,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        """Read nothing yet."""
        self._database = database
        self._rollup = Rollup(database)
        self._clock = clock
        self._timer = timer
        self._pause = pause
        self._at_once = FIRST_AT_ONCE
        self._after = _FIRST
        self._most = MOST_AT_ONCE
        # In memory: a new process may succeed, and begins with all attempts.
        self._tries = Counter[Key]()
        self._logged_newer = False

    def run(self, *, seconds: float) -> bool:
        """Add waiting batches for at most about this time; true if the inbox is empty.

        The pause between two transactions is as long as the last one, so that others get access to
        the database and to the interpreter.

        Raises:
            StorageError: The database cannot be read or written; batches added before stay.
        """
        end = self._timer() + seconds
        while True:
            for took, is_empty in self._transactions():
                # The next one takes about as long as this one.
                if is_empty or self._timer() + took >= end:
                    return is_empty
                self._pause(took)

    def run_once(self) -> None:
        """Add all batches that wait now, without a time limit.

        Only what workers of a newer release have to add still waits then.

        Raises:
            StorageError: The database cannot be read or written; batches added before stay.
        """
        for _ in self.parts():
            pass

    def parts(self) -> Iterator[bool]:
        """The same as `run_once`, one transaction after the other; a caller may stop at any time.

        Yields:
            True if the inbox is empty, as far as is known after that transaction.
        """
        # A batch that fails unexpectedly stays; after so many turns it is added or given up.
        for _ in range(MAX_TRIES):
            self._after, is_empty = _FIRST, False
            # Of what others have taken meanwhile some may still be there.
            while not is_empty:
                for _took, is_empty in self._transactions():
                    yield is_empty
            if not self._tries:
                return

    def _transactions(self) -> Iterator[tuple[float, bool]]:
        """Continue after the batch that was added last, to the end of the inbox.

        Yields:
            After each transaction its duration in seconds, and true if the inbox is empty.
        """
        # Batches before a later start may have arrived since that place was passed.
        is_all = self._after == _FIRST
        while True:
            begun = self._timer()
            rows = self._read(self._after)
            rest: Sequence[Waiting] = rows
            is_end = len(rows) < self._at_once
            while True:
                try:
                    rest = self._add(rest)
                except _TakenError:
                    # The other process may have taken only some of them.
                    rest, is_all = (), False
                took = self._timer() - begun
                if not rest:
                    break
                # If the caller stops here, the next call begins with the rest.
                self._after = rest[0].worker_id, rest[0].seq - 1
                yield took, False
                begun = self._timer()
            self._after = _FIRST if is_end else rows[-1].key
            self._adapt(len(rows), took)
            yield took, is_end and is_all
            if is_end:
                return

    def _read(self, after: Key) -> list[Waiting]:
        """The next batches, in key order."""
        worker, seq = after
        # By key, because an offset would skip rows after others are deleted.
        behind = (INBOX.c.worker_id > worker) | (
            (INBOX.c.worker_id == worker) & (INBOX.c.seq > seq)
        )
        with self._database.read() as connection:
            found = connection.execute(_IN_ORDER.where(behind).limit(self._at_once))
            return [Waiting(*row) for row in found]

    def _adapt(self, added: int, took: float) -> None:
        """Take more batches at once while many wait: rows that they share are written only once."""
        if added == self._at_once:
            # By one only, so that a size that has failed is not tried again at once.
            self._most = min(MOST_AT_ONCE, self._most + 1)
            self._at_once = min(self._most, 2 * self._at_once)
        elif took > AIM_SECONDS and 2 * added <= self._at_once:
            # Not fewer than wait: the same rows would be written twice.
            self._at_once = min(self._at_once, max(LEAST_AT_ONCE, self._at_once // 2))

    def _add(self, rows: Sequence[Waiting]) -> Sequence[Waiting]:
        """Add the batches of one transaction, and delete them; returns the rest.

        Batches that only a newer release can read stay.

        Returns:
            The batches that are left to add, in key order.
        """
        rows = self._readable(rows)
        if not rows:
            return []
        try:
            added = self._add_first_part(rows)
        except (RefusedError, UnreadableError):
            pass  # Adding them one by one finds the refused one, and the reason.
        # Not the fault of a batch, so one by one would fail, too.
        except StorageError:
            raise
        except Exception:
            logger.debug("fastapi_lens could not add up %d batches", len(rows), exc_info=True)
        else:
            return [row for row in rows if row.key not in added]
        if len(rows) == 1:
            self._add_the_rest(rows[0])
            return []
        for row in rows:
            self._add([row])
        return []

    def _add_first_part(self, rows: Sequence[Waiting]) -> set[Key]:
        """Add as many batches as one transaction takes; their keys."""
        part, batches = self._first_part(rows)
        try:
            self._roll_up(part, batches)
        except (_TakenError, RefusedError):
            raise
        except StorageError:
            # It may have been too much at once: for a time limit, or for the size of a message.
            self._at_once = self._most = max(1, len(part) // 2)
            raise
        return {row.key for row in part}

    def _first_part(self, rows: Sequence[Waiting]) -> tuple[list[Waiting], Sequence[Batch]]:
        """Batches with about `MOST_SUMS` distinct sums in all, and these sums by release.

        It takes the first batch of each worker, then the second ones, because those of different
        workers contain the same endpoints.
        """
        part: list[Waiting] = []

        def batches() -> Iterator[Batch]:
            for row in _by_rank(rows):
                # Only now, because `_added_up` may stop before the last one.
                part.append(row)
                yield _unpacked(row)

        added_up = self._added_up(batches())
        # In key order again, as `_Claim` needs them.
        return sorted(part), added_up

    def _readable(self, rows: Sequence[Waiting]) -> Sequence[Waiting]:
        readable = [row for row in rows if not is_newer(row.body)]
        # Once, because each turn reads them again until that release takes them.
        if len(readable) < len(rows) and not self._logged_newer:
            self._logged_newer = True
            logger.warning(
                "fastapi_lens leaves %d batches to the newer release that wrote them",
                len(rows) - len(readable),
            )
        return readable

    def _roll_up(self, rows: Sequence[Waiting], batches: Sequence[Batch]) -> None:
        claim = _Claim(rows)
        try:
            self._rollup.add(batches, claim)
        except UnregisteredError as error:
            # The endpoints were deleted while they were called, or refused at their registration.
            missing = frozenset(error.ids)
            apps = {identity: row.app for row in rows for identity in missing & _ids_in(row)}
            insert_unregistered(self._database, apps, now_us=microseconds(self._clock()))
            self._rollup.add(batches, claim)

    def _add_the_rest(self, row: Waiting) -> None:
        """Add the sums that the database accepts of a batch that it refused as a whole."""
        claim = _Claim([row])
        try:
            batch = _unpacked(row)
            taken, refused = self._sorted_out(batch.deltas)
            names = self._names_of([delta.endpoint_id for delta in refused])
            rest = self._with_callers(row, replace(batch, deltas=tuple(taken)))
            self._rollup.add(
                self._added_up([rest]), self._dropping(row, batch.calls - rest.calls, claim)
            )
        except (RefusedError, UnreadableError) as error:
            self._drop(row, claim, error)
        except StorageError:
            raise
        except Exception as error:
            # Unexpected, so it may succeed later; but other batches wait behind it.
            self._tries[row.key] += 1
            if self._tries[row.key] < MAX_TRIES:
                logger.exception(
                    "fastapi_lens could not add %d calls of worker %s (%s), and tries again",
                    *(row.calls, row.worker_id, row.app),
                )
                return
            del self._tries[row.key]
            self._drop(row, claim, error)
        else:
            _log_refused(refused, names)

    def _with_callers(self, row: Waiting, batch: Batch) -> Batch:
        """The batch, or the same without its callers if the database refuses them."""
        if not batch.callers or self._rollup.takes(self._added_up([batch])):
            return batch
        logger.error(
            "fastapi_lens adds %d calls of worker %s (%s) without their callers, which the "
            "database refuses",
            *(batch.calls, row.worker_id, row.app),
        )
        return replace(batch, callers=(), names=(), is_attributed=False)

    def _sorted_out(
        self, deltas: Sequence[Delta], taken: Sequence[Delta] = ()
    ) -> tuple[Sequence[Delta], Sequence[Delta]]:
        """Separate the sums that the database accepts from those that it refuses, by bisection.

        Returns:
            All accepted sums, including `taken`, and the refused ones.
        """
        # Together with the accepted ones: some sums are too large only when they are added up.
        both = (*taken, *deltas)
        if not deltas or self._rollup.takes(self._added_up([Batch(0, both)])):
            return both, ()
        if len(deltas) == 1:
            return taken, deltas
        half = len(deltas) // 2
        taken, refused = self._sorted_out(deltas[:half], taken)
        taken, others = self._sorted_out(deltas[half:], taken)
        return taken, (*refused, *others)

    def _drop(self, row: Waiting, claim: Claim, error: Exception) -> None:
        """Delete a batch that can never be added, and count its calls as dropped."""
        claim_dropped = self._dropping(row, row.calls, claim)
        retry_on_deadlock(lambda: self._write(claim_dropped))
        logger.error(
            "fastapi_lens drops %d calls of worker %s (%s), which cannot be added: %s",
            row.calls,
            row.worker_id,
            row.app,
            error,
        )

    def _write(self, change: Claim) -> None:
        with self._database.write() as connection:
            change(connection)
            note_change(self._database, connection)

    def _dropping(self, row: Waiting, calls: int, claim: Claim) -> Claim:
        """A claim of a batch that also counts some of its calls as dropped."""

        def claim_and_count(connection: Connection) -> None:
            # Before the claim, which deletes the row.
            since_us = connection.execute(_SINCE, row._asdict()).scalar_one_or_none()
            claim(connection)
            if calls and since_us is not None:
                count_dropped(self._database, connection, row.app, calls)
                hours = _hours_since(since_us / 1_000_000, self._clock())
                note_lost_hours(self._database, connection, row.app, hours)

        return claim_and_count

    def _names_of(self, endpoints: Sequence[int]) -> list[str]:
        named = sa.select(ENDPOINT.c.id, ENDPOINT.c.method, ENDPOINT.c.path)
        with self._database.read() as connection:
            found = connection.execute(named.where(ENDPOINT.c.id.in_(endpoints)))
            names = {row.id: visible(f"{row.method} {row.path}") for row in found}
        return [names.get(endpoint, f"endpoint {endpoint}") for endpoint in endpoints]

    def _added_up(self, batches: Iterable[Batch]) -> Sequence[Batch]:
        """The sums and uses of batches by release, up to the one that exceeds `MOST_SUMS`."""
        releases: dict[tuple[int, bool], _Sums] = {}
        # A stored time counts as wrong only if it is ahead of the present clock, too.
        ahead_us = microseconds(self._clock() + AHEAD_SECONDS)
        for number, batch in enumerate(yield_gil(batches), 1):
            ahead_us = max(ahead_us, batch.ahead_us)
            found = releases.setdefault((batch.release_id, batch.is_attributed), _Sums())
            found.add(batch)
            if number % FOLD_EVERY == 0:
                for one in releases.values():
                    one.fold()
            if sum(one.size for one in releases.values()) > MOST_SUMS:
                break
        return [
            replace(one.batch(ahead_us), release_id=release, is_attributed=is_attributed)
            for (release, is_attributed), one in releases.items()
        ]


class _Sums:
    """The sums, uses and callers of some batches: of one release, all with callers or without."""

    def __init__(self) -> None:
        """Start with none."""
        self._deltas: dict[tuple[int, int, int], list[Delta]] = {}
        self._uses: list[Use] = []
        self._callers: list[CallerCalls] = []
        self._names: dict[int, CallerFacts] = {}

    @property
    def size(self) -> int:
        """About how many distinct sums it has; that of a caller takes a quarter of the time."""
        return len(self._deltas) + len(self._callers) // 4

    def add(self, batch: Batch) -> None:
        """Add those of a batch."""
        deltas = self._deltas
        self._uses += batch.uses
        self._callers += batch.callers
        self._names |= {name.id: name for name in batch.names}
        for delta in batch.deltas:
            deltas.setdefault((delta.endpoint_id, delta.minute, delta.status), []).append(delta)

    def fold(self) -> None:
        """Replace the sums of each list by one, and the calls of each caller and day."""
        for deltas in yield_gil(self._deltas.values()):
            deltas[:] = [Delta.sum_of(deltas)]
        self._callers = added_up(self._callers)

    def batch(self, ahead_us: int) -> Batch:
        """All of them as one batch."""
        self.fold()
        return Batch(
            0,
            tuple(delta for (delta,) in self._deltas.values()),
            tuple(self._uses),
            ahead_us=ahead_us,
            callers=tuple(self._callers),
            names=tuple(self._names.values()),
        )


class _Claim:
    """Deletes batches, or finds that another process has done so."""

    def __init__(self, rows: Sequence[Waiting]) -> None:
        """Take rows in key order."""
        self._of_workers = [
            (worker, [row.seq for row in group])
            for worker, group in groupby(rows, lambda row: row.worker_id)
        ]

    def __call__(self, connection: Connection) -> None:
        """Delete them, in the transaction that adds them.

        Raises:
            SchemaTooNewError: A newer release has migrated the database.
            _TakenError: One of them is gone.
        """
        for worker, seqs in self._of_workers:
            values = {"worker": worker, "first": seqs[0], "last": seqs[-1]}
            if _DELETE.change(connection, {**values, "schema": str(WRITTEN_AS)}) != len(seqs):
                # A newer schema keeps the DELETE from finding them, too.
                require_schema(connection)
                raise _TakenError("another process has added these batches")


def _hours_since(since: float, now: float) -> range:
    """The hours that the calls of a batch may belong to, which itself may be unreadable.

    Args:
        since: See `models.InboxRow`, in epoch seconds; that of a wrong clock tells nothing.
        now: Epoch seconds.
    """
    is_told = EARLIEST <= since <= now
    return hours_between(since if is_told else now - Tier.DAY, now)


def _log_refused(deltas: Sequence[Delta], names: Sequence[str]) -> None:
    calls = Counter[str]()
    for delta, name in zip(deltas, names, strict=True):
        calls[name] += delta.calls
    for name, dropped in calls.items():
        logger.error(
            "fastapi_lens drops %d calls of %s, which the database refuses to add", dropped, name
        )


def _unpacked(row: Waiting) -> Batch:
    batch = unpack(row.body)
    if row.release is None:
        return batch
    # The names as they were before a database without some characters escaped them.
    app, release = unescaped(row.app), unescaped(row.release)
    return replace(batch, release_id=release_id(app, release))


def _by_rank(rows: Iterable[Waiting]) -> list[Waiting]:
    """The first batch of each worker, then the second one of each, and so on."""
    seen = Counter[str]()
    ranked: list[tuple[int, Waiting]] = []
    for row in rows:
        ranked.append((seen[row.worker_id], row))
        seen[row.worker_id] += 1
    # By rank alone, as the sort is stable and rows of one rank are in key order.
    return [row for _, row in sorted(ranked, key=itemgetter(0))]


def _ids_in(row: Waiting) -> set[int]:
    batch = _unpacked(row)
    counted = {delta.endpoint_id for delta in batch.deltas}
    used = {use.endpoint_id for use in batch.uses}
    return counted | used | {calls.endpoint_id for calls in batch.callers}


_IN_ORDER = (
    sa.select(
        *(INBOX.c.worker_id, INBOX.c.seq, INBOX.c.app, INBOX.c.calls, INBOX.c.body),
        WORKER.c.release,
    )
    # An outer join: batches may outlive the row of their worker.
    .join_from(INBOX, WORKER, WORKER.c.id == INBOX.c.worker_id, isouter=True)
    .order_by(INBOX.c.worker_id, INBOX.c.seq)
)
_SINCE = sa.select(INBOX.c.since).where(
    INBOX.c.worker_id == sa.bindparam("worker_id"), INBOX.c.seq == sa.bindparam("seq")
)
_DELETE = Prepared(
    sa.delete(INBOX).where(
        INBOX.c.worker_id == sa.bindparam("worker"),
        INBOX.c.seq.between(sa.bindparam("first"), sa.bindparam("last")),
        HAS_SCHEMA,
    )
)


def drain_all(database: Database) -> None:
    """Add everything that waits now: for exports, deletions and others that need all counts.

    Raises:
        StorageError: The database cannot be read or written.
    """
    Drain(database).run_once()


class Backlog(NamedTuple):
    """Batches that wait in the inbox.

    Attributes:
        batches: Their number.
        since_us: Oldest time in microseconds since the epoch; 0 for none.
        newer: Number of batches that only workers of a newer release can add.
    """

    batches: int
    since_us: int
    newer: int


def backlog(connection: Connection) -> Backlog:
    """The batches in the inbox now, of all apps."""
    newer = sa.func.sum(sa.case((newer_bodies(), 1), else_=0))
    counted = sa.select(sa.func.count(), sa.func.min(INBOX.c.since), newer)
    return Backlog(*(int(number or 0) for number in connection.execute(counted).one()))
