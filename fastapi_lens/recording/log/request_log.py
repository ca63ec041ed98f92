"""The request log in memory: selected calls, and counted exceptions. No SQL.

The decision to look at a call costs its request three comparisons; a call that is kept costs some
microseconds. Calls beyond a limit are dropped: the log is a sample. Exceptions are counted under
a lock, which is held only while one is counted.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum, StrEnum
from typing import TYPE_CHECKING, NamedTuple

from starlette.types import Scope

from fastapi_lens.config.lens_config import Clients, LensConfig
from fastapi_lens.recording.calls.handled import Handled
from fastapi_lens.recording.log.exceptions import (
    Frame,
    Raised,
    place_of,
    raised,
    type_name,
    unwrapped,
)
from fastapi_lens.recording.log.redaction import LONGEST_QUERY
from fastapi_lens.recording.series import CallerValue
from fastapi_lens.text.methods import MAX_METHOD_LENGTH
from fastapi_lens.text.user_agents import user_agent

if TYPE_CHECKING:
    from fastapi_lens.recording.series import Series

logger = logging.getLogger("fastapi_lens")

SAMPLING_MODULUS = 1_000_003
"""A prime, so that the remainder of the clock's nanoseconds is uniform whatever the clock's
resolution."""

NEVER_SLOW = 1 << 62
SERVER_ERROR = 500
WEBSOCKET = "WEBSOCKET"
MAX_KEPT = 2_000
"""Most requests in memory. The random sample takes half of them at most, to leave room for
errors."""

MAX_CANDIDATES = 500
MAX_KINDS = 1_000
"""Most kinds of exceptions in memory; further kinds are counted once these are written."""

MAX_MINUTES = 60
"""Minutes up to which waiting exceptions of a kind are counted by minute."""

LONGEST_PATH = 2_000
LONGEST_METHOD = MAX_METHOD_LENGTH
QUIET_LOG_SECONDS = 60.0


class Reason(StrEnum):
    """Reason for a request to be in the log."""

    ERROR = "error"
    SLOW = "slow"
    SAMPLE = "sample"


class Unknown(Enum):
    """The caller of a call whose caller is not recorded."""

    CALLER = 0


UNKNOWN = Unknown.CALLER


class Ended(NamedTuple):
    """A call that has ended.

    Attributes:
        scope: The scope in its state after the call.
        started_ns: Its start, by the clock that measures durations.
        error: The exception that left the application; None if it answered.
        opened: Its number as an open call, see `OpenCalls`; 0 if it was none.
        caller: Its caller, `UNKNOWN` while callers are not recorded.
    """

    scope: Scope
    status: int
    started_ns: int
    duration_ns: int
    error: BaseException | None = None
    opened: int = 0
    caller: CallerValue | Unknown = UNKNOWN


class ExceptionKey(NamedTuple):
    """Key that exceptions are counted under."""

    method: str
    path: str
    type: str
    place: Frame | None


@dataclass(slots=True)
class ExceptionCount:
    """Exceptions of one kind; times in epoch seconds.

    Attributes:
        latest: A recent one of them.
        minutes: Their number by minute since the epoch; after `MAX_MINUTES` minutes, which only an
            outage of the database lasts, by the first minute of each hour.
    """

    calls: int
    first_at: float
    last_at: float
    latest: Raised
    minutes: dict[int, int] = field(default_factory=dict[int, int])

    def add(self, now: float) -> None:
        """Count one more."""
        self.calls += 1
        self.last_at = now
        minute = int(now // 60)
        if minute not in self.minutes and len(self.minutes) >= MAX_MINUTES:
            minute -= minute % 60
        self.minutes[minute] = self.minutes.get(minute, 0) + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One request that is kept, before redaction.

    Attributes:
        at: Epoch seconds of its arrival.
        template: The path template of its endpoint; `endpoint_method` is its method there.
        share: True if it belongs to the random sample of all requests.
        client: The address; empty if addresses are not kept.
        agent: The beginning of the User-Agent header.
        exception: The kind of its exception; None without one.
        caller: As `Ended` has it; not in the text of an entry, because it may be a secret key.
    """

    at: float
    endpoint_method: str
    template: str
    method: str
    path: str
    query: bytes
    status: int
    duration_ns: int
    reason: Reason
    share: bool
    client: str
    agent: bytes
    exception: ExceptionKey | None
    caller: CallerValue | Unknown = field(default=UNKNOWN, repr=False)


@dataclass(frozen=True, slots=True)
class Harvest:
    """Entries and exceptions since the last harvest; the entries are in no particular order."""

    entries: list[Entry] = field(default_factory=list[Entry])
    exceptions: dict[ExceptionKey, ExceptionCount] = field(
        default_factory=dict[ExceptionKey, ExceptionCount]
    )


class RequestLog:
    """Selects calls of one worker to keep; safe to use from several threads.

    Args:
        clock: Epoch seconds.

    Attributes:
        clients: The part of a client's address that is kept.
        query_values: True if the values of queries are kept.
        exception_messages: True if the messages of exceptions are kept.
        share: For the middleware: calls whose start modulo `SAMPLING_MODULUS` is below this are in
            the sample.
        first_slow_ns: Threshold from which on the first call of a series is slow.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        """Keep nothing until settings are applied."""
        self._clock = clock
        self._entries: list[Entry] = []
        self._slowest: dict[tuple[str, str], Entry] = {}
        self._chosen_at: dict[tuple[str, str], float] = {}
        self._exceptions: dict[ExceptionKey, ExceptionCount] = {}
        self._counting = threading.Lock()
        self._minute: int = 0
        self._errors = 0
        self._warned_at = float("-inf")
        self.share, self.first_slow_ns = 0, NEVER_SLOW
        self.clients: Clients = "off"
        self.query_values = self.exception_messages = False
        self._errors_per_minute = self._slowest_per_minute = 0

    def apply(self, config: LensConfig) -> None:
        """Use these settings from now on."""
        self.share = round(config.log_sample_rate * SAMPLING_MODULUS)
        self.first_slow_ns = 0 if config.log_slowest else NEVER_SLOW
        self.clients = config.log_clients
        self.query_values = config.log_query_values
        self.exception_messages = config.log_exception_messages
        self._errors_per_minute = config.log_errors_per_minute
        self._slowest_per_minute = config.log_slowest

    def __bool__(self) -> bool:
        """True if there is anything to write."""
        return bool(self._entries or self._slowest or self._exceptions)

    def take(self, series: "Series", ended: Ended, handled: Handled | None = None) -> None:
        """Keep a call if it is an error, slow, or in the sample; never raises.

        Args:
            series: The series that the call was counted in.
            ended: The call.
            handled: The exception that its response was made from; None without one.
        """
        if ended.error is not None:
            handled = Handled(ended.error, ended.error.__traceback__)
        try:
            self._take(series, ended, handled)
        except Exception:
            # The request must not fail because of the log.
            now = time.monotonic()
            if now - self._warned_at >= QUIET_LOG_SECONDS:
                self._warned_at = now
                logger.exception("fastapi_lens could not log a request")

    def harvest(self, *, choose: bool) -> Harvest:
        """Take out everything to write; one thread at a time.

        Args:
            choose: Choose the slowest requests now, from those since the last choice.
        """
        if choose:
            self._choose_slowest(self._clock())
        # Requests append meanwhile, so only as many are taken as are there now.
        waiting = len(self._entries)
        entries = self._entries[:waiting]
        del self._entries[:waiting]
        with self._counting:
            exceptions, self._exceptions = self._exceptions, {}
        return Harvest(entries, exceptions)

    def _take(self, series: "Series", ended: Ended, handled: Handled | None) -> None:
        now = self._clock()
        share = ended.started_ns % SAMPLING_MODULUS < self.share
        if ended.status >= SERVER_ERROR:
            room = self._has_room(now)
            kind = None
            if handled is not None:
                kind = self._count(series, handled, now, detail=room)
            if room:
                self._errors += 1
                self._keep(self._entry(series, ended, Reason.ERROR, kind), MAX_KEPT)
            elif share:
                self._keep(self._entry(series, ended, Reason.SAMPLE, kind), MAX_KEPT // 2)
        # A WebSocket lasts as long as it is open.
        elif ended.duration_ns > series.slow_ns and ended.scope["type"] != "websocket":
            # Until the threshold decays, only slower calls of this series are worth a look.
            series.slow_ns = ended.duration_ns
            self._propose(self._entry(series, ended, Reason.SLOW))
        elif share:
            self._keep(self._entry(series, ended, Reason.SAMPLE), MAX_KEPT // 2)

    def _has_room(self, now: float) -> bool:
        """True if one more error may be kept in this minute."""
        minute = int(now // 60)
        if minute != self._minute:
            self._minute, self._errors = minute, 0
        return self._errors < self._errors_per_minute

    def _count(
        self, series: "Series", handled: Handled, now: float, *, detail: bool
    ) -> ExceptionKey:
        error = unwrapped(handled.error)
        trace = handled.trace if error is handled.error else error.__traceback__
        key = series.key
        kind = ExceptionKey(key.method, key.path, type_name(error), place_of(error, trace))
        # Outside the lock, because the host's own code produces the message.
        latest = raised(error, trace) if detail or kind not in self._exceptions else None
        with self._counting:
            found = self._exceptions.get(kind)
            if found is None and len(self._exceptions) < MAX_KINDS:
                # Nothing was made above if the kind was known then, and has been harvested since.
                found = ExceptionCount(0, now, now, latest or raised(error, trace))
                self._exceptions[kind] = found
            if found is not None:
                found.add(now)
                found.latest = latest or found.latest
        return kind

    def _propose(self, entry: Entry) -> None:
        """Remember the slowest call of each endpoint."""
        key = (entry.endpoint_method, entry.template)
        before = self._slowest.get(key)
        # Another status of the same endpoint may have had a slower one.
        if before is None and len(self._slowest) < MAX_CANDIDATES:
            self._slowest[key] = entry
        elif before is None or before.duration_ns > entry.duration_ns:
            self._keep_share(entry)
        else:
            self._slowest[key] = entry
            self._keep_share(before)

    def _choose_slowest(self, now: float) -> None:
        """Keep the number of slow calls that the settings allow.

        It alternates between the slowest call of all and that of the endpoint that was chosen least
        recently, so that no single endpoint fills the log.
        """
        left, self._slowest = self._slowest, {}
        by_duration = sorted(left, key=lambda key: left[key].duration_ns)
        by_wait = sorted(
            left, key=lambda key: (-self._chosen_at.get(key, 0.0), left[key].duration_ns)
        )
        # A dictionary, which keeps the order of choice and finds a key at once.
        chosen: dict[tuple[str, str], None] = {}
        while by_duration and len(chosen) < self._slowest_per_minute:
            for order in (by_duration, by_wait):
                while order and order[-1] in chosen:
                    order.pop()
                if order and len(chosen) < self._slowest_per_minute:
                    chosen[order.pop()] = None
        for key, entry in left.items():
            if key in chosen:
                self._keep(entry, MAX_KEPT)
            else:
                self._keep_share(entry)
        if len(self._chosen_at) > MAX_CANDIDATES:
            self._chosen_at.clear()
        self._chosen_at.update(dict.fromkeys(chosen, now))

    def _keep_share(self, entry: Entry) -> None:
        """Keep a call that was not slow enough if it belongs to the sample."""
        if entry.share:
            self._keep(replace(entry, reason=Reason.SAMPLE), MAX_KEPT // 2)

    def _keep(self, entry: Entry, most: int) -> None:
        if len(self._entries) < most:
            self._entries.append(entry)

    def _entry(
        self, series: "Series", ended: Ended, reason: Reason, exception: ExceptionKey | None = None
    ) -> Entry:
        scope, key = ended.scope, series.key
        wants_client = self.clients != "off"
        return Entry(
            at=self._clock() - ended.duration_ns / 1e9,
            endpoint_method=key.method,
            template=key.path,
            method=str(scope.get("method", WEBSOCKET))[:LONGEST_METHOD],
            path=scope["path"][:LONGEST_PATH],
            # More than is kept, because hidden values make a query shorter.
            query=scope.get("query_string", b"")[: 4 * LONGEST_QUERY],
            status=key.status,
            duration_ns=ended.duration_ns,
            reason=reason,
            share=ended.started_ns % SAMPLING_MODULUS < self.share,
            client=str((scope.get("client") or ("",))[0]) if wants_client else "",
            agent=user_agent(scope.get("headers", ())),
            exception=exception,
            caller=ended.caller,
        )
