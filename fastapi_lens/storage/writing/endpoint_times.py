"""Endpoint times that a wrong clock recorded, and their correction."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.storage.engine.clock_skew import AHEAD_SECONDS, EARLIEST, microseconds
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.data_version import note_change
from fastapi_lens.storage.schema.models import Tier
from fastapi_lens.storage.schema.tables import BUCKET, ENDPOINT, STATUS, WORKER
from fastapi_lens.storage.writing.caller_times import correct_callers
from fastapi_lens.verdict.history import REFUSED

_AT_ONCE = 100
_LIVED_DAYS = 3
"""Counts on this many days cannot come from a clock that was wrong only briefly."""

_RECENT_SECONDS = 14 * Tier.DAY.value
"""Last calls are compared with the days of this time, and with the weeks of all."""

_EARLIEST_US = microseconds(EARLIEST)
_END_US = (1 << 63) - 1
_DAY_SECONDS = Tier.DAY.value
_COARSER = {Tier.DAY: Tier.WEEK, Tier.HOUR: Tier.DAY, Tier.MINUTE: Tier.HOUR}

_PRESENCE = ("present_since", "evidence_since", "removed_at", "unattributed_at")
_MOVED = ("first_seen_at", "last_seen_at", "first_called_at", *_PRESENCE)
"""Times that are moved where they are; last calls and uses are corrected by batches."""

_TIMES = (*_MOVED, "last_called_at", "last_used_at", "attributed_until")


def move_times(database: Database, app: str, *, begin_us: int, end_us: int, shift_us: int) -> None:
    """Move times of an app's endpoints, and starts of its workers, that a wrong clock recorded.

    Args:
        database: The database to write to.
        app: Name of the app.
        begin_us: First wrong time, in microseconds since the epoch.
        end_us: Last wrong time.
        shift_us: Microseconds to add.

    Raises:
        StorageError: The database cannot be written.
    """
    with database.write() as connection:
        # One by one, because a row may have some of these times right.
        for name in _MOVED:
            time = ENDPOINT.c[name]
            moved = sa.update(ENDPOINT).where(ENDPOINT.c.app == app, time.between(begin_us, end_us))
            connection.execute(moved.values({name: time + shift_us}))
        # Otherwise never-called endpoints would seem older than all workers, and be hidden.
        started = WORKER.c.started_at
        ours = sa.update(WORKER).where(WORKER.c.app == app, started.between(begin_us, end_us))
        connection.execute(ours.values(started_at=started + shift_us))
        note_change(database, connection)


def raise_last_calls(database: Database, app: str, *, now: float) -> None:
    """Raise last calls and last uses that are days earlier than the latest counted ones.

    A process may have lowered them by a clock that was behind, and been killed before that was
    set.

    Args:
        database: The database to write to.
        app: Name of the app.
        now: Epoch seconds.

    Raises:
        StorageError: The database cannot be written.
    """
    while rows := _lowered_rows(database, app, now):
        with database.write() as connection:
            for row, last_us in rows:
                # Unless a batch with a later call was added since they were read.
                same = (ENDPOINT.c.id == row.id) & (ENDPOINT.c.last_called_at == row.last_called_at)
                connection.execute(sa.update(ENDPOINT).where(same).values(last_called_at=last_us))
            note_change(database, connection)
        if len(rows) < _AT_ONCE:
            break
    _raise_last_uses(database, app, now)


def _raise_last_uses(database: Database, app: str, now: float) -> None:
    """Raise last uses to the end of the last day, or week, in which a use was counted.

    That is never before the use itself. Without a last use, nothing was lowered: an older release
    has counted the calls.
    """
    ends: dict[int, int] = {}
    with database.read() as connection:
        for width, latest in _used(app, now):
            for row in connection.execute(latest):
                # The end of a week says nothing that its days do not say better.
                end_us = min((int(row.last) + 1) * width * 1_000_000, microseconds(now))
                ends.setdefault(row.id, end_us)
    rows = sorted(ends.items())
    for begin in range(0, len(rows), _AT_ONCE):
        with database.write() as connection:
            for identity, end_us in rows[begin : begin + _AT_ONCE]:
                lower = (ENDPOINT.c.id == identity) & (ENDPOINT.c.last_used_at < end_us)
                connection.execute(sa.update(ENDPOINT).where(lower).values(last_used_at=end_us))
            note_change(database, connection)


def _used(app: str, now: float) -> Iterator[tuple[int, Any]]:
    """Queries for endpoints with uses counted after their last use: id and last bucket.

    Yields:
        The width of the buckets in seconds, and the query.
    """
    last_us, was_used = (
        ENDPOINT.c.last_used_at,
        (ENDPOINT.c.app == app) & (ENDPOINT.c.last_used_at > 0),
    )
    day = STATUS.c.day
    yield (
        _DAY_SECONDS,
        sa.select(ENDPOINT.c.id, sa.func.max(day).label("last"))
        .join(STATUS, STATUS.c.endpoint_id == ENDPOINT.c.id)
        .where(was_used, _is_between(day, _DAY_SECONDS, now - _RECENT_SECONDS, now))
        .where(day * (_DAY_SECONDS * 1_000_000) > last_us, STATUS.c.status.not_in(REFUSED))
        .where(STATUS.c.calls > 0)
        .group_by(ENDPOINT.c.id),
    )
    yield (
        Tier.WEEK.value,
        sa.select(ENDPOINT.c.id, sa.func.max(BUCKET.c.bucket).label("last"))
        .join(BUCKET, BUCKET.c.endpoint_id == ENDPOINT.c.id)
        # Only weeks that are over: the present one has its days.
        .where(was_used, _begins_after(Tier.WEEK, EARLIEST, now - Tier.WEEK, last_us))
        .where(BUCKET.c.calls > BUCKET.c.errors_4xx)
        .group_by(ENDPOINT.c.id),
    )


def _lowered_rows(database: Database, app: str, now: float) -> list[tuple[Any, int]]:
    """Rows with a bucket that begins after their last call, and the latest counted call."""
    last_us = ENDPOINT.c.last_called_at
    recent = _begins_after(Tier.DAY, now - _RECENT_SECONDS, now, last_us)
    counted = (
        sa.select(ENDPOINT.c.id, ENDPOINT.c.last_called_at)
        .join(BUCKET, BUCKET.c.endpoint_id == ENDPOINT.c.id)
        .where(ENDPOINT.c.app == app, recent | _begins_after(Tier.WEEK, EARLIEST, now, last_us))
        .distinct()
        .limit(_AT_ONCE)
    )
    with database.read() as connection:
        rows = connection.execute(counted).all()
        latest = _counted(connection, [row.id for row in rows], now) if rows else {}
    found = ((row, latest.get(row.id, _Counted()).last) for row in rows)
    # The present week may contain nothing but calls that a wrong clock booked ahead.
    return [
        (row, microseconds(last))
        for row, last in found
        if last is not None and microseconds(last) > row.last_called_at
    ]


def correct_left_behind(database: Database, app: str, *, now: float, certain: bool) -> bool:
    """Correct times in 1970, or far in the future, that no running worker recorded.

    A last call becomes the latest counted one if that is at most a day old, and otherwise now: the
    call was made before now, and no endpoint may look dead because of a wrong clock. The same holds
    for last uses. A first call becomes the first one in the buckets. All other times become now;
    those of presence and evidence, of callers and of calls without one are lowered only by a
    certain clock, because they protect endpoints from looking silent.

    Args:
        database: The database to write to.
        app: Name of the app.
        now: Epoch seconds of a clock that is set. If counts of many days lie after it, this clock
            is behind, and nothing is changed.
        certain: True if the clock has lasted for a day.

    Returns:
        True if counts lie far ahead: either they are booked wrong, or this clock is behind.

    Raises:
        StorageError: The database cannot be written.
    """
    limit_us = microseconds(now + AHEAD_SECONDS)
    limits: dict[str, int] = dict.fromkeys(_TIMES, limit_us)
    if not certain:
        limits |= dict.fromkeys(_PRESENCE, _END_US)
    while True:
        with database.read() as connection:
            days_ahead = _days_ahead(connection, now)
            rows = _wrong_rows(connection, app, limits)
            if not rows or days_ahead == _LIVED_DAYS:
                break
            counted = _counted(connection, [row.id for row in rows], now)
        with database.write() as connection:
            for row in rows:
                right = _right(row, counted.get(row.id, _Counted()), now, limits)
                for name, time in right.items():
                    # Unless its worker has written a better one meanwhile.
                    same = (ENDPOINT.c.id == row.id) & (ENDPOINT.c[name] == getattr(row, name))
                    connection.execute(sa.update(ENDPOINT).where(same).values({name: time}))
            note_change(database, connection)
        if len(rows) < _AT_ONCE:
            break
    # Nothing raises the times of callers again, so the clock has to be certain.
    if certain and days_ahead < _LIVED_DAYS:
        correct_callers(database, app, now=now)
    return days_ahead > 0


@dataclass(frozen=True, slots=True)
class _Counted:
    """First and last call of an endpoint according to its buckets: epoch seconds, or None."""

    first: int | None = None
    last: int | None = None

    def with_tier(self, tier: Tier, first: int, last: int) -> "_Counted":
        """The same times, refined by the buckets of the next finer tier."""
        first_at, last_at = first * tier, last * tier
        coarser = _COARSER.get(tier, tier)
        if self.first is not None and first_at >= self.first + coarser:
            first_at = self.first  # The finer buckets of that time are deleted.
        return _Counted(first_at, last_at if self.last is None else max(self.last, last_at))


def _wrong_rows(connection: Connection, app: str, limits: Mapping[str, int]) -> list[Any]:
    """Some rows with impossible times: their id, and the times in the order of `_TIMES`."""
    wrong = sa.or_(*(_is_wrong(ENDPOINT.c[name], limits[name]) for name in _TIMES))
    columns = (ENDPOINT.c.id, *(ENDPOINT.c[name] for name in _TIMES))
    selected = sa.select(*columns).where(ENDPOINT.c.app == app, wrong).limit(_AT_ONCE)
    return list(connection.execute(selected).all())


def _is_wrong(time: sa.Column[int], limit_us: int) -> sa.ColumnElement[bool]:
    # 0 means never, and is no wrong time.
    return (time > limit_us) | ((time > 0) & (time < _EARLIEST_US))


def _days_ahead(connection: Connection, now: float) -> int:
    """On how many days far ahead there are counts; `_LIVED_DAYS` at most."""
    ahead = sa.select(BUCKET.c.bucket).where(
        BUCKET.c.tier == _DAY_SECONDS, BUCKET.c.bucket > int(now + AHEAD_SECONDS) // _DAY_SECONDS
    )
    return len(connection.execute(ahead.distinct().limit(_LIVED_DAYS)).all())


def _counted(connection: Connection, ids: list[int], now: float) -> dict[int, _Counted]:
    """First and last calls by endpoint, within the range of possible times."""
    found: dict[int, _Counted] = {}
    # The coarsest first, because it is kept for longest and the finer ones refine it.
    for tier in sorted(Tier, reverse=True):
        ends = sa.func.min(BUCKET.c.bucket), sa.func.max(BUCKET.c.bucket)
        # The present week may contain calls that a wrong clock booked ahead. Days cover it, too.
        present = int(now) // tier - (tier is Tier.WEEK)
        rows = connection.execute(
            sa.select(BUCKET.c.endpoint_id, *ends)
            .where(
                BUCKET.c.tier == tier.value,
                BUCKET.c.bucket.between(-int(-EARLIEST // tier), present),
                BUCKET.c.endpoint_id.in_(ids),
            )
            .group_by(BUCKET.c.endpoint_id)
        )
        for identity, first, last in rows:
            before = found.get(identity, _Counted())
            found[identity] = before.with_tier(tier, int(first), int(last))
    return found


def _begins_after(
    tier: Tier, since: float, until: float, last_us: sa.Column[int]
) -> sa.ColumnElement[bool]:
    """True for buckets of a tier, from a range of times, that begin after a last call or use."""
    bucket = BUCKET.c.bucket
    return (
        (BUCKET.c.tier == tier.value)
        & _is_between(bucket, tier, since, until)
        & (bucket * (tier * 1_000_000) > last_us)
    )


def _is_between(
    bucket: sa.Column[int], width: int, since: float, until: float
) -> sa.ColumnElement[bool]:
    """True for buckets that begin between two times, in epoch seconds."""
    return bucket.between(-int(-since // width), int(until) // width)


def _right(row: Any, counted: _Counted, now: float, limits: Mapping[str, int]) -> dict[str, int]:
    """The corrected times of a row, by column."""
    right: dict[str, int] = {}

    def corrected(name: str, instead: float) -> int:
        stored: int = getattr(row, name)
        if stored and not _EARLIEST_US <= stored <= limits[name]:
            right[name] = stored = microseconds(instead)
        return stored

    late = counted.last if counted.last and now - counted.last <= AHEAD_SECONDS else now
    last_us = corrected("last_called_at", late)
    first = last_us / 1_000_000 if counted.first is None else counted.first
    first_us = corrected("first_called_at", min(first, last_us / 1_000_000))
    corrected("first_seen_at", min(now, first_us / 1_000_000 or now))
    corrected("last_used_at", late)
    for name in ("last_seen_at", *_PRESENCE):
        corrected(name, now)
    # Equal to the last call, or without a meaning.
    if row.attributed_until == row.last_called_at:
        right["attributed_until"] = last_us
    else:
        corrected("attributed_until", 0)
    return right
