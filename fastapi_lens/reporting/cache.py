"""Time-to-live cache of query results, with single flight. Knows no queries and no databases."""

import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from typing import Any, TypeVar

MAX_AGE_SECONDS = 2.0
"""Longest age of a value, and so the longest difference between workers of an app."""

MAX_VALUES = 16
"""Most values. A single one may take some megabytes: the report of thousands of endpoints."""

Value = TypeVar("Value")


class TTLCache:
    """Results by key, kept for some seconds; safe to use from several threads.

    Args:
        max_age_seconds: Lifetime of a value.
        max_values: Most values that are kept; the oldest is evicted first.
        timer: Seconds of a monotonic clock.
    """

    def __init__(
        self,
        *,
        max_age_seconds: float = MAX_AGE_SECONDS,
        max_values: int = MAX_VALUES,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start empty."""
        self._max_age_seconds = max_age_seconds
        self._max_values = max_values
        self._timer = timer
        # Each value with its expiry time, in the order of these times.
        self._values: dict[Hashable, tuple[float, Any]] = {}
        self._in_flight: dict[Hashable, Future[Any]] = {}
        self._lock = threading.Lock()

    def get(self, key: Hashable, factory: Callable[[], Value]) -> Value:
        """The value of a key; callers that arrive while it is computed wait for it.

        Args:
            key: Everything that the value depends on; a key always has the same type of value.
            factory: Computes the value. Its error is raised in all waiting callers, and not
                kept.
        """
        with self._lock:
            kept: tuple[float, Value] | None = self._values.get(key)
            if kept is not None and self._timer() < kept[0]:
                return kept[1]
            future = self._in_flight.get(key)
            is_first = future is None
            if future is None:
                future = self._in_flight[key] = Future()
        # Outside of the lock, because a query takes long and other keys must not wait for it.
        if is_first:
            self._compute(key, future, factory)
        value: Value = future.result()
        return value

    def known(self, key: Hashable) -> Any:
        """The value of a key if it is kept, otherwise None; never waits."""
        with self._lock:
            kept = self._values.get(key)
            return kept[1] if kept is not None and self._timer() < kept[0] else None

    def _compute(self, key: Hashable, future: Future[Any], factory: Callable[[], Any]) -> None:
        try:
            value = factory()
        except BaseException as error:  # noqa: BLE001  Raised again in every caller.
            with self._lock:
                del self._in_flight[key]
            future.set_exception(error)
            return
        # Kept before waiting callers see it, so that their next call does not compute it again.
        with self._lock:
            del self._in_flight[key]
            self._keep(key, value)
        future.set_result(value)

    def _keep(self, key: Hashable, value: Any) -> None:
        now = self._timer()
        # Removed first, because a key that is replaced would keep its old place in the order.
        self._values.pop(key, None)
        self._values[key] = (now + self._max_age_seconds, value)
        for old, (end, _) in list(self._values.items()):
            if end <= now or len(self._values) > self._max_values:
                del self._values[old]
