"""The thread that sends notifications: of all workers of an app, the one with the lease.

It is a thread of its own, so that a receiver that hangs delays neither a flush nor a request, and
a daemon, so that it does not keep the process from ending.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from fastapi_lens.config.lens_config import LensConfig
from fastapi_lens.config.webhook_url import WebhookUrl
from fastapi_lens.errors import StorageError
from fastapi_lens.notifications.delivery import delivered, due, failed
from fastapi_lens.notifications.evaluation import Evaluation, Origin
from fastapi_lens.notifications.http_post import TIMEOUT_SECONDS, DeliveryError, post
from fastapi_lens.notifications.notice import Kind, Notice
from fastapi_lens.notifications.payload import body_of
from fastapi_lens.notifications.state import Outcome, State, Waiting
from fastapi_lens.reporting.reader import Reader
from fastapi_lens.settings.settings import Settings
from fastapi_lens.storage.coordination.confirmed_time import KnownTime
from fastapi_lens.storage.coordination.leases import renew_lease, take_lease
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.records.notifications import (
    meta_name,
    read_notifications,
    write_notifications,
)

logger = logging.getLogger("fastapi_lens")

TURN_SECONDS = 30.0
"""Seconds between two turns."""

LEASE_SECONDS = 90
"""Seconds after which another worker takes over from one that died."""

TEST_SECONDS = 8.0
"""Limit of a test message, for which somebody waits at a page that gives up after 10 s."""

STOP_SECONDS = 1.0
"""Longest wait for the thread to end; none at all while it waits for the receiver."""


@dataclass(frozen=True, slots=True)
class App:
    """The app whose notifications are sent, asked each time because parts of it may change.

    Attributes:
        name: Returns its name.
        worker: Returns the id of this process's worker.
        settings: Returns the active settings.
        reader: Of its counts.
    """

    name: Callable[[], str]
    worker: Callable[[], str]
    settings: Callable[[], Settings]
    reader: Reader


class Notifier:
    """Sends the notifications of one app, if this worker has their lease.

    Args:
        config: The code's settings, with the address of the webhook.
        database: The database with the lease and the state.
        app: The app.
        clock: Epoch seconds.
    """

    def __init__(
        self, config: LensConfig, database: Database, app: App, *, clock: Callable[[], float]
    ) -> None:
        """Start no thread yet."""
        self._url = (
            None if config.webhook_url is None else WebhookUrl.parse(str(config.webhook_url))
        )
        self._allow_private = config.webhook_allow_private
        self._database = database
        self._app = app
        self._time = KnownTime(database, clock)
        self._evaluation = Evaluation()
        self._guard = threading.Lock()
        self._testing = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._is_sending = self._may_be_ours = False

    @property
    def is_on(self) -> bool:
        """True if there is a webhook."""
        return self._url is not None

    def start(self) -> None:
        """Start the thread, unless it runs or there is no webhook.

        Raises:
            RuntimeError: The system allows no more threads.
        """
        with self._guard:
            if self._url is None or self._thread is not None:
                return
            # One event per start, so that a thread that hung at the last stop still ends.
            wake = threading.Event()
            thread = threading.Thread(
                target=self._run, args=(wake,), name="fastapi-lens-notifications", daemon=True
            )
            thread.start()
            self._wake, self._thread = wake, thread

    def stop(self) -> None:
        """End the thread; returns at once while it waits for the receiver."""
        with self._guard:
            self._wake.set()
            thread, self._thread = self._thread, None
        if thread is not None and not self._is_sending:
            thread.join(STOP_SECONDS)

    def turn(self, wake: threading.Event | None = None) -> None:
        """Look at the rules, and send what is due, if this worker has the lease or can take it.

        Args:
            wake: Set when the worker ends, and nothing more is to be written.

        Raises:
            StorageError: The database cannot be read or written.
        """
        if not self.is_on:
            return
        self._time.look()
        # By a wrong clock, everything would be dead.
        if not self._time.agrees or not self._has_lease():
            return
        now = self._time.shared()
        name = self._app.name()
        before = read_notifications(self._database, name)
        state = State.parse(before)
        origin = Origin(name, self._app.settings().config, self._app.reader)
        after = self._evaluation.after(state, origin, now=now)
        if after != state and not self._write(name, before, after):
            return
        waiting = due(after, now=now)
        if waiting is not None:
            self._deliver(name, waiting, now=now, wake=wake or self._wake)

    def send_test(self, *, by: str) -> str:
        """Send a test message now, without a retry; takes 8 s at most.

        Args:
            by: The name of the key or person that asked for it.

        Returns:
            Why it was not delivered, as a phrase; empty if it was.
        """
        if not self._testing.acquire(blocking=False):
            return "another test message is being sent"
        try:
            config = self._app.settings().config
            origin = Origin(self._app.name(), config, self._app.reader)
            lines = [f"Sent by {by} from the settings of the lens." if by else "Sent by hand."]
            notice = origin.notice(Kind.TEST, "test message", lines, now=self._time.shared())
            self._send(notice, timeout_seconds=TEST_SECONDS)
        except DeliveryError as error:
            return str(error)
        finally:
            self._testing.release()
        return ""

    def outcome(self) -> Outcome:
        """The result of the last attempts of all workers, without test messages.

        Raises:
            StorageError: The database cannot be read.
        """
        return State.parse(read_notifications(self._database, self._app.name())).outcome

    def _run(self, wake: threading.Event) -> None:
        while not wake.wait(TURN_SECONDS):
            try:
                self.turn(wake)
            except StorageError as error:
                # The flusher reports it.
                logger.debug("fastapi_lens could not look for notifications: %s", error)
            except Exception:
                logger.exception("fastapi_lens failed to look for notifications")

    def _has_lease(self) -> bool:
        lease, owner = meta_name(self._app.name()), self._app.worker()
        # If the answer to a request is lost, this worker may have the lease or not.
        asks = (renew_lease, take_lease) if self._may_be_ours else (take_lease,)
        self._may_be_ours = True
        now = self._time.shared()
        self._may_be_ours = any(
            ask(self._database, lease, owner=owner, now=now, seconds=LEASE_SECONDS) for ask in asks
        )
        return self._may_be_ours

    def _write(self, name: str, before: str, state: State) -> bool:
        """Store a state; false if another worker has stored one meanwhile."""
        text = state.model_copy(update={"changes": state.changes + 1}).text()
        return write_notifications(self._database, name, text, replaces=before)

    def _deliver(self, name: str, waiting: Waiting, *, now: float, wake: threading.Event) -> None:
        problem = self._tried(waiting)
        if wake.is_set():
            return  # The database is closed; the next worker sends it once more, with its id.
        before = read_notifications(self._database, name)
        state = State.parse(before)
        same = next((one for one in state.waiting if one.notice.id == waiting.notice.id), None)
        if same is None:
            return
        if not problem:
            self._write(name, before, delivered(state, same, now=now))
            return
        after, is_last = failed(state, same, problem, now=now)
        if self._write(name, before, after) and is_last:
            logger.warning(
                "fastapi_lens gives up a notification (%s) after %d attempts: %s",
                *(waiting.notice.kind.value, same.tries + 1, problem),
            )

    def _tried(self, waiting: Waiting) -> str:
        """Send a notification; returns the problem, or an empty text."""
        self._is_sending = True
        try:
            self._send(waiting.notice)
        except DeliveryError as error:
            return str(error)
        finally:
            self._is_sending = False
        return ""

    def _send(self, notice: Notice, *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        if self._url is None:
            raise DeliveryError("no webhook is set")
        post(
            self._url,
            body_of(notice, self._url),
            allow_private=self._allow_private,
            timeout_seconds=timeout_seconds,
        )
