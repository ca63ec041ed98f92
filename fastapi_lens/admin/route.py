"""The route of the admin as FastAPI knows it. Knows no pages."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from fastapi_lens.admin.edge import readable


class AdminRoute(APIRoute):
    """One of FastAPI's own kind, so that it runs the dependencies of all that includes it."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Take a key out of the address before the dependencies, of which one may refuse."""
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            return await handler(readable(request))

        return handle
