"""Our template beside FastAPI's own: the route that its telemetry names."""

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, HTTPException
from opentelemetry.trace import NoOpTracer, Tracer, TracerProvider
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket

from fastapi_lens.recording.routes.route_match import NO_ROUTE, RouteTable
from tests.recording.probe import REQUEST_BODY, call, http_scope, websocket_scope
from tests.support.releases import needs_telemetry

pytestmark = needs_telemetry

CONNECT = {"type": "websocket.connect"}


class Tracing(TracerProvider):
    """Traces nothing; OpenTelemetry's own that does so turns FastAPI's telemetry off."""

    def get_tracer(self, *args: Any, **options: Any) -> Tracer:
        return NoOpTracer()


class Watch:
    """Keeps, of the latest call, the route that FastAPI's telemetry names and the scope.

    The telemetry is taken away when the call ends, so this is a middleware of the application.
    """

    named: str | None = None
    scope: Any = None

    def __call__(self, app: Any) -> Any:
        async def watched(scope: Any, receive: Any, send: Any) -> None:
            self.scope = scope
            try:
                await app(scope, receive, send)
            finally:
                self.named = getattr(scope.get("fastapi.telemetry"), "route", None)

        return watched


def plain(request: Request) -> PlainTextResponse:
    return PlainTextResponse("ok")


async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.close()


def refuse() -> None:
    raise HTTPException(403)


def with_routes(app: FastAPI | APIRouter) -> None:
    app.add_api_route("/api/{x}", lambda x: x, methods=["GET", "PUT"])
    app.add_api_route("/number/{n}", number)
    app.add_api_route("/refused/{x}", lambda x: x, dependencies=[Depends(refuse)])
    app.add_api_route("/rest/{path:path}", lambda path: path)
    app.add_route("/own/{x}", plain)
    app.add_api_websocket_route("/live/{x}", echo)


def number(n: int) -> int:
    return n


IN_ROUTER = ("/api/1", "/number/1", "/number/none", "/refused/1", "/rest/a/b/c")
OWN = ("/own/1",)
LIVE = ("/live/1",)


def application(folder: Path) -> FastAPI:
    """Routes of every kind that FastAPI's telemetry names in full."""
    app = FastAPI(telemetry={"tracer_provider": Tracing()})
    with_routes(app)
    deep, router, inner = APIRouter(), APIRouter(), FastAPI()
    with_routes(deep)
    router.include_router(deep, prefix="/deep/{d}")
    router.mount("/files", StaticFiles(directory=folder))
    app.include_router(router, prefix="/api/v1")
    with_routes(inner)
    inner.include_router(router, prefix="/in/v1")
    app.mount("/t/{tenant}", inner)
    app.mount("/files", StaticFiles(directory=folder))
    app.mount("/opaque", plain_application)
    app.frontend("/front", directory=folder)
    hosted = FastAPI()
    with_routes(hosted)
    app.host("hosted.example.org", hosted)
    return app


async def plain_application(scope: Any, receive: Any, send: Any) -> None:
    await PlainTextResponse("ok")(scope, receive, send)


def paths(prefixes: Iterable[str], inside: Iterable[str]) -> list[str]:
    return [prefix + path for prefix in prefixes for path in inside]


PREFIXES = ("", "/api/v1/deep/1", "/t/acme", "/t/acme/in/v1/deep/1")
HTTP = [
    *paths(PREFIXES, (*IN_ROUTER, *OWN)),
    *paths(("", "/api/v1", "/t/acme/in/v1"), ("/files/a.txt", "/files/none.txt")),
    "/opaque/a/b",
    "/front/a.txt",
]


def test_fastapi_names_the_same_template(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hi")
    watch, app = Watch(), application(tmp_path)
    app.add_middleware(watch)
    table = RouteTable(app)

    async def compare(scope: dict[str, Any], received: Any) -> str:
        await call(app, scope, [received])
        found = table.match(watch.scope, "")
        assert found is not None
        assert found.template == watch.named
        return found.template

    async def compare_all() -> set[str]:
        http = {await compare(http_scope(path), REQUEST_BODY) for path in HTTP}
        hosted = {**http_scope("/api/1"), "headers": [(b"host", b"hosted.example.org")]}
        live = {await compare(websocket_scope(path), CONNECT) for path in paths(PREFIXES, LIVE)}
        return http | live | {await compare(hosted, REQUEST_BODY)}

    compared = asyncio.run(compare_all())
    discovered = {leaf.template for leaf in table.leaves}
    assert compared <= discovered
    # What is left: FastAPI's own pages of the applications inside.
    assert all(leaf.template in compared for leaf in table.leaves)


@pytest.mark.parametrize("path", ["/none", "/api/1/", "/t/acme/none"])
def test_what_fastapi_names_no_endpoint_of_is_no_call(tmp_path: Path, path: str) -> None:
    watch, app = Watch(), application(tmp_path)
    app.add_middleware(watch)
    asyncio.run(call(app, http_scope(path), [REQUEST_BODY]))
    assert RouteTable(app).match(watch.scope, "") is NO_ROUTE
