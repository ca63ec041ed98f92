"""When a worker empties the inbox: one worker at a time does, under a lease of some seconds."""

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
"""Between two looks of the others whether somebody has the lease: with its own seconds, the next
one takes over within 10 s after a death."""

SOON_SECONDS = 1.0
"""Between two turns of the one that has it; what others have written is shown so soon."""

REST_TIMES = 50
SELDOM_SECONDS = 5.0
"""It rests so many times as long as a turn took, and so long at most: what it costs depends on the
endpoints, and hardly on the batches. A backlog and its own flush do not wait for it."""

AFTER_ERROR_SECONDS = 10.0
"""Rest after an error: long enough that another worker takes over, which may be luckier."""

BACKLOG_SECONDS = 0.05
TURN_SECONDS = 1.0
"""So long one turn takes at most, before the worker's own counts are written again."""

END_SECONDS = 3.0


class Draining:
    """The turns of one worker.

    Args:
        database: Whose inbox.
        owner: The id of the worker.
        clock: Epoch seconds, by the clock that all workers of the database have in common.
        timer: Seconds that pass.
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
        """Empty the inbox, if that is for this worker to do.

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
        """Empty the inbox for the last time: whoever else does it may be ending as well.

        Raises:
            StorageError: The database cannot be read or written; what waits there is added by the
                next worker.
        """
        self._drain.run(seconds=END_SECONDS)
        if self._may_be_ours:
            self._is_ours = self._may_be_ours = False
            give_back_lease(self._database, LEASE, owner=self._owner)

    def _has_lease(self, now: float) -> bool:
        if self._is_ours and now < self._renew_at:
            return True
        # An answer that gets lost leaves it open whose it is.
        asks = (renew_lease, take_lease) if self._may_be_ours else (take_lease,)
        self._is_ours, self._may_be_ours = False, True
        self._is_ours = self._may_be_ours = any(
            ask(self._database, LEASE, owner=self._owner, now=self._clock(), seconds=LEASE_SECONDS)
            for ask in asks
        )
        self._renew_at = now + RENEW_SECONDS
        return self._is_ours
