"""Registration of a worker in a database: tables, worker, endpoints, killed predecessors.

Knows no thread and no counts.
"""

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import NamedTuple

from fastapi_lens.recording.flush.clock_correction import ClockCorrection
from fastapi_lens.recording.flush.processes import report_killed
from fastapi_lens.storage.coordination.confirmed_time import KnownTime
from fastapi_lens.storage.coordination.worker import WorkerFacts
from fastapi_lens.storage.engine.clock_skew import microseconds
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.identities import endpoint_id
from fastapi_lens.storage.schema.migrations import migrate
from fastapi_lens.storage.transfer.inspect import NAMESAKE, has_namesake
from fastapi_lens.storage.writing.batches import EndpointFacts
from fastapi_lens.storage.writing.evidence import Evidence, Uncounted
from fastapi_lens.storage.writing.registrar import Registrar

logger = logging.getLogger("fastapi_lens")

REDISCOVER_EVERY_SECONDS = 30.0


class Endpoints(NamedTuple):
    """The endpoints of an app.

    Attributes:
        discover: Returns the present ones, called or not.
        uncounted: Returns those whose responses are not all counted now.
    """

    discover: Callable[[], Iterable[EndpointFacts]]
    uncounted: Callable[[], Uncounted]


class Registration:
    """Registers one worker.

    Args:
        database: The database to register in.
        registrar: Writes the worker and its endpoints.
        correction: Corrects times.
        clock: Epoch seconds.

    Attributes:
        worker: The worker; its app is the app of all endpoints.
        endpoints: The endpoints of the app.
        known_time: The database's check of the clock.
        was_forgotten: True if the latest `renew` found that the database has lost batches of the
            worker: it was restored from a backup, or is a new one.
    """

    def __init__(
        self,
        database: Database,
        registrar: Registrar,
        correction: ClockCorrection,
        clock: Callable[[], float],
        *,
        worker: WorkerFacts,
        endpoints: Endpoints,
    ) -> None:
        """Register nothing yet."""
        self.worker = worker
        self.endpoints = endpoints
        self.known_time = KnownTime(database, clock)
        self._database = database
        self._registrar = registrar
        self._evidence = Evidence(database, worker.app)
        self._correction = correction
        self._clock = clock
        self._known: dict[int, EndpointFacts] = {}
        self._registered: dict[int, EndpointFacts] | None = None
        self._discovered_at = self._reached_at = float("-inf")
        self.was_forgotten = self._was_registered = False
        self._unclear = self._warned = self._corrects_left = self._has_news = False

    def id_of(self, method: str, path: str, seen_at: float) -> int:
        """The id of a called endpoint, which is registered if it is not yet.

        Args:
            method: Its method.
            path: Its template.
            seen_at: Epoch seconds.
        """
        identity = endpoint_id(self.worker.app, method, path)
        if identity not in self._known:
            facts = EndpointFacts(identity, self.worker.app, method, path)
            self._known[identity] = replace(facts, seen_at_us=microseconds(seen_at))
            self._has_news = True
        return identity

    def rediscover(self) -> None:
        """Look for new endpoints at the next `renew`."""
        self._discovered_at = float("-inf")

    def forget(self) -> None:
        """Register everything again at the next `renew`: the database may be a different one."""
        self._registered = None
        self.known_time.forget()

    def renew(self, *, applied: int, log_applied: int) -> None:
        """Create the tables and register the worker and new endpoints, as far as needed.

        Args:
            applied: Number of the worker's last batch known to be applied.
            log_applied: Number of its last batch of the request log.

        Raises:
            SchemaTooNewError: A newer release has migrated the database.
            StorageError: The database cannot be written.
        """
        now = time.monotonic()
        begins = self._registered is None
        self.was_forgotten = False
        # Routes may be added while the application runs.
        looks = begins or now - self._discovered_at >= REDISCOVER_EVERY_SECONDS
        if looks:
            self._discovered_at = now
            self._known.update((fact.id, fact) for fact in self.endpoints.discover())
            self._has_news = True
        if begins:
            migrate(self._database)
            self._reached_at = now
            self._warn_of_namesake()
            self.was_forgotten = self._was_registered and not self._registrar.knows(applied)
        elif looks:
            # A purge may have deleted their rows.
            for identity in self._registrar.outdated(now_us=microseconds(self._clock())):
                (self._registered or {}).pop(identity, None)
        # First, because other workers use this worker's writes as evidence of the time.
        self.known_time.look()
        if begins or (self._unclear and looks):
            self._unclear = report_killed(
                self._database,
                self.worker,
                now_us=microseconds(self._clock()),
                reached_seconds=now - self._reached_at,
            )
        self.register(applied=applied, log_applied=log_applied)
        if looks:
            # Each time, because workers of an older release may register beside this one.
            self._registrar.add_shapes()
            self._evidence.note(self.endpoints.uncounted(), now_us=microseconds(self._clock()))
        self._corrects_left = looks

    def register(self, *, applied: int, log_applied: int) -> None:
        """Register the worker and its endpoints, unless the database already has them.

        Args:
            applied: See `renew`.
            log_applied: See `renew`.

        Raises:
            StorageError: The database cannot be written.
        """
        if not self._has_news and self._registered is not None:
            return
        # Reset first: the other thread may add one meanwhile. `forget` repeats all after an error.
        self._has_news = False
        done = self._registered or {}
        # Includes endpoints that were called before discovery, whose facts are complete only now.
        new = [fact for fact in list(self._known.values()) if done.get(fact.id) != fact]
        if new or self._registered is None:
            self._registrar.register(
                self._correction.facts(new),
                applied=applied,
                now_us=microseconds(self._clock()),
                log_applied=log_applied,
            )
            self._registered = done | {fact.id: fact for fact in new}
            self._was_registered = True

    def correct_times(self) -> None:
        """Correct stored times of a wrong clock.

        A batch with such times that still waits in the inbox is not corrected; wrong times
        from it are found at a later look, see `correct_left_behind`.

        Raises:
            StorageError: The database cannot be written; the next call tries again.
        """
        self._correction.correct_stored(self._database, self.worker.app, left=self._corrects_left)
        self._corrects_left = False

    def _warn_of_namesake(self) -> None:
        warned, self._warned = self._warned, True
        if not warned and has_namesake(self._database):
            logger.warning("fastapi_lens: %s", NAMESAKE)
