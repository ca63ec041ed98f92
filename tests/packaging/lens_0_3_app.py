"""An application that runs in an environment with the package fastapi-lens 0.3 of PyPI.

`test_lens_0_3.py` runs this file there, isolated from the checkout, and takes `add_routes` into an
application with ours. Calls the application as a server would.
"""

import asyncio
import contextlib
from typing import Any

from fastapi import APIRouter, FastAPI, HTTPException

CALLS = (
    ("GET", "/orders/1"),
    ("GET", "/orders/2"),
    ("GET", "/orders/none"),
    ("POST", "/orders"),
    ("GET", "/v1/users/7"),
    ("GET", "/v1/users/8"),
    ("GET", "/crash"),
    ("GET", "/sub/things/3"),
    ("GET", "/nowhere"),
    ("HEAD", "/orders/1"),
)


def add_routes(app: FastAPI) -> None:
    """Routes of the application itself, of a router, and of an application that is mounted."""

    @app.get("/orders/{order_id}")
    def order(order_id: int) -> int:
        return order_id

    @app.post("/orders")
    def create() -> None:
        raise HTTPException(409)

    @app.get("/crash")
    def crash() -> None:
        raise RuntimeError

    router = APIRouter()

    @router.get("/users/{user_id}")
    def user(user_id: int) -> int:
        return user_id

    app.include_router(router, prefix="/v1")
    sub = FastAPI()

    @sub.get("/things/{number}")
    def thing(number: int) -> int:
        return number

    app.mount("/sub", sub)


async def call(app: FastAPI, method: str, path: str) -> None:
    """One request of a client, whose answer is ignored."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [],
        "client": ("203.0.113.7", 4711),
        "server": ("127.0.0.1", 80),
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        """Take it."""

    with contextlib.suppress(RuntimeError):  # Of the route that crashes.
        await app(scope, receive, send)  # type: ignore[arg-type]


async def main() -> None:
    """Make all calls, and write them into lens.db in the working directory."""
    from fastapi_lens import LensMiddleware  # noqa: PLC0415  Theirs.

    app = FastAPI()
    add_routes(app)
    LensMiddleware.setup(app)
    for method, path in CALLS:
        await call(app, method, path)
    await app.state.lens_middleware.force_flush()
    await app.state.lens_middleware.close()


if __name__ == "__main__":
    asyncio.run(main())
