import inspect
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, HTTPException, WebSocket
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Host, Mount, Route, Router, WebSocketRoute
from starlette.routing import Match as RouteMatch
from starlette.staticfiles import StaticFiles

from fastapi_lens import lens_admin
from fastapi_lens.reporting.model import Window
from tests.recording.probe import REQUEST_BODY, Probe, call, http_scope
from tests.support.releases import needs_frontend, needs_included_mounts

MakeProbe = Callable[..., Probe]


ODD = [partial(print), partial(print)]


def plain(request: Request) -> PlainTextResponse:
    return PlainTextResponse("ok")


async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.close()


def users() -> APIRouter:
    router = APIRouter(prefix="/users")

    @router.get("/{user_id}")
    def get_user(user_id: int) -> int:
        return user_id

    return router


def test_a_plain_route_is_counted_under_its_template(probe: MakeProbe) -> None:
    app = FastAPI()
    app.add_api_route("/items/{item_id}", lambda item_id: item_id)
    probed = probe(app)
    probed.get("/items/1", "/items/2")
    assert probed.counts() == {("GET", "/items/{item_id}"): {200: 2}}


def test_an_included_route_has_the_prefixes_of_all_its_routers(probe: MakeProbe) -> None:
    app, api, version = FastAPI(), APIRouter(prefix="/api"), APIRouter(prefix="/v1")
    version.include_router(users())
    api.include_router(version)
    app.include_router(api, prefix="/shop")
    probed = probe(app)
    probed.get("/shop/api/v1/users/7")
    assert probed.counts() == {("GET", "/shop/api/v1/users/{user_id}"): {200: 1}}


def test_a_router_that_is_included_twice_is_two_sets_of_endpoints(probe: MakeProbe) -> None:
    app, router = FastAPI(), users()
    app.include_router(router, prefix="/v1")
    app.include_router(router, prefix="/v2")
    probed = probe(app)
    probed.get("/v1/users/1", "/v2/users/1", "/v2/users/2")
    assert probed.counts() == {
        ("GET", "/v1/users/{user_id}"): {200: 1},
        ("GET", "/v2/users/{user_id}"): {200: 2},
    }


def test_a_mount_at_a_templated_path_keeps_the_template(probe: MakeProbe) -> None:
    app, inner = FastAPI(), FastAPI()
    inner.include_router(users())
    inner.add_api_route("/ping", lambda: "pong")
    app.mount("/t/{tenant}", inner)
    app.mount("/fixed", inner)
    probed = probe(app)
    probed.get("/t/acme/users/1", "/t/other/users/2", "/t/acme/ping", "/fixed/users/3")
    assert probed.counts() == {
        ("GET", "/t/{tenant}/users/{user_id}"): {200: 2},
        ("GET", "/t/{tenant}/ping"): {200: 1},
        ("GET", "/fixed/users/{user_id}"): {200: 1},
    }


@needs_included_mounts
def test_a_mount_inside_an_included_router_is_counted_in_full(probe: MakeProbe) -> None:
    app, router, inner = FastAPI(), APIRouter(), FastAPI()
    inner.include_router(users())
    router.mount("/inner", inner)
    router.mount("/star", Starlette(routes=[Route("/x/{y}", plain)]))
    app.include_router(router, prefix="/outer")
    probed = probe(app)
    probed.get("/outer/inner/users/1", "/outer/star/x/1")
    assert probed.counts() == {
        ("GET", "/outer/inner/users/{user_id}"): {200: 1},
        ("GET", "/outer/star/x/{y}"): {200: 1},
    }


def test_starlette_routes_are_counted_under_their_templates(probe: MakeProbe) -> None:
    app, router = FastAPI(), APIRouter()
    app.add_route("/plain/{z}", plain)
    router.routes.append(Route("/inside/{q}", partial(plain)))
    app.include_router(router, prefix="/pre")
    app.mount("/group", Router(routes=[Route("/{path:path}", plain, name="rest")]))
    probed = probe(app)
    probed.get("/plain/1", "/pre/inside/2", "/group/a/b/c")
    assert probed.counts() == {
        ("GET", "/plain/{z}"): {200: 1},
        ("GET", "/pre/inside/{q}"): {200: 1},
        ("GET", "/group/{path}"): {200: 1},
    }


def test_one_function_behind_several_routes_is_told_apart_by_the_path(probe: MakeProbe) -> None:
    app = FastAPI()
    app.add_route("/a/{x}", plain)
    app.add_route("/b/{x}", plain, methods=["POST"])
    probed = probe(app)
    probed.get("/a/1", "/a/2", "/b/1")
    probed.client.post("/b/1")
    probed.client.post("/a/1")
    assert probed.counts() == {("GET", "/a/{x}"): {200: 2}, ("POST", "/b/{x}"): {200: 1}}


def test_several_methods_on_one_route_are_several_endpoints(probe: MakeProbe) -> None:
    app = FastAPI()
    app.add_api_route("/both", lambda: 1, methods=["GET", "PUT"])
    probed = probe(app)
    probed.get("/both")
    probed.client.put("/both")
    assert probed.counts() == {("GET", "/both"): {200: 1}, ("PUT", "/both"): {200: 1}}


def test_a_class_based_endpoint_has_the_methods_that_it_defines(probe: MakeProbe) -> None:
    class Items(HTTPEndpoint):
        def get(self, request: Request) -> PlainTextResponse:
            return PlainTextResponse("ok")

        def delete(self, request: Request) -> PlainTextResponse:
            return PlainTextResponse("gone")

    app = FastAPI()
    app.router.routes.append(Route("/items", Items))
    probed = probe(app)
    probed.get("/items")
    probed.client.post("/items")
    assert probed.counts() == {("GET", "/items"): {200: 1}}
    assert probed.discovered() == {("GET", "/items"), ("DELETE", "/items")}


def test_head_that_starlette_adds_belongs_to_the_get_endpoint(probe: MakeProbe) -> None:
    app = FastAPI()
    app.add_route("/plain", plain)
    probed = probe(app)
    probed.client.head("/plain")
    assert probed.counts() == {("GET", "/plain"): {200: 1}}


def test_head_and_options_that_the_app_declares_are_endpoints(probe: MakeProbe) -> None:
    app = FastAPI()
    app.add_api_route("/x", lambda: None, methods=["HEAD"])
    app.add_api_route("/x", lambda: None, methods=["OPTIONS"])
    probed = probe(app)
    probed.client.head("/x")
    probed.client.options("/x")
    assert probed.counts() == {("HEAD", "/x"): {200: 1}, ("OPTIONS", "/x"): {200: 1}}


def test_static_files_are_one_endpoint(probe: MakeProbe, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hi")
    app = FastAPI()
    app.mount("/static", StaticFiles(directory=tmp_path))
    probed = probe(app)
    probed.get("/static/a.txt", "/static/missing.txt")
    probed.client.post("/static/a.txt")
    assert probed.counts() == {("GET", "/static/{path}"): {200: 1, 404: 1}}


def test_a_mounted_application_that_cannot_be_seen_into_is_one_endpoint(probe: MakeProbe) -> None:
    async def opaque(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse("ok")(scope, receive, send)

    app = FastAPI()
    app.mount("/legacy", opaque)
    probed = probe(app)
    probed.get("/legacy/a", "/legacy/b/c")
    probed.client.post("/legacy/d")
    assert probed.counts() == {("ANY", "/legacy/{path}"): {200: 3}}


def test_routes_of_a_host_are_counted_under_their_path(probe: MakeProbe) -> None:
    app, inner = FastAPI(), FastAPI()
    inner.include_router(users())
    app.host("api.example.org", inner)
    app.router.routes.append(Host("{sub}.example.net", Router(routes=[Route("/zz/{k}", plain)])))
    probed = probe(app)
    probed.client.get("/users/1", headers={"host": "api.example.org"})
    probed.client.get("/zz/1", headers={"host": "x.example.net"})
    assert probed.counts() == {
        ("GET", "/users/{user_id}"): {200: 1},
        ("GET", "/zz/{k}"): {200: 1},
    }


def test_websockets_are_endpoints_with_a_method_of_their_own(probe: MakeProbe) -> None:
    app, router = FastAPI(), APIRouter(prefix="/live")
    router.add_api_websocket_route("/{room}", echo)
    app.include_router(router, prefix="/v1")
    app.router.routes.append(WebSocketRoute("/raw/{room}", echo))
    probed = probe(app)
    with probed.client.websocket_connect("/v1/live/7"):
        pass
    with probed.client.websocket_connect("/raw/7"):
        pass
    assert probed.counts() == {
        ("WEBSOCKET", "/v1/live/{room}"): {101: 1},
        ("WEBSOCKET", "/raw/{room}"): {101: 1},
    }


@needs_frontend
def test_a_front_end_is_one_endpoint(probe: MakeProbe, tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("hi")
    app = FastAPI()
    app.frontend("/app", directory=tmp_path)
    router = APIRouter()
    router.frontend("/inside", directory=tmp_path)
    app.include_router(router, prefix="/api")
    probed = probe(app)
    probed.get("/app/index.html", "/app/")
    probed.client.post("/app/")
    assert probed.counts() == {("GET", "/app/{path}"): {200: 2}}
    assert probed.discovered() == {("GET", "/app/{path}"), ("GET", "/api/inside/{path}")}


def test_routes_that_are_added_after_the_start_are_counted_and_discovered(
    probe: MakeProbe,
) -> None:
    app = FastAPI()
    probed = probe(app)
    probed.get("/nothing")
    app.add_route("/late/{x}", plain)
    app.add_api_route("/later", lambda: 1)
    probed.get("/late/1")
    assert probed.counts() == {("GET", "/late/{x}"): {200: 1}}
    probed.lens.flusher.rediscover()
    assert ("GET", "/later") in probed.discovered()


@pytest.mark.parametrize("root_path", ["", "/proxied"])
def test_a_root_path_is_no_part_of_the_template(probe: MakeProbe, root_path: str) -> None:
    app = FastAPI()
    app.root_path = root_path
    app.include_router(users(), prefix="/v1")
    inner = FastAPI()
    inner.include_router(users())
    app.mount("/sub", inner)
    probed = probe(app)
    probed.get("/v1/users/1", f"{root_path}/sub/users/1")
    assert probed.counts() == {
        ("GET", "/v1/users/{user_id}"): {200: 1},
        ("GET", "/sub/users/{user_id}"): {200: 1},
    }


@pytest.mark.anyio
async def test_a_root_path_of_the_server_is_no_part_of_the_template(probe: MakeProbe) -> None:
    app, inner = FastAPI(), FastAPI()
    inner.include_router(users())
    app.mount("/sub", inner)
    probed = probe(app)
    await call(app, http_scope("/api/sub/users/1", root_path="/api"), [REQUEST_BODY])
    assert probed.counts() == {("GET", "/sub/users/{user_id}"): {200: 1}}


def test_everything_is_discovered_before_it_is_called(probe: MakeProbe, tmp_path: Path) -> None:
    app, inner = FastAPI(), FastAPI()
    inner.include_router(users())
    app.include_router(users(), prefix="/v1")
    app.mount("/t/{tenant}", inner)
    app.mount("/static", StaticFiles(directory=tmp_path))
    app.router.routes.append(Mount("/group", routes=[Route("/x", plain)]))
    app.add_api_websocket_route("/ws", echo)
    app.include_router(lens_admin)
    probed = probe(app)
    probed.get("/nothing")
    assert probed.discovered() == {
        ("GET", "/v1/users/{user_id}"),
        ("GET", "/t/{tenant}/users/{user_id}"),
        ("GET", "/static/{path}"),
        ("GET", "/group/x"),
        ("WEBSOCKET", "/ws"),
    }


def test_fastapis_pages_and_the_lens_are_no_endpoints(probe: MakeProbe) -> None:
    app = FastAPI()
    app.include_router(lens_admin, prefix="/internal")
    probed = probe(app)
    probed.get("/docs", "/redoc", "/openapi.json", "/internal/lens/report", "/favicon.ico")
    assert probed.counts() == {}
    assert probed.discovered() == set()


def test_what_no_route_answers_is_no_call_of_an_endpoint(probe: MakeProbe) -> None:
    app, inner = FastAPI(), FastAPI()
    inner.include_router(users())
    app.include_router(users())
    app.mount("/sub", inner)
    app.mount("/group", Router(routes=[Route("/x", plain)]))
    probed = probe(app)
    probed.get("/nothing", "/users/1/", "/sub/nothing", "/group/nothing")
    probed.client.delete("/users/1")
    probed.client.head("/users/1")
    assert probed.counts() == {}


def test_unmapped_paths_are_counted_under_one_path_when_wanted(probe: MakeProbe) -> None:
    app, inner = FastAPI(), FastAPI()
    app.mount("/sub", inner)
    probed = probe(app, ignore_unmapped=False)
    probed.get(*(f"/scan/{number}" for number in range(50)), "/sub/nothing")
    probed.client.request("BREW", "/coffee")
    assert probed.counts() == {
        ("GET", "<unmapped>"): {404: 51},
        ("_OTHER", "<unmapped>"): {404: 1},
    }


def test_an_endpoint_that_no_route_has_is_not_counted_and_said_once(
    probe: MakeProbe, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = FastAPI()
    app.add_route("/known", plain)

    class AnswersByItself:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            if scope.get("path", "").startswith("/odd"):
                scope["endpoint"] = ODD[int(scope["path"][-1])]
                await PlainTextResponse("odd")(scope, receive, send)
            else:
                await self.app(scope, receive, send)

    app.add_middleware(AnswersByItself)
    probed = probe(app)
    probed.get("/odd/0", "/odd/0", "/odd/1", "/known")
    assert probed.counts() == {("GET", "/known"): {200: 1}}
    hints = [one for one in caplog.records if "cannot find the route" in one.getMessage()]
    assert len(hints) == 1


def test_a_root_path_that_no_mount_explains_is_no_part_of_the_template(probe: MakeProbe) -> None:
    class Moves:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            scope["root_path"] = "/moved"
            await self.app(scope, receive, send)

    app = FastAPI()
    app.include_router(users())
    app.add_middleware(Moves)
    probed = probe(app)
    probed.get("/moved/users/1")
    assert probed.counts() == {("GET", "/users/{user_id}"): {200: 1}}


def test_an_application_that_is_mounted_in_itself_has_an_end(probe: MakeProbe) -> None:
    app = FastAPI()
    app.add_api_route("/x", lambda: 1)
    app.mount("/self", app)
    probed = probe(app)
    probed.get("/x")
    assert probed.counts() == {("GET", "/x"): {200: 1}}
    assert probed.discovered() == {("GET", "/x")}


def test_a_mount_below_a_host_keeps_its_template(probe: MakeProbe) -> None:
    inner = Starlette(routes=[Route("/x", plain)])
    app = FastAPI()
    app.host("api.example.org", Router(routes=[Mount("/in/{part}", app=inner)]))
    probed = probe(app)
    probed.client.get("/in/1/x", headers={"host": "api.example.org"})
    assert probed.counts() == {("GET", "/in/{part}/x"): {200: 1}}


def test_routes_of_a_kind_of_the_hosts_own_are_passed_over(probe: MakeProbe) -> None:
    class Own(BaseRoute):
        def matches(self, scope: Any) -> Any:
            return RouteMatch.NONE, {}

    app = FastAPI()
    app.router.routes.append(Own())
    app.add_api_route("/x", lambda: 1)
    probed = probe(app)
    probed.get("/x")
    assert probed.discovered() == {("GET", "/x")}


def test_a_class_that_is_an_application_of_its_own_answers_any_method(probe: MakeProbe) -> None:
    class Application:
        def __init__(self, scope: Any, receive: Any, send: Any) -> None:
            self.answer = PlainTextResponse("ok")(scope, receive, send)

        def __await__(self) -> Any:
            return self.answer.__await__()

    app = FastAPI()
    app.router.routes.append(Route("/own", Application))
    probed = probe(app)
    probed.get("/own")
    probed.client.post("/own")
    assert probed.counts() == {("ANY", "/own"): {200: 2}}


def test_the_facts_of_an_endpoint_come_from_its_route(probe: MakeProbe) -> None:
    app = FastAPI()

    @app.get("/facts", tags=["one", "two"], deprecated=True)
    def facts() -> int:
        """Summary line.

        And more.
        """
        return 1

    probed = probe(app)
    probed.get("/nothing")
    assert probed.lens.flusher.flush()
    (found,) = probed.lens.reader.endpoints(window=Window(), now=probed.lens.clock())
    assert found.name.endswith("facts")
    file, _, line = found.source.partition(":")
    assert file.endswith("tests/recording/routes/test_route_match.py")
    assert int(line) == inspect.getsourcelines(facts)[1]
    assert (found.summary, found.tags, found.deprecated) == ("Summary line.", ("one", "two"), True)


@pytest.mark.unmeasured
@pytest.mark.parametrize("status", [201, 204, 302, 400, 404, 409, 418, 500, 503])
def test_a_status_that_a_handler_answers_is_counted(probe: MakeProbe, status: int) -> None:
    app = FastAPI()
    app.add_api_route("/x", lambda: PlainTextResponse(status_code=status))
    probed = probe(app)
    probed.get("/x")
    assert probed.counts() == {("GET", "/x"): {status: 1}}


def test_errors_of_validation_and_dependencies_are_calls(probe: MakeProbe) -> None:
    def refuse() -> None:
        raise HTTPException(403)

    def crash() -> None:
        raise RuntimeError

    app = FastAPI()
    app.add_api_route("/number/{n}", lambda n: n, dependencies=[Depends(refuse)])
    app.add_api_route("/crash", lambda: 1, dependencies=[Depends(crash)])
    app.include_router(users())
    probed = probe(app)
    probed.get("/number/1", "/crash", "/users/none")
    assert probed.counts() == {
        ("GET", "/number/{n}"): {403: 1},
        ("GET", "/crash"): {500: 1},
        ("GET", "/users/{user_id}"): {422: 1},
    }
