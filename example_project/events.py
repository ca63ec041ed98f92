"""Tells everybody who listens what happens to orders. In this process only, keeps nothing."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from example_project.models import OrderStatus

MAX_WAITING = 100
"""Events that a slow listener may lag behind; what comes then is lost to it."""


@dataclass(frozen=True, slots=True)
class OrderEvent:
    """An order has got a new status."""

    order_id: int
    status: OrderStatus


@dataclass(frozen=True, slots=True, eq=False)
class _Listener:
    loop: asyncio.AbstractEventLoop
    queue: asyncio.Queue[OrderEvent]

    def offer(self, event: OrderEvent) -> None:
        if not self.queue.full():
            self.queue.put_nowait(event)


class OrderEvents:
    """From the threads that change orders to the event loops of those who listen."""

    def __init__(self) -> None:
        """Start with nobody listening."""
        self._listeners: list[_Listener] = []
        self._guard = threading.Lock()

    @contextmanager
    def listen(self) -> Iterator[asyncio.Queue[OrderEvent]]:
        """A queue that gets every event until the end of the block; needs a running loop."""
        listener = _Listener(asyncio.get_running_loop(), asyncio.Queue(MAX_WAITING))
        with self._guard:
            self._listeners.append(listener)
        try:
            yield listener.queue
        finally:
            with self._guard:
                self._listeners.remove(listener)

    def publish(self, event: OrderEvent) -> None:
        """Tell everybody; callable from any thread, never waits."""
        with self._guard:
            for listener in self._listeners:
                listener.loop.call_soon_threadsafe(listener.offer, event)
