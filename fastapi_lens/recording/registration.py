"""What a database knows of a worker: its tables, the worker, its endpoints, who was killed before.

Knows no thread and no counts.
"""

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import replace

from fastapi_lens.recording.booking import Booking
from fastapi_lens.recording.processes import tell_killed
from fastapi_lens.storage.batches import EndpointFacts, WorkerFacts, endpoint_id
from fastapi_lens.storage.database import Database
from fastapi_lens.storage.inspection import NAMESAKE, has_namesake
from fastapi_lens.storage.known_time import KnownTime
from fastapi_lens.storage.migrations import migrate
from fastapi_lens.storage.writer import Writer

logger = logging.getLogger("fastapi_lens")

REDISCOVER_EVERY_SECONDS = 30.0


class Registration:
    """Makes one worker known.

    Args:
        database: To whom.
        writer: Writes the worker and its endpoints.
        booking: Knows the right times.
        clock: Epoch seconds.

    Attributes:
        worker: Who it is; its app is the app of all endpoints.
        discover: Gives the endpoints that the app has now, called or not.
        known_time: What the database says to the clock.
    """

    def __init__(
        self,
        database: Database,
        writer: Writer,
        booking: Booking,
        clock: Callable[[], float],
        *,
        worker: WorkerFacts,
        discover: Callable[[], Iterable[EndpointFacts]],
    ) -> None:
        """Make nothing known yet."""
        self.worker = worker
        self.discover = discover
        self.known_time = KnownTime(database, clock)
        self._database = database
        self._writer = writer
        self._booking = booking
        self._clock = clock
        self._known: dict[int, EndpointFacts] = {}
        self._registered: dict[int, EndpointFacts] | None = None
        self._discovered_at = self._reached_at = float("-inf")
        self._unclear = self._said = False

    def id_of(self, method: str, path: str, seen_at: float) -> int:
        """The id of an endpoint that was called, and is made known where it is not yet.

        Args:
            method: Its method.
            path: Its template.
            seen_at: Epoch seconds.
        """
        identity = endpoint_id(self.worker.app, method, path)
        if identity not in self._known:
            facts = EndpointFacts(identity, self.worker.app, method, path)
            self._known[identity] = replace(facts, seen_at_us=_microseconds(seen_at))
        return identity

    def rediscover(self) -> None:
        """Look for new endpoints at the next turn, whenever that is."""
        self._discovered_at = float("-inf")

    def forget(self) -> None:
        """Make everything known again: the database may be another one."""
        self._registered = None
        self.known_time.forget()

    def renew(self, *, applied: int, log_applied: int) -> None:
        """Make the tables, the worker and new endpoints known.

        Args:
            applied: Number of the worker's last batch known to be applied.
            log_applied: Number of its last batch of the request log.

        Raises:
            SchemaTooNewError: A newer release has migrated the database.
            StorageError: The database cannot be written.
        """
        now = time.monotonic()
        begins = self._registered is None
        looks = begins or now - self._discovered_at >= REDISCOVER_EVERY_SECONDS
        if looks:
            self._discovered_at = now
            self._known.update((fact.id, fact) for fact in self.discover())
        if begins:
            migrate(self._database)
            self._reached_at = now
            self._say_whose_it_is()
        # Before anything of this worker's can be taken for what was told earlier.
        self.known_time.look()
        if begins or (self._unclear and looks):
            self._unclear = tell_killed(
                self._database,
                self.worker,
                now_us=_microseconds(self._clock()),
                reached_seconds=now - self._reached_at,
            )
        self._register(applied=applied, log_applied=log_applied)
        self._booking.mend(self._database, self.worker.app, left=looks)

    def _register(self, *, applied: int, log_applied: int) -> None:
        done = self._registered or {}
        # Also those that were called before they were discovered and have all their facts now.
        new = [fact for fact in self._known.values() if done.get(fact.id) != fact]
        if new or self._registered is None:
            self._writer.register(
                self._booking.facts(new),
                applied=applied,
                now_us=_microseconds(self._clock()),
                log_applied=log_applied,
            )
            self._registered = done | {fact.id: fact for fact in new}

    def _say_whose_it_is(self) -> None:
        said, self._said = self._said, True
        if not said and has_namesake(self._database):
            logger.warning("fastapi_lens: %s", NAMESAKE)


def _microseconds(seconds: float) -> int:
    return round(seconds * 1_000_000)
