"""The time of a worker's clock as far as the database confirms it. Deletes nothing.

A server has a clock of its own. A file stores the time that was last written. A clock far from that
time is believed after a day, if no other clock has contradicted it meanwhile. So a clock that is
briefly a year ahead deletes nothing, and deletion resumes after a long break.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.storage.engine.clock_skew import AHEAD_SECONDS, clock_ahead_us
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.models import Tier
from fastapi_lens.storage.schema.tables import BUCKET, META

logger = logging.getLogger("fastapi_lens")

FAR_SECONDS = 2 * Tier.DAY.value
"""If the clock is this far from the stored time, nothing has run meanwhile or it is wrong."""

BELIEVED_SECONDS = Tier.DAY.value
"""A clock that has differed for this long is right."""

OFF_SECONDS = 300
"""A clock that differs from a server's by more is not confirmed: it could hide a hole."""

LOOK_SECONDS = 600
"""Interval between two checks of a worker, unless its clock has jumped."""

_NOTE = "clock"


@dataclass(frozen=True, slots=True)
class StoredTimes:
    """The stored times of the workers' clocks, in epoch seconds.

    Attributes:
        latest: The believed time.
        claimed: The time at which a clock began to differ; 0 if none differs.
    """

    latest: int
    claimed: int = 0

    def after(self, now: int) -> "StoredTimes":
        """The state after a clock reports a time."""
        if abs(now - self.latest) <= FAR_SECONDS:
            return StoredTimes(now)
        # Clocks that are wrong in opposite directions do not confirm each other.
        agrees = self.claimed and (self.claimed > self.latest) == (now > self.latest)
        if not agrees or now < self.claimed:
            return StoredTimes(self.latest, now)
        return StoredTimes(now) if now - self.claimed >= BELIEVED_SECONDS else self


class KnownTime:
    """The database's check of one worker's clock.

    Args:
        database: With tables.
        clock: Epoch seconds.
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        """Start without a check."""
        self._database = database
        self._clock = clock
        self._looked_at = float("-inf")
        self._latest, self._ahead_us = float("-inf"), 0
        self._doubts = False

    def forget(self) -> None:
        """Check again at the next `look`: the database may be a different one."""
        self._looked_at = float("-inf")

    def look(self) -> None:
        """Compare the clock, at most once every `LOOK_SECONDS`.

        Raises:
            StorageError: The database cannot be read or written.
        """
        now = self._clock()
        # After the clock was set back, it must not wait until the former time.
        if abs(now - self._looked_at) < LOOK_SECONDS:
            return
        if self._database.dialect.is_file:
            self._latest = self._noted(int(now)).latest
        else:
            with self._database.read() as connection:
                ahead_us = clock_ahead_us(connection, self._clock)
            if ahead_us is None:
                return  # The answer took too long to be of use.
            self._latest, self._ahead_us = now, ahead_us
        self._looked_at = now

    def shared(self) -> float:
        """Epoch seconds by the database's clock, if it has one, as far as it was compared."""
        return self._clock() - self._ahead_us / 1_000_000

    def confirmed(self) -> float | None:
        """The confirmed time, in epoch seconds, from which retention counts; None while in doubt.

        Raises:
            StorageError: The database cannot be read or written.
        """
        self.look()
        now = self._clock()
        had_doubts, self._doubts = self._doubts, now - self._latest > FAR_SECONDS
        if self._doubts and not had_doubts:
            logger.warning(
                "fastapi_lens will delete nothing for a day: this clock is days ahead of the last "
                "time stored in the database. Either no worker has run since, or it is wrong"
            )
        # Only a lead matters: with a clock that is behind, rows only stay for longer.
        return None if self._doubts else now - max(0, self._ahead_us) / 1_000_000

    @property
    def agrees(self) -> bool:
        """True if the clock and the database's time were close at the last `look`."""
        if self._looked_at == float("-inf"):
            return False
        if self._database.dialect.is_file:
            return abs(self._clock() - self._latest) <= FAR_SECONDS
        return abs(self._ahead_us) <= OFF_SECONDS * 1_000_000

    def _noted(self, now: int) -> StoredTimes:
        with self._database.read() as connection:
            stored = _read(connection) or _first(connection, now)
        latest = stored.after(now)
        with self._database.write() as connection:
            value = f"{latest.latest} {latest.claimed}"
            update = sa.update(META).where(META.c.name == _NOTE).values(value=value)
            if not connection.execute(update).rowcount:
                insert = self._database.insert_ignore(META)
                connection.execute(insert, {"name": _NOTE, "value": value})
        return latest


def _read(connection: Connection) -> StoredTimes | None:
    note = sa.select(META.c.value).where(META.c.name == _NOTE)
    try:
        # A missing or edited note has no two numbers.
        latest, claimed = map(int, str(connection.execute(note).scalar_one_or_none()).split())
    except ValueError:
        return None
    return StoredTimes(latest, claimed)


def _first(connection: Connection, now: int) -> StoredTimes:
    """The time derived from counts of an earlier release; the present if there are none."""
    # Later days were counted by a wrong clock.
    ahead = int(now + AHEAD_SECONDS) // Tier.DAY
    last = sa.select(sa.func.max(BUCKET.c.bucket)).where(
        BUCKET.c.tier == Tier.DAY.value, BUCKET.c.bucket <= ahead
    )
    day = connection.execute(last).scalar()
    return StoredTimes(now if day is None else (int(day) + 1) * Tier.DAY)
