"""Schedule of draining: one worker at a time empties the inbox, under a lease of some seconds.

A short lease replaces a drainer that died within 10 s. Pauses that grow with the work done keep
the cost per second bounded, however many workers fill the inbox.
"""

import time
from collections.abc import Callable

from fastapi_lens.errors import StorageError
from fastapi_lens.storage.coordination.leases import give_back_lease, renew_lease, take_lease
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.writing.drain import Drain

LEASE = "drain"
LEASE_SECONDS = 6
RENEW_SECONDS = 2.0
LOOK_SECONDS = 2.5
"""Interval at which the other workers try to take the lease. Together with the lease's seconds,
another worker takes over within 10 s of a death."""

SOON_SECONDS = 1.0
"""Shortest pause between two turns of the lease holder: the age of other workers' counts on a
page."""

REST_TIMES = 50
SELDOM_SECONDS = 5.0
"""The pause is `REST_TIMES` the duration of a turn, at most `SELDOM_SECONDS`: so the cost depends
on the endpoints, and hardly on the batches. A backlog and the worker's own flush do not wait."""

AFTER_ERROR_SECONDS = 10.0
"""Rest after an error: long enough that another worker takes over, which may be luckier."""

BACKLOG_SECONDS = 0.05
TURN_SECONDS = 1.0
"""Longest turn, after which the worker writes its own counts again."""

END_SECONDS = 3.0


class Draining:
    """The drain turns of one worker.

    Args:
        database: The database whose inbox is emptied.
        owner: The id of the worker.
        clock: Epoch seconds of the clock that all workers of the database share.
        timer: Seconds of a monotonic clock.
    """

    def __init__(
        self,
        database: Database,
        *,
        owner: str,
        clock: Callable[[], float],
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take no lease yet."""
        self._database = database
        self._owner = owner
        self._clock = clock
        self._timer = timer
        self._drain = Drain(database, clock=clock)
        self._renew_at = self._rests_until = float("-inf")
        self._is_ours = self._may_be_ours = False

    def turn(self) -> float:
        """Empty the inbox if this worker has the lease, or can take it.

        Returns:
            Seconds until the next turn.

        Raises:
            StorageError: The database cannot be read or written.
        """
        now = self._timer()
        if now < self._rests_until:
            return self._rests_until - now
        if not self._has_lease(now):
            return LOOK_SECONDS
        begun = self._timer()
        try:
            is_empty = self._drain.run(seconds=TURN_SECONDS)
        except StorageError:
            self._rests_until = self._timer() + AFTER_ERROR_SECONDS
            raise
        if not is_empty:
            return BACKLOG_SECONDS
        rest = REST_TIMES * (self._timer() - begun)
        return min(max(SOON_SECONDS, rest), SELDOM_SECONDS)

    def end(self) -> None:
        """Empty the inbox for the last time, even without the lease: its holder may be ending, too.

        Raises:
            StorageError: The database cannot be read or written; the next worker adds what waits
                    there.
        """
        self._drain.run(seconds=END_SECONDS)
        if self._may_be_ours:
            self._is_ours = self._may_be_ours = False
            give_back_lease(self._database, LEASE, owner=self._owner)

    def _has_lease(self, now: float) -> bool:
        if self._is_ours and now < self._renew_at:
            return True
        # If the answer to a request is lost, this worker may have the lease or not.
        asks = (renew_lease, take_lease) if self._may_be_ours else (take_lease,)
        self._is_ours, self._may_be_ours = False, True
        self._is_ours = self._may_be_ours = any(
            ask(self._database, LEASE, owner=self._owner, now=self._clock(), seconds=LEASE_SECONDS)
            for ask in asks
        )
        self._renew_at = now + RENEW_SECONDS
        return self._is_ours
