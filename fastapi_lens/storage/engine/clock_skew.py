"""The difference between a worker's clock and the database's, which is the same for all hosts.

Counts are booked by the clock of the worker that counted them; the database's clock only shows
which worker's clock is wrong.
"""

import time
from collections.abc import Callable

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.storage.engine.dialects import dialect_of

EARLIEST = 1_577_836_800.0
"""2020-01-01 00:00 UTC: years before the first release, and later than the initial time of any
board without a battery. An earlier clock is not set yet."""

AHEAD_SECONDS = 86_400.0
"""A time this far ahead came from a wrong clock; time zones and hosts differ by less."""

LONGEST_ANSWER_SECONDS = 1.0
"""Longest useful answer time: after a longer one, the network was cut, or the host was asleep."""


def microseconds(seconds: float) -> int:
    """Seconds as whole microseconds, the unit of the tables."""
    return round(seconds * 1_000_000)


def clock_ahead_us(connection: Connection, clock: Callable[[], float]) -> int | None:
    """The lead of a clock over the database's.

    Args:
        connection: To the database; takes one round trip.
        clock: Epoch seconds.

    Returns:
        Microseconds, negative if it is behind; accurate to half the time of the answer (on
        MariaDB half a second more). None on SQLite, and if the answer took too long.
    """
    dialect = dialect_of(connection)
    if dialect.is_file:
        return None
    asked, begun = clock(), time.monotonic()
    theirs_us = connection.execute(sa.select(dialect.clock_us)).scalar_one()
    took = time.monotonic() - begun
    if theirs_us is None or took > LONGEST_ANSWER_SECONDS:
        return None
    # The server has read its clock about halfway between question and answer.
    return microseconds(asked + took / 2) - int(theirs_us)
