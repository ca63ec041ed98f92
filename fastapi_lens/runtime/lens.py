"""Lens: what belongs to one app, from its recorder to its database. Starts and stops it.

One per LensMiddleware, found by the admin at ``scope["fastapi_lens"]``.
"""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import anyio
import anyio.to_thread

from fastapi_lens.config.lens_config import LensConfig
from fastapi_lens.recording.flush.flusher import Flusher, FlushHooks, FlushSettings
from fastapi_lens.recording.flush.processes import new_id
from fastapi_lens.recording.open_endpoints import open_endpoints
from fastapi_lens.recording.recorder import Recorder
from fastapi_lens.recording.routes.route_match import Leaf, RouteTable
from fastapi_lens.reporting.reader import Reader
from fastapi_lens.reporting.size_forecast import Forecaster
from fastapi_lens.runtime.process_events import at_end, at_end_of_child, at_fork
from fastapi_lens.runtime.start_warnings import UNNAMED, notes
from fastapi_lens.settings.settings import Settings
from fastapi_lens.storage.coordination.worker import WorkerFacts
from fastapi_lens.storage.engine.clock_skew import microseconds
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.engine.texts import storable
from fastapi_lens.storage.records.settings import read_sections
from fastapi_lens.storage.retention.pruner import Retention
from fastapi_lens.storage.schema.migrations import migrate, session_salt
from fastapi_lens.storage.writing.batches import EndpointFacts, endpoint_id

logger = logging.getLogger("fastapi_lens")

LAZY_FLUSH_SECONDS = 1.0
STOP_SECONDS = 10.0
FORK_SECONDS = 0.1
"""Longest wait of a fork for running SQLite transactions, because one may hang."""

RETRY_SECONDS = 1.0
QUIET_LOG_SECONDS = 60.0
MAX_NAME = 200
"""Characters that the column of the app's name holds."""

Part = TypeVar("Part")


class Lens:
    """Records one app and answers questions about it.

    Creating it opens and starts nothing.

    Args:
        config: The settings.
        clock: Epoch seconds; another clock simulates other times.
    """

    def __init__(self, config: LensConfig, *, clock: Callable[[], float] = time.time) -> None:
        """Prepare everything that needs no database."""
        self.config = config
        self.clock = clock
        self.started, self.told = False, set[str]()
        self.settings = Settings.of(config)
        self.app_name = config.app_name or UNNAMED
        self.retention = Retention(
            config.ttl_days, app=self.app_name, log_max_rows=config.log_max_rows
        )
        self.routes = RouteTable(None)
        self._facts: dict[tuple[str, str], EndpointFacts] = {}
        self._starting, self._refreshing, self._attaching = (threading.Lock() for _ in range(3))
        self._lost_at = self._failed_at = float("-inf")
        self._watched = self._said = self._lifespan = False
        self._attached: dict[type, object] = {}
        self._inherited: list[Database] = []
        self._open()
        at_fork(
            before=self._hold_for_fork,
            in_parent=self._go_on_after_fork,
            in_child=self.restart_in_child,
        )

    def _open(self) -> None:
        """The parts that belong to this process alone; a forked child gets new ones."""
        self.database = Database(self.config.url)
        self.recorder = Recorder(clock=self.clock)
        self.recorder.log.apply(self.settings.config)
        self.flusher = self._new_flusher()
        self.reader = Reader(
            self.database,
            app=lambda: self.app_name,
            thresholds=lambda: self.settings.thresholds,
            shown=self._has,
            ignored=self._ignores,
            retention=self.retention,
        )
        self.forecaster = Forecaster(self.database, self.retention)

    def _new_flusher(self) -> Flusher:
        self._worker = worker = WorkerFacts(
            id=new_id(),
            app=self.app_name,
            host=socket.gethostname(),
            pid=os.getpid(),
            release=storable(self.config.release or ""),
            started_at_us=microseconds(self.clock()),
            interval_ms=round(self.config.flush_interval * 1_000),
        )
        settings = FlushSettings(
            interval=self.config.flush_interval,
            max_batch_size=self.config.max_batch_size,
            retention=self.retention,
        )
        hooks = FlushHooks(
            refresh_settings=self.refresh_settings, open_endpoints=lambda: open_endpoints(self)
        )
        return Flusher(self.recorder, self.database, worker, settings, self._catalogue, hooks)

    @property
    def title(self) -> str:
        """The app's name as the admin shows it."""
        return self.app_name

    @property
    def counts_unmapped(self) -> bool:
        """Whether 404s that no route matched are counted."""
        return not self.config.ignore_unmapped

    @property
    def methods(self) -> set[str]:
        """The methods of the discovered endpoints."""
        return {method for method, _ in list(self._facts)}

    def records(self, method: str, path: str) -> bool:
        """Whether calls of this endpoint are recorded and shown."""
        return self.settings.shows(method, path)

    def _has(self, method: str, path: str) -> bool:
        return self.settings.has(method, path)

    def _ignores(self, method: str, path: str) -> bool:
        return self.settings.rules.ignores(method, path)

    def skips(self, method: str, path: str, status: int) -> bool:
        """Whether a rule keeps such an answer from being counted."""
        return self.settings.rules.skips(method, path, status)

    def get_or_create(self, kind: type[Part], make: Callable[[], Part]) -> Part:
        """What another room keeps with this lens, made at its first use; safe in threads.

        Args:
            kind: The class of the value, which is also its name.
            make: Makes the value; its errors pass through and nothing is kept.
        """
        with self._attaching:
            found = self._attached.get(kind)
            if not isinstance(found, kind):
                found = self._attached[kind] = make()
            return found

    def known(self, kind: type[Part]) -> Part | None:
        """What `get_or_create` has made already; None before. Never waits."""
        found = self._attached.get(kind)
        return found if isinstance(found, kind) else None

    def prepare(self) -> None:
        """Make the tables where they are missing, so that there is something to read.

        Raises:
            StorageError: The database cannot be written.
        """
        migrate(self.database)

    def refresh_settings(self) -> None:
        """Take the stored settings, if they have changed; each worker does so at each flush.

        Raises:
            StorageError: The database cannot be read; what was in force stays so.
        """
        with self._refreshing:  # Else what was read first could be taken last.
            stored = read_sections(self.database, self.app_name)
            versions = {name: section.version for name, section in stored.items()}
            if versions != self.settings.versions:
                self._take(Settings.of(self.config, stored))

    def _take(self, settings: Settings) -> None:
        if new := [one for one in settings.unusable if one not in self.settings.unusable]:
            logger.warning("fastapi_lens ignores stored settings that cannot be used: %s", new)
        self.settings = settings
        self.retention.keep(
            ttl_days=settings.config.ttl_days, log_max_rows=settings.config.log_max_rows
        )
        self.recorder.log.apply(settings.config)
        # After the settings: who resolves a call takes the cache first.
        self.recorder.forget_matches()

    def session_salt(self) -> bytes:
        """Random bytes that all workers of the database share.

        Raises:
            StorageError: The database cannot be read, or is not prepared.
        """
        return session_salt(self.database)

    def discover(self, app: Any) -> None:
        """Take the app whose endpoints are recorded; its routes are read at each flush.

        Args:
            app: A FastAPI or Starlette application, or anything with ``routes``.
        """
        self.routes = RouteTable(app)
        title = str(getattr(app, "title", None) or UNNAMED)[:MAX_NAME]
        name = storable(self.config.app_name or title)
        if name != self.app_name:
            self.app_name = self.retention.app = name
            self.flusher = self._new_flusher()

    def begin(self, app: Any, *, lifespan: bool = False) -> None:
        """Start recording an app; nothing when it has been started in this process.

        Never raises: what fails is logged and tried again a second later. Calls are counted in
        memory meanwhile.

        Args:
            app: The application, whose routes are the endpoints.
            lifespan: Whether the server announces its shutdown to us.
        """
        with self._starting:
            self._lifespan = lifespan or self._lifespan
            if self.started or time.monotonic() - self._failed_at < RETRY_SECONDS:
                return
            try:
                self._start(app)
            except Exception as error:  # noqa: BLE001  The host never fails because of us.
                self._failed_at = time.monotonic()
                self._log_quietly("could not start, and tries again; counts wait in memory", error)
            else:
                self.started = True

    def _start(self, app: Any) -> None:
        self.discover(app)
        if not self._lifespan:
            self.flusher.shorten_interval(LAZY_FLUSH_SECONDS)
        self._say_notes()
        self._watch_end()
        self.flusher.start()

    async def end(self) -> None:
        """Write what is pending because the server shuts down; takes 10 s at most."""
        try:
            with anyio.move_on_after(STOP_SECONDS, shield=True):
                await anyio.to_thread.run_sync(self.stop, abandon_on_cancel=True)
        except RuntimeError:  # The system gives no thread; nothing else is served any more.
            self.stop()

    def stop(self) -> None:
        """End the thread, write what is pending and close the database; never raises.

        A later request starts everything anew.
        """
        self.started = self._lifespan = False
        try:
            written = self.flusher.stop()
        except Exception:
            # The host's shutdown goes on, whatever went wrong in ours.
            logger.exception("fastapi_lens failed to stop")
            written = False
        if not written:
            logger.error(
                "fastapi_lens could not write %s calls before the process ends",
                self.flusher.pending_calls + self.recorder.waiting_calls,
            )
        self.database.rest()

    def _say_notes(self) -> None:
        """Log the notes, only at the first start: a test suite starts an application many times."""
        said, self._said = self._said, True
        if said:
            return
        if not self._lifespan:
            logger.info(
                "fastapi_lens sees no lifespan of this app (a mounted app, or a transport "
                "without one) and flushes every %g s",
                self.flusher.interval,
            )
        if unguarded := self.config.unguarded:
            logger.warning("fastapi_lens %s", unguarded)
        for level, note in notes(self.config, self.app_name, in_memory=self.database.in_memory):
            logger.log(level, "fastapi_lens %s", note)

    def lost(self, error: Exception) -> None:
        """Count a call that could not be counted, and log why, at most once a minute."""
        self.flusher.dropped += 1
        self._log_quietly("could not count a call", error)

    def _log_quietly(self, sentence: str, error: Exception) -> None:
        """Log an error, at most once a minute."""
        now = time.monotonic()
        if now - self._lost_at >= QUIET_LOG_SECONDS:
            self._lost_at = now
            logger.error("fastapi_lens %s", sentence, exc_info=error)

    def _catalogue(self) -> Iterable[EndpointFacts]:
        """The endpoints that the app has now; a handler is looked at once."""
        now_us = microseconds(self.clock())
        for leaf in self.routes.leaves:
            for method in leaf.names:
                key = (method, leaf.template)
                if key not in self._facts and self.settings.has(*key):
                    self._facts[key] = self._describe(method, leaf, now_us)
        return self._facts.values()

    def _describe(self, method: str, leaf: Leaf, now_us: int) -> EndpointFacts:
        handler = leaf.handler
        return EndpointFacts(
            id=endpoint_id(self.app_name, method, leaf.template),
            app=self.app_name,
            method=method,
            path=leaf.template,
            kind=leaf.kind,
            name=handler.name,
            source=handler.source,
            summary=handler.summary,
            tags=leaf.tags,
            deprecated=leaf.deprecated,
            seen_at_us=now_us,
        )

    def _hold_for_fork(self) -> None:
        self.database.hold(timeout_seconds=FORK_SECONDS)

    def _go_on_after_fork(self) -> None:
        self.database.let_go()

    def _watch_end(self) -> None:
        if not self._watched:
            self._watched = True
            at_end(self._stop_at_end)
        at_end_of_child(self._stop_at_end)

    def _stop_at_end(self) -> None:
        if self.started or self.recorder.waiting_calls:
            self.stop()

    def restart_in_child(self) -> None:
        """Nothing of the parent's is ours: not its counts, its thread or its connections."""
        self.started = False
        self._starting, self._refreshing, self._attaching = (threading.Lock() for _ in range(3))
        self._attached = {}  # What it holds has the parent's database.
        # Kept, so that no finaliser here closes a connection that the parent goes on using.
        self._inherited.append(self.database)
        self.database.leave()
        self._open()
