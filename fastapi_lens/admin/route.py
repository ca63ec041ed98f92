"""The admin's route for FastAPI. Knows no pages."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from fastapi_lens.admin.http.requests import sanitize_request


class AdminRoute(APIRoute):
    """An `APIRoute`, so that FastAPI runs the dependencies of the routers that include it."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Remove a key from the URL before the dependencies run, because one may refuse."""
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            return await handler(sanitize_request(request))

        return handle
