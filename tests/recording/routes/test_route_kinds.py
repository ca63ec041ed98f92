"""Kinds of routes that are easily lost: counted and discovered under the same full template."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import APIRouter, FastAPI, WebSocket
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Host, Mount, Route, Router, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocketDisconnect

from tests.recording.probe import REQUEST_BODY, Probe, call, http_scope
from tests.recording.rooted import plain, shop
from tests.support.releases import needs_included_mounts

pytestmark = pytest.mark.unmeasured

MakeProbe = Callable[..., Probe]


class Items(HTTPEndpoint):
    def get(self, request: Request) -> PlainTextResponse:
        return PlainTextResponse("ok")

    def delete(self, request: Request) -> PlainTextResponse:
        return PlainTextResponse("ok")


class MovesRoot:
    """A middleware of the host that takes a prefix from a proxy's header; no server does."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        prefix = dict(scope.get("headers", ())).get(b"x-forwarded-prefix")
        if prefix is not None:
            scope["root_path"] = prefix.decode()
            scope["path"] = scope["root_path"] + scope["path"]
        await self.app(scope, receive, send)


async def refuse(websocket: WebSocket) -> None:
    await websocket.close()


SHOP_PATHS = ("/v1/users/1", "/t/acme/ping", "/a/1", "/b/1")
SHOP_COUNTS = {
    ("GET", "/v1/users/{user_id}"): {200: 1},
    ("GET", "/t/{tenant}/ping"): {200: 1},
    ("GET", "/a/{x}"): {200: 1},
    ("GET", "/b/{x}"): {200: 1},
}


def counted(probed: Probe, prefix: str = "", **headers: str) -> Any:
    for path in SHOP_PATHS:
        assert probed.client.get(prefix + path, headers=headers).status_code == 200
    return probed.counts()


def test_a_root_path_of_the_application_is_no_part_of_a_template(probe: MakeProbe) -> None:
    app = shop()
    app.root_path = "/proxied"
    assert counted(probe(app), "/proxied") == SHOP_COUNTS


def test_nor_is_it_where_the_lens_lies_around_the_application(probe: MakeProbe) -> None:
    app = shop()
    app.root_path = "/proxied"

    async def around(scope: Any, receive: Any, send: Any) -> None:
        await app(scope, receive, send)

    around.routes = app.routes  # type: ignore[attr-defined]  # what the lens asks for
    assert counted(probe(around), "/proxied") == SHOP_COUNTS


def test_a_root_path_of_the_server_is_no_part_of_a_template(probe: MakeProbe) -> None:
    probed = probe(shop())
    probed.client = type(probed.client)(probed.app, root_path="/proxied")
    assert counted(probed, "/proxied") == SHOP_COUNTS


@pytest.mark.anyio
async def test_a_server_may_leave_its_root_path_out_of_the_path(probe: MakeProbe) -> None:
    app = shop()
    probed = probe(app)
    # As hypercorn does; Starlette finds nothing in a mount then.
    for path in ("/v1/users/1", "/a/1", "/b/1"):
        await call(app, http_scope(path, root_path="/proxied"), [REQUEST_BODY])
    assert probed.counts() == {
        key: value for key, value in SHOP_COUNTS.items() if key[1] != "/t/{tenant}/ping"
    }


def test_a_root_path_of_a_middleware_above_is_no_part_of_a_template(probe: MakeProbe) -> None:
    app = shop()
    probed = probe(app)
    app.add_middleware(MovesRoot)
    assert counted(probed, **{"x-forwarded-prefix": "/proxied"}) == SHOP_COUNTS


def test_a_root_path_of_a_middleware_below_is_no_part_of_a_template(probe: MakeProbe) -> None:
    app = shop()
    app.add_middleware(MovesRoot)
    assert counted(probe(app), **{"x-forwarded-prefix": "/proxied"}) == SHOP_COUNTS


def test_a_server_that_puts_a_root_path_before_all_paths(
    run_server: Callable[..., Any], probe: MakeProbe, tmp_path: Path
) -> None:
    database = tmp_path / "lens.db"
    server = run_server(
        "tests.recording.rooted:app",
        args=["--root-path", "/proxied"],
        env={"LENS_DB_PATH": str(database)},
    )
    for path in SHOP_PATHS:
        assert httpx2.get(server.url + path).status_code == 200
    server.stop()
    later = probe(FastAPI(), db_path=str(database), app_name="rooted")
    later.get("/nothing")
    assert later.counts() == SHOP_COUNTS


def test_a_class_in_an_included_router_has_the_methods_that_it_defines(probe: MakeProbe) -> None:
    app, router = FastAPI(), APIRouter()
    router.routes.append(Route("/items", Items))
    app.include_router(router, prefix="/v1")
    probed = probe(app)
    probed.get("/v1/items")
    probed.client.post("/v1/items")
    assert probed.counts() == {("GET", "/v1/items"): {200: 1}}
    assert probed.discovered() == {("GET", "/v1/items"), ("DELETE", "/v1/items")}


def test_a_mounted_starlette_application_is_counted_like_one_of_fastapi(
    probe: MakeProbe, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").write_text("hi")
    inner = Starlette(
        routes=[
            Route("/plain", plain),
            Route("/items", Items),
            Mount("/files", StaticFiles(directory=tmp_path)),
        ]
    )
    app = FastAPI()
    app.mount("/inner", inner)
    probed = probe(app)
    probed.get("/inner/plain", "/inner/items", "/inner/files/a.txt", "/inner/none")
    probed.client.head("/inner/plain")
    probed.client.post("/inner/plain")
    probed.client.post("/inner/items")
    counts = probed.counts()
    assert counts == {
        ("GET", "/inner/plain"): {200: 2},
        ("GET", "/inner/items"): {200: 1},
        ("GET", "/inner/files/{path}"): {200: 1},
    }
    assert probed.discovered() == {*counts, ("DELETE", "/inner/items")}


def test_routes_below_a_mount_of_starlette_are_told_apart(probe: MakeProbe, tmp_path: Path) -> None:
    inner = FastAPI()
    inner.add_route("/one", plain)
    inner.add_route("/two", lambda request: PlainTextResponse("two"))
    probed = probe(Starlette(routes=[Mount("/inner", inner)]))
    probed.get("/inner/none", "/inner/one", "/inner/two", "/inner/two", "/inner/none")
    assert probed.counts() == {("GET", "/inner/one"): {200: 1}, ("GET", "/inner/two"): {200: 2}}


@needs_included_mounts
def test_a_host_in_an_included_router_has_the_routers_prefix(probe: MakeProbe) -> None:
    inner = Starlette(routes=[Route("/x", plain)])
    app, router = FastAPI(), APIRouter()
    router.routes.append(Host("api.example.org", Router(routes=[Mount("/in", inner)])))
    app.include_router(router, prefix="/v1")
    probed = probe(app)
    probed.client.get("/v1/in/x", headers={"host": "api.example.org"})
    assert probed.counts() == {("GET", "/v1/in/x"): {200: 1}}
    assert probed.discovered() == {("GET", "/v1/in/x")}


def test_a_path_with_converters_has_a_template_without(probe: MakeProbe) -> None:
    app, router = FastAPI(), APIRouter()
    router.add_api_route("/files/{path:path}", lambda path: path)
    router.routes.append(Route("/rows/{row:int}", plain))
    app.include_router(router, prefix="/v1")
    probed = probe(app)
    probed.get("/v1/files/a/b/c", "/v1/rows/7", "/v1/rows/none")
    counts = probed.counts()
    assert counts == {("GET", "/v1/files/{path}"): {200: 1}, ("GET", "/v1/rows/{row}"): {200: 1}}
    assert probed.discovered() == set(counts)


@pytest.mark.parametrize(("declared", "asked"), [("/x", "/x/"), ("/x/", "/x")])
def test_a_redirect_to_the_other_slash_is_no_call_but_what_it_leads_to(
    probe: MakeProbe, declared: str, asked: str
) -> None:
    app, router = FastAPI(), APIRouter()
    router.add_api_route(declared, lambda: 1)
    app.include_router(router, prefix="/v1")
    probed = probe(app)
    answer = probed.client.get("/v1" + asked)
    assert answer.status_code == 307
    assert probed.counts() == {}
    probed.get(answer.headers["location"])
    assert probed.counts() == {("GET", "/v1" + declared): {200: 1}}


def test_a_websocket_that_is_refused_is_a_call(probe: MakeProbe) -> None:
    app, router = FastAPI(), APIRouter()
    router.add_api_websocket_route("/live/{room}", refuse)
    router.routes.append(WebSocketRoute("/own/{room}", refuse))
    app.include_router(router, prefix="/v1")
    probed = probe(app)
    for path in ("/v1/live/1", "/v1/own/1", "/v1/none"):
        with pytest.raises(WebSocketDisconnect), probed.client.websocket_connect(path):
            pass
    counts = probed.counts()
    assert counts == {
        ("WEBSOCKET", "/v1/live/{room}"): {403: 1},
        ("WEBSOCKET", "/v1/own/{room}"): {403: 1},
    }
    assert probed.discovered() == set(counts)


def test_a_route_in_the_place_of_another_is_counted(probe: MakeProbe) -> None:
    app = FastAPI(openapi_url=None)
    app.add_route("/old", plain)
    probed = probe(app)
    probed.get("/old")
    app.router.routes[:] = [Route("/new", lambda request: PlainTextResponse("new"))]
    probed.get("/new")
    assert probed.counts() == {("GET", "/old"): {200: 1}, ("GET", "/new"): {200: 1}}


def _without_a_trace(app: Any) -> Any:
    async def around(scope: Any, receive: Any, send: Any) -> None:
        await app(scope, receive, send)

    return around


@pytest.mark.parametrize("by_hand", [True, False])
def test_a_mounted_application_is_seen_through_its_middlewares(
    probe: MakeProbe, tmp_path: Path, *, by_hand: bool
) -> None:
    (tmp_path / "a.txt").write_text("hi")
    inner = FastAPI()
    inner.add_api_route("/ping", lambda: 1)
    inner.add_route("/own", plain)
    inner.mount("/files", StaticFiles(directory=tmp_path))
    app = FastAPI()
    if by_hand:
        app.mount("/inner", MovesRoot(inner))
    else:
        around = [Middleware(_without_a_trace)]
        app.router.routes.append(Mount("/inner", inner, middleware=around))
    probed = probe(app)
    probed.get("/inner/ping", "/inner/own", "/inner/files/a.txt", "/inner/none")
    counts = probed.counts()
    assert counts == {
        ("GET", "/inner/ping"): {200: 1},
        ("GET", "/inner/own"): {200: 1},
        ("GET", "/inner/files/{path}"): {200: 1},
    }
    assert probed.discovered() == set(counts)
