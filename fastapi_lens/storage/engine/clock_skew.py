"""The database's clock, which is one for all hosts, and how far a worker's is from it.

Counts are booked by the clock of the worker that counted them; this one only tells whose is wrong.
"""

import time
from collections.abc import Callable

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.storage.engine.dialects import dialect_of

EARLIEST = 1_577_836_800.0
"""2020-01-01 00:00 UTC: years before the first release, and later than the time at which the clock
of any board starts. A clock that is earlier is not set yet."""

AHEAD_SECONDS = 86_400.0
"""A time this far ahead came from a wrong clock; time zones and hosts differ by less."""

LONGEST_ANSWER_SECONDS = 1.0
"""An answer that takes longer tells nothing: its network was cut, or its host asleep."""


def microseconds(seconds: float) -> int:
    """Seconds in whole microseconds, which is what the tables hold."""
    return round(seconds * 1_000_000)


def clock_ahead_us(connection: Connection, clock: Callable[[], float]) -> int | None:
    """How far a clock is ahead of the database's.

    Args:
        connection: To the database; takes one round trip.
        clock: Epoch seconds.

    Returns:
        Microseconds, negative where it is behind, within half the time of the answer (on MariaDB
        half a second more); None on SQLite, and when the answer took too long to tell.
    """
    dialect = dialect_of(connection)
    if dialect.is_file:
        return None
    asked, begun = clock(), time.monotonic()
    theirs_us = connection.execute(sa.select(dialect.clock_us)).scalar_one()
    took = time.monotonic() - begun
    if theirs_us is None or took > LONGEST_ANSWER_SECONDS:
        return None
    return microseconds(asked + took / 2) - int(theirs_us)
