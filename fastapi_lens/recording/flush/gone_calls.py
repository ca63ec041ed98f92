"""Counts of the calls that removed endpoints still get. Knows no thread and no transaction."""

import time
from collections import Counter
from collections.abc import Callable, Collection

from fastapi_lens.recording.log.unrouted_calls import UnroutedCalls
from fastapi_lens.recording.routes.removed_endpoints import RemovedEndpoints
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.records.removed_endpoints import RemovedEndpoint, removed_endpoints
from fastapi_lens.storage.schema.models import Tier
from fastapi_lens.storage.writing.log_writer import CountedGone
from fastapi_lens.text.noise import NOISE, is_noise
from fastapi_lens.text.user_agents import family

LOOK_SECONDS = 30.0
"""Interval at which the removed endpoints are read again."""


class GoneCalls:
    """Finds the removed endpoints of calls that no route matched.

    Args:
        unrouted: The calls; kept only while there are removed endpoints.
        database: The database with the endpoints.
        app: Name of their app.
        corrected: Returns the correct time, in epoch seconds, for a time of the clock.
        noise: Names of callers that are noise.
        timer: Seconds of a monotonic clock.

    Attributes:
        noise: The same; may be replaced at any time.
    """

    def __init__(
        self,
        unrouted: UnroutedCalls,
        database: Database,
        app: str,
        *,
        corrected: Callable[[float], float],
        noise: Collection[str] = NOISE,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read nothing yet."""
        self._unrouted = unrouted
        self._database = database
        self._app = app
        self._corrected = corrected
        self.noise = noise
        self._timer = timer
        self._looked_at = float("-inf")
        self._read: tuple[RemovedEndpoint, ...] = ()
        self._removed = RemovedEndpoints(())

    def take(self) -> list[CountedGone]:
        """Take the calls out of memory, and count those of removed endpoints.

        Raises:
            StorageError: The database cannot be read; the calls stay in memory.
        """
        self._look_when_due()
        counts = Counter[tuple[int, int, bool]]()
        noisy: dict[bytes, bool] = {}
        for call in self._unrouted.take():
            found = self._removed.find(call.method, call.path)
            if found is None:
                continue
            # Once for each agent, because a scanner sends the same one many times.
            if call.agent not in noisy:
                noisy[call.agent] = is_noise(family(call.agent), self.noise)
            day = int(self._corrected(call.at) // Tier.DAY)
            counts[day, found, noisy[call.agent]] += 1
        return [CountedGone(*key, calls) for key, calls in sorted(counts.items())]

    def _look_when_due(self) -> None:
        """Read the removed endpoints, if that was not just done."""
        now = self._timer()
        if now - self._looked_at < LOOK_SECONDS:
            return
        read = removed_endpoints(self._database, self._app)
        # Not before the read, so that the next flush repeats a failed one.
        self._looked_at = now
        # Comparing is cheaper than building the tree.
        if read != self._read:
            self._read, self._removed = read, RemovedEndpoints(read)
        self._unrouted.is_wanted = bool(read)
