"""Callers of calls in memory, noted in the request's own thread. Knows no SQL and never waits.

A call costs its request one call of the host's hook, or one look at a header, and one
`list.append`. The caller is noted before the call is counted: so each counted call has a caller,
whenever the counts are taken.
"""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from typing import TYPE_CHECKING, TypeAlias

from fastapi_lens.recording.log.exceptions import place_of, place_text, type_name
from fastapi_lens.recording.series import OTHERS, Agent, CallerCounts, CallerValue
from fastapi_lens.text.user_agents import LONGEST_HEADER
from fastapi_lens.verdict.history import REFUSED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from starlette.types import Scope

    from fastapi_lens.config.callers import Consumer
    from fastapi_lens.config.lens_config import LensConfig
    from fastapi_lens.recording.calls.open_calls import OpenCalls
    from fastapi_lens.recording.series import Series

logger = logging.getLogger("fastapi_lens")

MAX_PAIRS = 4_096
"""Most pairs of a series and a caller in memory; calls beyond are under others."""

MAX_REFUSED_PAIRS = MAX_PAIRS // 4
"""Most pairs with refused calls alone: whoever tries many keys leaves room for the others."""

FOLD_CALLERS_THRESHOLD = 64
"""Number of waiting callers of a series at which a call counts them."""

LONGEST_KEY = 256
"""Bytes of a key from which on its digest stands for it."""

LONGEST_NAME = 200
"""Characters of a name; longer ones are cut, as the column is."""

CallersByNumber: TypeAlias = "Mapping[int, CallerValue]"
Headers: TypeAlias = "Sequence[tuple[bytes, bytes]]"
Note: TypeAlias = "Callable[[Series, Scope, int], CallerValue]"
"""Notes the caller of a call that is about to be counted in a series.

The last argument is the number of the open call that has ended, see `OpenCalls`; 0 if it never
was one. Returns the caller.
"""


class Callers:
    """Finds the callers of calls, and bounds their memory.

    Attributes:
        identify: Returns the caller of a request's scope; None while callers are not recorded. It
            raises what the host's hook raises.
        note: For the middleware; None likewise.
        opened: Callers of open calls that are already known, by the number of the call.
    """

    def __init__(self) -> None:
        """Record none until settings are applied."""
        self.identify: Callable[[Scope], CallerValue] | None = None
        self.note: Note | None = None
        self.opened: dict[int, CallerValue] = {}
        self._ended: set[int] = set()
        self._used: Counter[str] = Counter()
        self._has_warned = False

    def apply(self, config: LensConfig) -> None:
        """Use these settings from now on."""
        if config.caller_source == "off":
            self.identify = self.note = None
            self.opened.clear()
        else:
            self.identify = _identifier(config)
            self.note = self._noting(self.identify)

    def of_open_calls(self, scopes: Mapping[int, Scope], opened: OpenCalls) -> CallersByNumber:
        """The callers of open calls; empty while callers are not recorded.

        The hook is called once for each call, here or at its end; twice only for one that ends at
        this moment. One thread at a time.

        Args:
            scopes: Of calls whose callers are needed, by the number of the call.
            opened: All open calls.
        """
        identify, known = self.identify, self.opened
        if identify is None:
            return {}
        for number, scope in scopes.items():
            if number not in known:
                known[number] = self._identified(identify, scope)
        # Only at the second look, because a call that has just ended takes its caller itself.
        ended = {number for number in list(known) if number not in opened}
        for number in ended & self._ended:
            known.pop(number, None)
        self._ended = ended
        return {number: known.get(number) for number in scopes}

    def fold(self, series: Series) -> None:
        """Count the waiting callers of a series; one thread at a time."""
        waiting = len(series.callers)
        if not waiting:
            return
        callers = series.callers[:waiting]
        del series.callers[:waiting]
        named = series.named
        for caller, calls in Counter(callers).items():
            if caller in named:
                named[caller] += calls
            elif self._has_room(series, caller):
                named[caller] = calls
            else:
                named[OTHERS] = named.get(OTHERS, 0) + calls

    def take(self, series: Series, calls: int) -> tuple[CallerCounts, bool]:
        """Take the folded callers of a series; one thread at a time.

        Args:
            series: The series, with its callers folded.
            calls: Number of its calls that are taken, too.

        Returns:
            Its callers, and true if each of the calls has had one.
        """
        taken, series.named = series.named, CallerCounts()
        for caller in taken:
            self._used[_pool(series, caller)] -= 1
        ahead = series.ahead + sum(taken.values()) - calls
        series.ahead = max(0, ahead)
        return taken, ahead >= 0

    def _identified(self, identify: Callable[[Scope], CallerValue], scope: Scope) -> CallerValue:
        try:
            return identify(scope)
        except Exception as error:  # noqa: BLE001  The host's hook may raise anything.
            self._warn(error)
            return None

    def _noting(self, identify: Callable[[Scope], CallerValue]) -> Note:
        opened, warn = self.opened, self._warn

        def note(series: Series, scope: Scope, number: int) -> CallerValue:
            caller: CallerValue = None
            try:
                # Not through `_identified`: each call of a function takes time.
                is_known = number and number in opened
                caller = opened.pop(number) if is_known else identify(scope)
            except Exception as error:  # noqa: BLE001  The host's hook may raise anything.
                warn(error)
            finally:
                # Even if the hook ends the process: the call is counted nevertheless.
                series.callers.append(caller)
            return caller

        return note

    def _has_room(self, series: Series, caller: CallerValue) -> bool:
        pool = _pool(series, caller)
        has_room = self._used[pool] < (MAX_REFUSED_PAIRS if pool == _REFUSED else MAX_PAIRS)
        if has_room:
            self._used[pool] += 1
        return has_room

    def _warn(self, error: Exception) -> None:
        """Log the first failure of the hook; without its message, which may contain a key."""
        if self._has_warned:
            return
        self._has_warned = True
        logger.error(
            "fastapi_lens records calls without a caller, because of %s at %s: "
            "LensConfig(consumer=…) has to return text or None for every scope",
            type_name(error),
            place_text(place_of(error)),
        )


_REFUSED, _AGENTS, _NAMES = "refused", "agents", "names"


def _pool(series: Series, caller: CallerValue) -> str:
    """The pool of callers with a bound of its own, so that no kind of them crowds out another."""
    if series.key.status in REFUSED:
        return _REFUSED
    return _AGENTS if isinstance(caller, Agent) else _NAMES


def _identifier(config: LensConfig) -> Callable[[Scope], CallerValue]:
    """Returns the caller of a scope: by the hook, then the header, then the User-Agent."""
    identify = _by_agent()
    if config.caller_source in ("key", "agent"):
        identify = _by_key(config.caller_header.lower().encode(), identify)
    return identify if config.consumer is None else _by_hook(config.consumer, identify)


def _by_hook(
    consumer: Consumer, otherwise: Callable[[Scope], CallerValue]
) -> Callable[[Scope], CallerValue]:
    def identify(scope: Scope) -> CallerValue:
        name = consumer(scope)
        if type(name) is not str:
            if name is None:
                return otherwise(scope)
            name = _text(name)
        if len(name) > LONGEST_NAME:
            return name[:LONGEST_NAME]
        return name or otherwise(scope)

    return identify


def _text(name: object) -> str:
    """The text of a name.

    Raises:
        TypeError: It is no text.
    """
    if not isinstance(name, str):
        raise TypeError(f"consumer has to return text or None, not {type(name).__name__}")
    # A plain one, because a type of the host's, such as an enum, may compare and hash as it likes.
    return str.__str__(name)


def _by_key(
    header: bytes, otherwise: Callable[[Scope], CallerValue]
) -> Callable[[Scope], CallerValue]:
    find = _finder(header)

    def identify(scope: Scope) -> CallerValue:
        key = find(scope["headers"])
        if len(key) > LONGEST_KEY:
            return hashlib.blake2b(key).digest()
        return key or otherwise(scope)

    return identify


def _by_agent() -> Callable[[Scope], CallerValue]:
    find, agents = _finder(b"user-agent"), dict[bytes, Agent]()

    def identify(scope: Scope) -> CallerValue:
        header = find(scope["headers"])
        if len(header) > LONGEST_HEADER:
            header = header[:LONGEST_HEADER]
        agent = agents.get(header)
        if agent is None and header:
            if len(agents) >= MAX_PAIRS:
                agents.clear()
            agent = agents[header] = Agent(header)
        return agent

    return identify


def _finder(wanted: bytes) -> Callable[[Headers], bytes]:
    """Returns the value of a header, empty without it; ASGI's names are in lower case."""
    # Most clients of an application send their headers in the same order.
    hint = 0

    def find(headers: Headers) -> bytes:
        nonlocal hint
        try:
            name, value = headers[hint]
        except IndexError:
            name = value = b""
        if name == wanted:
            return value
        # Without a counter, which would slow down the search for a header that is not there.
        for name, value in headers:
            if name == wanted:
                hint = [one for one, _ in headers].index(wanted)
                return value
        return b""

    return find
