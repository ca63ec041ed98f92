"""The minutes that a worker has watched from begin to end, until they are marked. Pure.

Knows no clock, no thread and no table. Minutes are numbers since the epoch. A minute that was not
watched as a whole is never marked: neither that of the start, nor those around a jump of the clock
or a pause of the process.
"""

from fastapi_lens.storage.coordination.observed import Observed, hours_between

MINUTE = 60
SETTLED_SECONDS = 1.0
"""A minute is over this long after its end: its last call may have taken its time, and not be
counted yet."""

MOST_MINUTES = 200 * 60
"""Most minutes of one report, after the database was down for long; later ones take the rest."""

_MOST_RANGES = 1_000


class Observation:
    """The watched minutes of one worker.

    Args:
        begun: Time at which it began to record, in epoch seconds; see `ClockJumps`.
    """

    def __init__(self, begun: float) -> None:
        """Mark nothing yet."""
        self._unbroken_since = begun
        self._next = _first_whole(begun)
        self._marked: list[range] = []
        self._wrong: list[range] = []
        self._lost: set[int] = set()
        self._noted: frozenset[int] = frozenset()

    @property
    def is_urgent(self) -> bool:
        """True if there is something to report that makes earlier marks wrong."""
        return bool(self._lost or self._wrong)

    def follow(self, unbroken_since: float) -> None:
        """Begin again if the clock has jumped or the process has paused.

        Args:
            unbroken_since: See `ClockJumps`.
        """
        if unbroken_since != self._unbroken_since:
            self._unbroken_since = unbroken_since
            self.restart(unbroken_since)

    def restart(self, now: float) -> None:
        """Begin again: what is not marked yet before a time, in epoch seconds, never will be."""
        self._next = _first_whole(now)
        self._noted = frozenset()

    def lose(self, first: float, last: float) -> None:
        """Note that calls between two times, in epoch seconds, will never be written."""
        # Without a lock, as requests call this: each change of the set is one step.
        self._lost.update(set(hours_between(first, last)) - self._noted)

    def void(self, begin: float, end: float) -> None:
        """Take back marks between two times that came from a wrong clock, in epoch seconds."""
        first, last = int(begin // MINUTE), int(end // MINUTE)
        for marked in self._marked:
            wrong = range(max(first, marked.start), min(last + 1, marked.stop))
            if wrong:
                self._wrong.append(wrong)

    def report(self, complete_to: float, *, is_confirmed: bool) -> Observed:
        """All that the database does not have yet.

        Args:
            complete_to: Time up to which all calls of the worker are written, in epoch seconds.
            is_confirmed: True if the database confirms its clock; otherwise no minute is marked.
        """
        lost_hours, wrong = tuple(sorted(self._lost)), tuple(self._wrong)
        if not is_confirmed:
            return Observed(wrong=wrong, lost_hours=lost_hours)
        minutes = range(self._next, int((complete_to - SETTLED_SECONDS) // MINUTE))[:MOST_MINUTES]
        # Now, because the database may get it although the answer is lost.
        self._remember(minutes)
        return Observed(minutes, wrong, lost_hours, at=complete_to)

    def written(self, observed: Observed) -> None:
        """Forget what a report has told, because the database has it."""
        if observed.lost_hours:
            self._noted = frozenset(observed.lost_hours)
            self._lost.difference_update(self._noted)
        # Not all: more may have been found while the report was written.
        del self._wrong[: len(observed.wrong)]
        # Otherwise it has begun again meanwhile.
        if observed.minutes and self._next == observed.minutes.start:
            self._next = observed.minutes.stop

    def _remember(self, minutes: range) -> None:
        """Keep minutes that may be marked, in case that they turn out to be wrong."""
        last = self._marked[-1] if self._marked else range(-2, -1)
        if minutes and last.start <= minutes.start <= last.stop:
            self._marked[-1] = range(last.start, max(last.stop, minutes.stop))
        elif minutes:
            self._marked = [*self._marked, minutes][-_MOST_RANGES:]


def _first_whole(begun: float) -> int:
    """The first minute that begins at a time or after it."""
    return -int(-begun // MINUTE)
