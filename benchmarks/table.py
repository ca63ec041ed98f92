"""Stands for a FastAPI application where its own speed is not the question. Measures nothing.

FastAPI needs half a millisecond to find one of 200 included routes. So only every hundredth
request goes through it; the others are answered by a table that leaves in the scope what FastAPI
left there. A middleware above cannot tell one from the other.
"""

from collections.abc import Sequence
from itertools import cycle
from typing import Any

from fastapi import FastAPI

from fastapi_lens import LensMiddleware
from fastapi_lens.runtime.lens import Lens

STATUSES = (200, 200, 201, 304, 404, 422, 503)
"""Seven, which does not divide 200: so every endpoint gets all of them in turn."""

THROUGH_FASTAPI_EVERY = 100


class Table:
    """Answers as the application below would, without looking for the route.

    Args:
        app: Serves every hundredth request, and the first of every path.
        statuses: Those of the other answers, in turn.
    """

    def __init__(self, app: FastAPI, statuses: Sequence[int] = STATUSES) -> None:
        """Know no path yet."""
        self._app = app
        self._left: dict[str, dict[str, Any]] = {}
        self._statuses = cycle(statuses)
        self._served = 0
        self.routes = app.routes

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request or the lifespan."""
        self._served += 1
        path = scope.get("path")
        if path not in self._left or self._served % THROUGH_FASTAPI_EVERY == 0:
            before = set(scope)
            await self._app(scope, receive, send)
            if path is not None:
                self._left[path] = {key: scope[key] for key in scope if key not in before}
            return
        scope.update(self._left[path])
        await send({"type": "http.response.start", "status": next(self._statuses), "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})


def assert_written(app: LensMiddleware) -> None:
    """Stop a measurement of a lens that could not write: its numbers would look too good."""
    assert isinstance(app.lens, Lens)
    assert app.lens.flusher.pending_calls == 0, "the lens could not write; nothing is measured"
