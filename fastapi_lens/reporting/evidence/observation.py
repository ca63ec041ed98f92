"""Observed time of an app: since when it is watched, and its holes. Also its releases.

Knows no calls. Minutes are marked by `storage.coordination.observed`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.storage.engine.prepared import Prepared
from fastapi_lens.storage.schema.identities import dropped_id
from fastapi_lens.storage.schema.sanitized_rows import sound_rows
from fastapi_lens.storage.schema.tables import OBSERVED, RELEASE
from fastapi_lens.verdict.days import Holes

HOLE_MINUTES = 60
"""Fewest minutes in a row without observation that are a hole; shorter ones are deployments."""

UNWRITTEN_SECONDS = 120
"""Marks of the last seconds may not be written yet: the longest flush interval and two beats."""

_MINUTE = 60
_HOUR_MINUTES = 60
_DAY_MINUTES = 1_440
_WHOLE_HOUR = (1 << _HOUR_MINUTES) - 1


@dataclass(frozen=True, slots=True)
class Observation:
    """The observed time of an app. Days are numbers since the epoch (UTC).

    Attributes:
        since_day: The day of the first observed minute; None if there is none.
        today: The present day.
        holes: First and last days of runs of hole days since then, ascending, never adjacent. A
            day is a hole day if 60 or more minutes in a row, of which it has at least one, were
            not observed.
        hole_days: Number of hole days.
        until: End of the last observed minute, in epoch seconds; None if there is none.
    """

    since_day: int | None
    today: int
    holes: tuple[tuple[int, int], ...] = ()
    hole_days: int = 0
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Release:
    """One release that has recorded.

    Attributes:
        id: Its id in the rows of endpoints.
        name: Its name; empty for workers that name no release.
        first_at: First time at which it recorded, in epoch seconds.
        last_at: Last time.
    """

    id: int
    name: str
    first_at: float
    last_at: float


def read_observation(connection: Connection, app: str, *, now: float) -> Observation:
    """The observed time of an app, over all its releases.

    Args:
        connection: In a reading transaction.
        app: Its name.
        now: Epoch seconds.
    """
    today = int(now // _MINUTE) // _DAY_MINUTES
    hours = _observed_hours(connection, app, last_hour=int(now // _MINUTE) // _HOUR_MINUTES)
    if not hours:
        return Observation(None, today)
    first_hour, minutes = hours[0]
    first = first_hour * _HOUR_MINUTES + _lowest_bit(minutes)
    end = int((now - UNWRITTEN_SECONDS) // _MINUTE)
    holes = Holes.of(_hole_days(hours, end))
    last_hour, last_minutes = hours[-1]
    until = float((last_hour * _HOUR_MINUTES + last_minutes.bit_length()) * _MINUTE)
    return Observation(first // _DAY_MINUTES, today, tuple(holes), holes.days(), until)


def release_names(connection: Connection, app: str) -> tuple[Release, ...]:
    """The releases of an app, in the order of their first recording."""
    rows = sa.select(RELEASE).where(RELEASE.c.app == app).order_by(RELEASE.c.first_at, RELEASE.c.id)
    return tuple(
        Release(row.id, row.name, row.first_at / 1_000_000, row.last_at / 1_000_000)
        for row in sound_rows(connection.execute(rows), RELEASE)
    )


def _observed_hours(connection: Connection, app: str, *, last_hour: int) -> list[tuple[int, int]]:
    """Hours with an observed minute, ascending, and their minutes as bits.

    Args:
        connection: In a reading transaction.
        app: The name of the app.
        last_hour: Later hours come from a wrong clock.
    """
    observed = _union(_OF_RELEASES.read(connection, {"app": app, "last_hour": last_hour}))
    values = {"dropped_id": dropped_id(app), "last_hour": last_hour}
    for hour, minutes in _DROPPED.read(connection, values):
        if hour in observed:
            # The lost calls may have been the only ones, so the hour proves no silence.
            observed[hour] &= ~minutes
    return sorted((hour, minutes) for hour, minutes in observed.items() if minutes)


def _of(where: sa.ColumnElement[bool]) -> Prepared:
    """Hours and minutes of some rows, without values that no release could have written."""
    # A file may hold fractions in these columns.
    columns = [sa.cast(column, sa.BigInteger) for column in (OBSERVED.c.hour, OBSERVED.c.minutes)]
    return Prepared(
        cast("sa.Select[Any]", sa.select(*columns)).where(
            where,
            OBSERVED.c.hour.between(sa.literal_column("0"), sa.bindparam("last_hour")),
            OBSERVED.c.minutes.between(sa.literal_column("1"), sa.literal_column(str(_WHOLE_HOUR))),
        )
    )


_OF_RELEASES = _of(
    OBSERVED.c.release_id.in_(sa.select(RELEASE.c.id).where(RELEASE.c.app == sa.bindparam("app")))
)
_DROPPED = _of(OBSERVED.c.release_id == sa.bindparam("dropped_id"))


def _union(rows: list[Any]) -> dict[int, int]:
    """The minutes of rows by hour."""
    found: dict[int, int] = dict(rows)
    # Three years of one release are 26,000 rows: no loop where no two rows share an hour.
    if len(found) < len(rows):
        for hour, minutes in rows:
            found[hour] |= minutes
    return found


def _lowest_bit(minutes: int) -> int:
    """The number of the lowest bit that is set."""
    return (minutes & -minutes).bit_length() - 1


def _hole_days(hours: Sequence[tuple[int, int]], end: int) -> Iterator[tuple[int, int]]:
    """First and last days of the holes.

    Args:
        hours: See `_observed_hours`; at least one.
        end: The first minute whose observation may not be written yet.
    """
    seen_to = hours[0][0] * _HOUR_MINUTES
    for hour, minutes in hours:
        # Of each hour only the first and the last minute matter: a gap inside it is no hole.
        begin = hour * _HOUR_MINUTES
        if begin > seen_to and begin + _lowest_bit(minutes) - seen_to >= HOLE_MINUTES:
            yield seen_to // _DAY_MINUTES, (begin + _lowest_bit(minutes) - 1) // _DAY_MINUTES
        seen_to = begin + minutes.bit_length()
    if end - seen_to >= HOLE_MINUTES:
        yield seen_to // _DAY_MINUTES, (end - 1) // _DAY_MINUTES
