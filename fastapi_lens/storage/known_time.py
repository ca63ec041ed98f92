"""The time as far as a database confirms what a worker's clock says. Deletes nothing.

A server has a clock of its own. A file has the time that was told last: a clock that is far from
it is believed when it has said so for a day, in whatever processes, and nobody spoke against it.
So a clock that is a year ahead for a moment deletes nothing, and a long break ends.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.storage.clocks import AHEAD_SECONDS, clock_ahead_us
from fastapi_lens.storage.database import Database
from fastapi_lens.storage.models import Tier
from fastapi_lens.storage.tables import BUCKET, META

logger = logging.getLogger("fastapi_lens")

FAR_SECONDS = 2 * Tier.DAY.value
"""So much later than the time that was told last, either nobody ran or the clock is wrong."""

BELIEVED_SECONDS = Tier.DAY.value
"""A clock that has said so for so long is right."""

LOOK_SECONDS = 600
"""Between two looks of a worker, unless its clock has jumped."""

_NOTE = "clock"


@dataclass(frozen=True, slots=True)
class _Told:
    """What clocks have told, in epoch seconds.

    Attributes:
        latest: What is believed.
        claimed: Since when a clock says something else; 0 while none does.
    """

    latest: int
    claimed: int = 0

    def then(self, now: int) -> "_Told":
        """What is known when a clock says that it is now."""
        if abs(now - self.latest) <= FAR_SECONDS:
            return _Told(now)
        agrees = self.claimed and (self.claimed > self.latest) == (now > self.latest)
        if not agrees or now < self.claimed:
            return _Told(self.latest, now)
        return _Told(now) if now - self.claimed >= BELIEVED_SECONDS else self


class KnownTime:
    """What one worker's database says to its clock.

    Args:
        database: With tables.
        clock: Epoch seconds.
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        """Ask nothing yet."""
        self._database = database
        self._clock = clock
        self._looked_at = float("-inf")
        self._latest, self._ahead_us = float("-inf"), 0
        self._doubts = False

    def forget(self) -> None:
        """Look anew: the database may be another one."""
        self._looked_at = float("-inf")

    def look(self) -> None:
        """Compare the clock, at most once in some minutes.

        Raises:
            StorageError: The database cannot be read or written.
        """
        now = self._clock()
        if abs(now - self._looked_at) < LOOK_SECONDS:
            return
        if self._database.dialect == "sqlite":
            self._latest = self._noted(int(now)).latest
        else:
            with self._database.read() as connection:
                ahead_us = clock_ahead_us(connection, self._clock)
            if ahead_us is None:
                return  # Its answer took too long to tell.
            self._latest, self._ahead_us = now, ahead_us
        self._looked_at = now

    def confirmed(self) -> float | None:
        """The time before which may be deleted, in epoch seconds; None while that is in doubt.

        Raises:
            StorageError: The database cannot be read or written.
        """
        self.look()
        now = self._clock()
        doubted, self._doubts = self._doubts, now - self._latest > FAR_SECONDS
        if self._doubts and not doubted:
            logger.warning(
                "fastapi_lens deletes nothing for a day: its clock is days ahead of what this "
                "database was told last; either nothing has run meanwhile, or the clock is wrong"
            )
        return None if self._doubts else now - max(0, self._ahead_us) / 1_000_000

    def _noted(self, now: int) -> _Told:
        with self._database.read() as connection:
            told = _read(connection) or _first(connection, now)
        after = told.then(now)
        with self._database.write() as connection:
            value = f"{after.latest} {after.claimed}"
            mine = sa.update(META).where(META.c.name == _NOTE).values(value=value)
            if not connection.execute(mine).rowcount:
                insert = self._database.insert_ignore(META)
                connection.execute(insert, {"name": _NOTE, "value": value})
        return after


def _read(connection: Connection) -> _Told | None:
    note = sa.select(META.c.value).where(META.c.name == _NOTE)
    try:
        latest, claimed = map(int, str(connection.execute(note).scalar_one_or_none()).split())
    except ValueError:
        return None
    return _Told(latest, claimed)


def _first(connection: Connection, now: int) -> _Told:
    """What the counts tell that an earlier release has written; now where there are none."""
    ahead = int(now + AHEAD_SECONDS) // Tier.DAY
    last = sa.select(sa.func.max(BUCKET.c.bucket)).where(
        BUCKET.c.tier == Tier.DAY.value, BUCKET.c.bucket <= ahead
    )
    day = connection.execute(last).scalar()
    return _Told(now if day is None else (int(day) + 1) * Tier.DAY)
