"""What recording itself costs a request, measured on one call in 1,024. Changes no count."""

import time
from collections import deque
from statistics import median

from starlette.types import ASGIApp, Message, Receive, Scope, Send

SAMPLE_MASK = 1_023
"""A call is measured where these bits of the clock are all 0: one in 1,024, by chance."""

_KEPT = 255


class Costs:
    """The latest measurements of one process; safe in threads."""

    def __init__(self) -> None:
        """Start with none."""
        self._latest: deque[int] = deque(maxlen=_KEPT)

    def add(self, nanoseconds: int) -> None:
        """Take one measurement."""
        self._latest.append(nanoseconds)

    @property
    def median_ns(self) -> int:
        """The median of the latest 255, in nanoseconds; 0 before the first.

        Not the mean: where a thread loses the interpreter in between, it measures the others.
        """
        latest = list(self._latest)
        return round(median(latest)) if latest else 0


class CostMeter:
    """Measures one call of a middleware: its time less that of what it calls.

    What it stands between costs something itself, and code that runs so rarely is in no cache
    of the processor: it tells too much, never too little. Where requests are few, all of the
    lens's code is as cold, and some ten microseconds are what they really pay.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Stand before an application."""
        self._app = app
        self._foreign_ns = 0

    async def below(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the application; its time is not the middleware's, but that of `send` is."""
        begun_ns = time.perf_counter_ns()
        try:
            await self._app(scope, receive, self._timed(send, sign=-1))
        finally:
            self._foreign_ns += time.perf_counter_ns() - begun_ns

    def above(self, send: Send) -> Send:
        """The server's `send`, whose time is not the middleware's."""
        return self._timed(send, sign=1)

    def _timed(self, send: Send, *, sign: int) -> Send:
        """A `send` whose time is added to that of others (1), or taken off it (-1)."""

        async def timed(message: Message) -> None:
            begun_ns = time.perf_counter_ns()
            try:
                await send(message)
            finally:
                self._foreign_ns += sign * (time.perf_counter_ns() - begun_ns)

        return timed

    def own_ns(self, total_ns: int) -> int:
        """The middleware's share of the whole call, in nanoseconds."""
        return max(0, total_ns - self._foreign_ns)
