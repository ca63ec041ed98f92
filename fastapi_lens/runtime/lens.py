"""Lens: the parts of one application, from its recorder to its database. Starts and stops them.

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
from fastapi_lens.errors import OverrideError
from fastapi_lens.notifications.notifier import App, Notifier
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
from fastapi_lens.storage.schema.identities import endpoint_id
from fastapi_lens.storage.schema.migrations import migrate, session_salt
from fastapi_lens.storage.writing.batches import EndpointFacts
from fastapi_lens.storage.writing.evidence import Uncounted
from fastapi_lens.text.escaping import visible
from fastapi_lens.verdict.overrides import as_text, kept_for, overrides_of

logger = logging.getLogger("fastapi_lens")

LAZY_FLUSH_SECONDS = 1.0
STOP_SECONDS = 10.0
FORK_SECONDS = 0.1
"""Longest wait of a fork for running SQLite transactions, because one may hang."""

RETRY_SECONDS = 1.0
QUIET_LOG_SECONDS = 60.0
MAX_NAME = 200
"""Length of the column of the app's name, in characters."""

Part = TypeVar("Part")


class Lens:
    """Records one app and answers queries about it.

    Creating it opens and starts nothing.

    Args:
        config: The settings.
        clock: Epoch seconds; another clock simulates other times.
    """

    def __init__(self, config: LensConfig, *, clock: Callable[[], float] = time.time) -> None:
        """Prepare everything that needs no database."""
        self.config = config
        self.clock = clock
        self.started, self.logged = False, set[str]()
        self.settings = Settings.of(config)
        self.app_name = config.app_name or UNNAMED
        self.retention = Retention(
            config.ttl_days, app=self.app_name, log_max_rows=config.log_max_rows
        )
        self.routes = RouteTable(None)
        self._facts: dict[tuple[str, str], EndpointFacts] = {}
        self._excluded: set[int] = set()
        self._starting, self._refreshing, self._attaching = (threading.Lock() for _ in range(3))
        self._logged_at = self._failed_at = float("-inf")
        self._watched = self._noted = self._lifespan = False
        self._attached: dict[type, object] = {}
        self._inherited: list[Database] = []
        self._open()
        at_fork(
            before=self._hold_for_fork,
            in_parent=self._go_on_after_fork,
            in_child=self.restart_in_child,
        )

    def _open(self) -> None:
        """Create the parts that belong to this process only; a forked child gets new ones."""
        self.database = Database(self.config.url)
        self.recorder = Recorder(clock=self.clock)
        self.recorder.apply(self.settings.config)
        self.flusher = self._new_flusher()
        self.reader = Reader(
            self.database,
            # Asked each time, because `discover` sets the name later.
            app=lambda: self.app_name,
            settings=lambda: self.settings,
            retention=self.retention,
        )
        self.forecaster = Forecaster(self.database, self.retention)
        app = App(
            name=lambda: self.app_name,
            worker=lambda: self._worker.id,
            settings=lambda: self.settings,
            reader=self.reader,
        )
        self.notifier = Notifier(self.config, self.database, app, clock=self.clock)

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
            idle_is_silent=self.config.idle == "silent",
        )
        hooks = FlushHooks(
            refresh_settings=self.refresh_settings,
            open_endpoints=lambda: open_endpoints(self),
            uncounted=self._uncounted,
        )
        flusher = Flusher(self.recorder, self.database, worker, settings, self._endpoints, hooks)
        flusher.apply(self.settings.config)
        return flusher

    @property
    def title(self) -> str:
        """The app's name as the admin shows it."""
        return self.app_name

    @property
    def counts_unmapped(self) -> bool:
        """True if 404s that no route matched are counted."""
        return not self.config.ignore_unmapped

    @property
    def methods(self) -> set[str]:
        """The methods of the discovered endpoints."""
        # A copy, because the flusher's thread adds to it.
        return {method for method, _ in list(self._facts)}

    def is_recorded(self, method: str, path: str) -> bool:
        """True if calls of this endpoint are recorded and shown."""
        return self.settings.is_recorded(method, path)

    def skips(self, method: str, path: str, status: int) -> bool:
        """True if a rule keeps such a response from being counted."""
        return self.settings.rules.skips(method, path, status)

    def get_or_create(self, kind: type[Part], make: Callable[[], Part]) -> Part:
        """An object that another package keeps with this lens, created once; thread-safe.

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
        """The object that `get_or_create` has created; None before. Never waits."""
        found = self._attached.get(kind)
        return found if isinstance(found, kind) else None

    def prepare(self) -> None:
        """Create missing tables, so that they can be read.

        Raises:
            StorageError: The database cannot be written.
        """
        migrate(self.database)

    def refresh_settings(self) -> None:
        """Apply the stored settings if they have changed; each worker does so at each flush.

        Raises:
            StorageError: The database cannot be read; the active settings stay.
        """
        with self._refreshing:  # Otherwise an older read could be applied last.
            stored = read_sections(self.database, self.app_name)
            versions = {name: section.version for name, section in stored.items()}
            if versions != self.settings.versions:
                self._apply(Settings.of(self.config, stored))

    def _apply(self, settings: Settings) -> None:
        known = self.settings.unusable
        if new := [problem for problem in settings.unusable if problem not in known]:
            logger.warning("fastapi_lens ignores stored settings that cannot be used: %s", new)
        self.settings = settings
        self.retention.keep(
            ttl_days=settings.config.ttl_days, log_max_rows=settings.config.log_max_rows
        )
        self.recorder.apply(settings.config)
        self.flusher.apply(settings.config)
        # After the settings, because the middleware reads the cache before the settings.
        self.recorder.forget_matches()

    def session_salt(self) -> bytes:
        """Random bytes that all workers of the database share.

        Raises:
            StorageError: The database cannot be read, or is not prepared.
        """
        return session_salt(self.database)

    def discover(self, app: Any) -> None:
        """Set the app whose endpoints are recorded; its routes are read at each flush.

        Args:
            app: A FastAPI or Starlette application, or anything with ``routes``.
        """
        self.routes = RouteTable(app)
        title = str(getattr(app, "title", None) or UNNAMED)[:MAX_NAME]
        name = storable(self.config.app_name or title)
        if name != self.app_name:
            self.app_name = self.retention.app = name
            # Ids of endpoints, and the row of the worker, depend on the name.
            self.flusher = self._new_flusher()

    def begin(self, app: Any, *, lifespan: bool = False) -> None:
        """Start recording an app, unless it has been started in this process.

        Never raises: what fails is logged and tried again a second later. Calls are counted in
        memory meanwhile.

        Args:
            app: The application, whose routes are the endpoints.
            lifespan: True if the server announces its shutdown through lifespan events.
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
            # Its end may not be announced, and what waits in memory would be lost.
            self.flusher.shorten_interval(LAZY_FLUSH_SECONDS)
        self._log_notes()
        self._watch_end()
        self.flusher.start()
        self.notifier.start()

    async def end(self) -> None:
        """Write pending counts because the server shuts down; takes 10 s at most."""
        try:
            # Shielded, because a server may cancel the lifespan while it shuts down.
            with anyio.move_on_after(STOP_SECONDS, shield=True):
                # Without abandoning the thread, the time limit would wait for it.
                await anyio.to_thread.run_sync(self.stop, abandon_on_cancel=True)
        except RuntimeError:  # No thread can be started; nothing else is served any more.
            self.stop()

    def stop(self) -> None:
        """End the thread, write pending counts and close the database; never raises.

        A later request starts everything again.
        """
        self.started = self._lifespan = False
        # First, because it must not use the database after its end.
        self.notifier.stop()
        try:
            written = self.flusher.stop()
        except Exception:
            # The host's shutdown must not fail because of ours.
            logger.exception("fastapi_lens failed to stop")
            written = False
        if not written:
            logger.error(
                "fastapi_lens could not write %s calls before the process ends",
                self.flusher.pending_calls + self.recorder.waiting_calls,
            )
        self.database.rest()

    def _log_notes(self) -> None:
        """Log the notes, only at the first start: a test suite starts an application many times."""
        noted, self._noted = self._noted, True
        if noted:
            return
        if not self._lifespan:
            logger.info(
                "fastapi_lens gets no lifespan events of this app (a mounted app, or a transport "
                "without them) and flushes every %g s",
                self.flusher.interval,
            )
        if unguarded := self.config.unguarded:
            logger.warning("fastapi_lens %s", unguarded)
        for level, note in notes(self.config, self.app_name, in_memory=self.database.in_memory):
            logger.log(level, "fastapi_lens %s", note)

    def count_dropped(self, error: Exception) -> None:
        """Count a call as dropped, and log the reason, at most once a minute."""
        self.flusher.count_dropped()
        self._log_quietly("could not count a call", error)

    def _log_quietly(self, sentence: str, error: Exception) -> None:
        """Log an error, at most once a minute."""
        now = time.monotonic()
        if now - self._logged_at >= QUIET_LOG_SECONDS:
            self._logged_at = now
            logger.error("fastapi_lens %s", sentence, exc_info=error)

    def _endpoints(self) -> Iterable[EndpointFacts]:
        """The endpoints that the app has now; each handler is inspected once."""
        now_us = microseconds(self.clock())
        excluded: set[int] = set()
        for leaf in self.routes.leaves:
            for method in leaf.names:
                key = (method, leaf.template)
                if not self.settings.is_included(*key):
                    excluded.add(endpoint_id(self.app_name, *key))
                elif key not in self._facts:
                    self._facts[key] = self._describe(method, leaf, now_us)
        self._excluded = excluded
        return self._facts.values()

    def _uncounted(self) -> Uncounted:
        """The endpoints that the code excludes, and those that an active rule covers."""
        rules = self.settings.rules
        return Uncounted(self._excluded, rules.covers if rules.is_active else None)

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
            overrides=self._overrides(method, leaf),
        )

    def _overrides(self, method: str, leaf: Leaf) -> str | None:
        """The overrides in a route's code as text; with invalid ones it is kept, with a warning."""
        try:
            return as_text(overrides_of(leaf.overrides))
        except OverrideError as error:
            logger.warning(
                "fastapi_lens keeps %s %s, because its overrides are invalid: %s",
                *(method, visible(leaf.template), error),
            )
            return as_text(kept_for(error))

    def _hold_for_fork(self) -> None:
        self.database.hold(timeout_seconds=FORK_SECONDS)

    def _go_on_after_fork(self) -> None:
        self.database.let_go()

    def _watch_end(self) -> None:
        if not self._watched:
            self._watched = True
            at_end(self._stop_at_end)
        # Each time, because a child drops the registrations of its parent.
        at_end_of_child(self._stop_at_end)

    def _stop_at_end(self) -> None:
        if self.started or self.recorder.waiting_calls:
            self.stop()

    def restart_in_child(self) -> None:
        """Start afresh in a forked child: counts, thread and connections belong to the parent."""
        self.started = False
        # New ones, because another thread of the parent may have held them.
        self._starting, self._refreshing, self._attaching = (threading.Lock() for _ in range(3))
        self._attached = {}  # These objects use the parent's database.
        # Kept, so that no finaliser here closes a connection that the parent still uses.
        self._inherited.append(self.database)
        self.database.leave()
        self._open()
