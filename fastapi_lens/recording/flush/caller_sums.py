"""Calls by endpoint, caller and day that wait to be written. Knows no thread and no clock.

Keys of callers wait as they are, and are hashed when they are taken.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from fastapi_lens.recording.callers import MAX_PAIRS, MAX_REFUSED_PAIRS
from fastapi_lens.recording.flush.caller_names import OTHER_CALLERS, CallerNames
from fastapi_lens.recording.series import CallerValue, SeriesDelta
from fastapi_lens.storage.engine.clock_skew import microseconds
from fastapi_lens.storage.engine.yield_gil import yield_gil
from fastapi_lens.storage.schema.models import OTHERS_ID, Tier
from fastapi_lens.storage.writing.batches import CallerCalls, CallerFacts
from fastapi_lens.verdict.history import REFUSED

MAX_WAITING = 3 * MAX_PAIRS
"""Most sums while the database is down; calls beyond are under others."""

SERVER_ERROR = 500


class _Key(NamedTuple):
    """Key of a sum; a caller is a key as it is, or named."""

    endpoint_id: int
    caller: CallerFacts | bytes
    day: int


@dataclass(slots=True)
class _Sum:
    """Calls of one key; times are epoch seconds.

    Attributes:
        at: Time of the last call.
        first_at: The first call that was not refused, 0 without any; `last_at` the last one.
    """

    at: float
    calls: int = 0
    refused: int = 0
    errors_5xx: int = 0
    first_at: float = 0.0
    last_at: float = 0.0

    def add(self, other: "_Sum") -> None:
        """Add calls of the same key."""
        self.at = max(self.at, other.at)
        self.calls += other.calls
        self.refused += other.refused
        self.errors_5xx += other.errors_5xx
        if other.last_at:
            self.first_at = min(self.first_at or other.first_at, other.first_at)
            self.last_at = max(self.last_at, other.last_at)


class Taken(NamedTuple):
    """Calls by callers, and the callers, for one batch."""

    calls: tuple[CallerCalls, ...]
    names: tuple[CallerFacts, ...]


class CallerSums:
    """The calls by callers of one worker that wait to be written.

    Args:
        names: Names the callers.
    """

    def __init__(self, names: CallerNames) -> None:
        """Start empty."""
        self._names = names
        self._sums: dict[_Key, _Sum] = {}
        self._minute = 0
        self._seen: set[tuple[int, CallerFacts | bytes]] = set()
        self._refused: set[tuple[int, CallerFacts | bytes]] = set()

    def __len__(self) -> int:
        """Number of sums."""
        return len(self._sums)

    def add(self, endpoint_id: int, counted: SeriesDelta, since: float) -> None:
        """Add the callers of counted calls.

        Args:
            endpoint_id: Their endpoint.
            counted: The calls, at correct times.
            since: Time before which none of them was, in epoch seconds.
        """
        last = counted.last_at
        status = counted.key.status
        is_refused = status in REFUSED
        for caller, calls in counted.callers.items():
            one = _Sum(last, calls)
            if is_refused:
                one.refused = calls
            else:
                # Never on the day before: days and times have to agree.
                one.first_at = max(min(since, last), last // Tier.DAY * Tier.DAY)
                one.last_at = last
            one.errors_5xx = calls if status >= SERVER_ERROR else 0
            self._add(endpoint_id, caller, one)

    def add_open(self, endpoint_id: int, callers: frozenset[CallerValue], now: float) -> None:
        """Add the callers of open calls; a caller is added once a minute.

        Args:
            endpoint_id: The endpoint of the calls.
            callers: Their callers.
            now: The time, in epoch seconds.
        """
        self._begin_minute(now)
        for caller in callers:
            if (endpoint_id, self._names.plain(caller)) not in self._seen:
                self._add(endpoint_id, caller, _Sum(now, first_at=now, last_at=now))

    def rebook(self, corrected: Callable[[float], float]) -> None:
        """Move every sum to its correct day.

        Args:
            corrected: Returns the correct epoch seconds for a time of the clock.
        """
        waiting, self._sums = self._sums, {}
        for key, one in waiting.items():
            one.at = corrected(one.at)
            day = int(one.at // Tier.DAY)
            if one.last_at:
                # Days and times have to agree.
                one.last_at = max(corrected(one.last_at), day * Tier.DAY)
                one.first_at = max(corrected(one.first_at), day * Tier.DAY)
                one.first_at = min(one.first_at, one.last_at)
            self._put(key._replace(day=day), one)

    def take(self, most: int | None = None) -> Taken:
        """Take out at most this many sums, all by default.

        Raises:
            StorageError: The hash key cannot be read; nothing is taken.
        """
        calls: list[CallerCalls] = []
        names: dict[int, CallerFacts] = {}
        keys = list(self._sums)[:most]
        hashed = {one: self._names.hashed(one) for one in yield_gil({key.caller for key in keys})}
        for key in keys:
            caller, one = hashed[key.caller], self._sums.pop(key)
            if caller.id != OTHERS_ID:
                names[caller.id] = caller
            calls.append(
                CallerCalls(
                    endpoint_id=key.endpoint_id,
                    caller_id=caller.id,
                    day=key.day,
                    calls=one.calls,
                    refused=one.refused,
                    errors_5xx=one.errors_5xx,
                    first_at_us=microseconds(one.first_at),
                    last_at_us=microseconds(one.last_at),
                )
            )
        return Taken(tuple(calls), tuple(names.values()))

    def _add(self, endpoint_id: int, value: CallerValue, one: _Sum) -> None:
        self._begin_minute(one.at)
        caller = self._names.plain(value)
        if not self._has_room(endpoint_id, caller, is_refused=one.refused > 0):
            caller = OTHER_CALLERS
        self._put(_Key(endpoint_id, caller, int(one.at // Tier.DAY)), one)

    def _begin_minute(self, at: float) -> None:
        minute = int(at // Tier.MINUTE)
        if minute != self._minute:
            self._minute = minute
            self._seen.clear()
            self._refused.clear()

    def _has_room(self, endpoint_id: int, caller: CallerFacts | bytes, *, is_refused: bool) -> bool:
        """True if the pair is not beyond the bounds of this minute."""
        pair = (endpoint_id, caller)
        if pair in self._seen or pair in self._refused:
            return True
        pool, most = (self._refused, MAX_REFUSED_PAIRS) if is_refused else (self._seen, MAX_PAIRS)
        if len(pool) >= most:
            return False
        pool.add(pair)
        return True

    def _put(self, key: _Key, one: _Sum) -> None:
        found = self._sums.get(key)
        if found is None and len(self._sums) >= MAX_WAITING:
            key = key._replace(caller=OTHER_CALLERS)
            found = self._sums.get(key)
        if found is None:
            self._sums[key] = one
        else:
            found.add(one)
