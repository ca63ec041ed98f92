"""Correction of the times under which counts are stored. Knows no thread and no table."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from fastapi_lens.recording.flush.clock_jumps import ClockJumps, Moved
from fastapi_lens.recording.flush.pending import Pending
from fastapi_lens.recording.series import SeriesDelta
from fastapi_lens.storage.engine.clock_skew import AHEAD_SECONDS, EARLIEST, microseconds
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.writing.batches import EndpointFacts, Use
from fastapi_lens.storage.writing.endpoint_times import (
    correct_left_behind,
    move_times,
    raise_last_calls,
)


class ClockCorrection:
    """Corrects times that the worker's clock returned while it was wrong.

    Args:
        clock: Epoch seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        """Trust the clock until it is set."""
        self._jumps = ClockJumps(clock)
        self._called: dict[int, tuple[float, float]] = {}
        self._recalled: set[int] = set()
        self._moves: list[Moved] = []
        self._raises = True
        self.corrected = self._jumps.corrected
        self.now = self._jumps.now

    @property
    def is_open(self) -> bool:
        """True if the clock is set, so that counts may be stored."""
        return self._jumps.is_set

    @property
    def limit_us(self) -> int:
        """The time, in microseconds since the epoch, after which times come from a wrong clock."""
        return microseconds(self.now() + AHEAD_SECONDS)

    @property
    def unbroken_since(self) -> float:
        """Epoch seconds since which the clock has run without a jump, a doubt or a pause."""
        return self._jumps.unbroken_since

    @property
    def has_jumped(self) -> bool:
        """True if the clock has jumped since the first look."""
        return self._jumps.has_jumped

    def look(self, pending: Pending) -> Moved | None:
        """Check if the clock was set; if so, move the pending counts to the correct minutes.

        Returns:
            The times that turned out to be wrong; None if there are none.
        """
        moved = self._jumps.look()
        if moved is not None:
            pending.rebook(self.corrected)
            # Times from before the clock was set were never stored.
            if moved.end >= EARLIEST:
                self._recall(moved)
        if self._jumps.is_certain:
            # Their times are right, except those that are still to be corrected.
            self._called = {one: self._called[one] for one in self._recalled}
        return moved

    def _recall(self, moved: Moved) -> None:
        self._moves.append(moved)
        for one, (first, last) in self._called.items():
            if moved.begin <= last <= moved.end:
                self._called[one] = (self.corrected(first), self.corrected(last))
                self._recalled.add(one)

    def counted(self, counted: SeriesDelta) -> SeriesDelta:
        """The same calls at the corrected times."""
        last = self.corrected(counted.last_at)
        first = min(last, self.corrected(counted.first_at))
        if (first, last) == (counted.first_at, counted.last_at):
            return counted
        return counted._replace(first_at=first, last_at=last)

    def note(self, endpoint_id: int, counted: SeriesDelta) -> None:
        """Keep the times of calls for `recalled`, while the clock may turn out to be wrong.

        Args:
            endpoint_id: The endpoint of the calls.
            counted: As `counted` returned them.
        """
        if not self._jumps.is_certain:
            first, _ = self._called.get(endpoint_id, (counted.first_at, 0.0))
            self._called[endpoint_id] = (min(first, counted.first_at), counted.last_at)

    def recalled(self) -> list[Use]:
        """The endpoints that were called at times which turned out to be wrong, once each.

        As uses at the corrected times they correct the last call, in whatever order batches are
        added.
        """
        uses: list[Use] = []
        for one in sorted(self._recalled):
            first, last = self._called[one]
            uses.append(Use(one, 1, since_us=microseconds(first), until_us=microseconds(last)))
        self._recalled = set()
        return uses

    def facts(self, facts: Iterable[EndpointFacts]) -> list[EndpointFacts]:
        """The same endpoints with corrected times; 0, which means never, stays."""
        return [
            replace(fact, seen_at_us=microseconds(self.corrected(fact.seen_at_us / 1_000_000)))
            if fact.seen_at_us
            else fact
            for fact in facts
        ]

    def correct_stored(self, database: Database, app: str, *, left: bool) -> None:
        """Correct what was stored while the clock was wrong, if it was.

        Args:
            database: The database to write to.
            app: Name of the app.
            left: Also correct wrong times that workers which have ended have left behind.

        Raises:
            StorageError: The database cannot be written; the next call tries again.
        """
        while self._moves:
            moved = self._moves[0]
            move_times(
                database,
                app,
                begin_us=microseconds(moved.begin),
                end_us=microseconds(moved.end),
                shift_us=microseconds(moved.shift),
            )
            # Only now, so that an error leaves it for the next call.
            del self._moves[0]
            self._raises = True
        if left and correct_left_behind(
            database, app, now=self.now(), certain=self._jumps.is_certain
        ):
            self._jumps.suspect()
        if self._raises:
            raise_last_calls(database, app, now=self.now())
            self._raises = False
