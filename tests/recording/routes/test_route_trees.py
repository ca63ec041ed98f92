"""Any tree of routers, mounts and routes: what is called is what was discovered."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route, Router, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket

from fastapi_lens.recording.routes import route_tree
from fastapi_lens.recording.routes.route_match import NO_ROUTE, Match, RouteTable, call_key
from tests.recording.probe import REQUEST_BODY, call, http_scope, websocket_scope
from tests.support.releases import FRONTEND, LAZY

HERE = Path(__file__).parent
CONNECT = {"type": "websocket.connect"}
LEAVES = ("api", "api of two methods", "websocket", "route", "class", "own websocket", "files")
FRONT_END = "front end"
WRAPPED = "wrapped by hand"
BRANCHES = {
    "include": APIRouter,
    "fastapi": FastAPI,
    "starlette": Starlette,
    "router": Router,
    WRAPPED: FastAPI,
}


@dataclass(frozen=True)
class Node:
    """A route, or a router or application with what is inside."""

    kind: str
    templated: bool
    shared: bool = False
    inside: tuple["Node", ...] = ()


@dataclass(frozen=True)
class Call:
    """A call, and the endpoint that it has to be counted for."""

    method: str
    path: str
    template: str
    counted_as: str


@dataclass
class Tree:
    """An application that is being built, and all calls that it answers."""

    calls: list[Call] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=count)

    def segment(self, node: Node) -> str:
        number = next(self.numbers)
        return f"/s{number}/{{p{number}}}" if node.templated else f"/s{number}"

    def expect(self, method: str, template: str, *, counted_as: str = "") -> None:
        path = template.replace("{", "").replace("}", "x")
        self.calls.append(Call(method, path, template, counted_as or method))


def plain(request: Request) -> PlainTextResponse:
    return PlainTextResponse("ok")


async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.close()


class Items(HTTPEndpoint):
    def get(self, request: Request) -> PlainTextResponse:
        return PlainTextResponse("ok")

    def delete(self, request: Request) -> PlainTextResponse:
        return PlainTextResponse("ok")


def add_leaf(tree: Tree, node: Node, into: Any, path: str, template: str) -> None:
    kind, router = node.kind, getattr(into, "router", into)
    # FastAPI takes the path of a front end literally, prefixes of routers included.
    if kind == FRONT_END and (
        isinstance(into, FastAPI) or (isinstance(into, APIRouter) and "{" not in template)
    ):
        literal = path.replace("{", "").replace("}", "")
        into.frontend(literal, directory=HERE)
        tree.expect("GET", template.removesuffix(path) + literal + "/{path}")
    elif kind in {"files", FRONT_END}:
        if LAZY.there or not isinstance(into, APIRouter):
            router.routes.append(Mount(path, StaticFiles(directory=HERE)))
            tree.expect("GET", template + "/{path}")
    elif kind in {"websocket", "own websocket"}:
        handler = echo if node.shared else partial(echo)
        if kind == "websocket" and isinstance(into, FastAPI | APIRouter):
            into.add_api_websocket_route(path, echo)
        else:
            router.routes.append(WebSocketRoute(path, handler))
        tree.expect("WEBSOCKET", template)
    else:
        add_http_leaf(tree, node, into, path, template)


def add_http_leaf(tree: Tree, node: Node, into: Any, path: str, template: str) -> None:
    if node.kind.startswith("api") and isinstance(into, FastAPI | APIRouter):
        methods = ["GET", "PUT"] if node.kind == "api of two methods" else ["GET"]
        into.add_api_route(path, lambda: 1, methods=methods)
        for method in methods:
            tree.expect(method, template)
    elif node.kind == "class":
        endpoint: Any = Items if node.shared else type("Items", (Items,), {})
        getattr(into, "router", into).routes.append(Route(path, endpoint))
        tree.expect("GET", template)
        tree.expect("DELETE", template)
    else:
        endpoint = plain if node.shared else partial(plain)
        getattr(into, "router", into).routes.append(Route(path, endpoint))
        tree.expect("GET", template)
        tree.expect("HEAD", template, counted_as="GET")


def add(tree: Tree, node: Node, into: Any, prefix: str) -> None:
    path = tree.segment(node)
    template = prefix + path
    if node.kind not in BRANCHES:
        add_leaf(tree, node, into, path, template)
        return
    included = node.kind == "include" or (isinstance(into, APIRouter) and not LAZY.there)
    if included and isinstance(into, FastAPI | APIRouter):
        inner: Any = APIRouter()
    else:
        inner = BRANCHES["router" if included else node.kind]()
    for child in node.inside:
        add(tree, child, inner, template)
    if included and isinstance(into, FastAPI | APIRouter):
        into.include_router(inner, prefix=path)
    else:
        into.mount(path, Kept(inner) if node.kind == WRAPPED else inner)


def nodes(depth: int) -> st.SearchStrategy[Node]:
    kinds = (*LEAVES, FRONT_END) if FRONTEND.there else LEAVES
    leaf = st.builds(Node, st.sampled_from(kinds), st.booleans(), st.booleans())
    if depth == 0:
        return leaf
    branch = st.builds(
        Node,
        st.sampled_from(sorted(BRANCHES)),
        st.booleans(),
        inside=st.lists(nodes(depth - 1), min_size=1, max_size=3).map(tuple),
    )
    return leaf | branch


class Kept:
    """Keeps the scope as a call has left it."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.scope: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scope = scope
        await self.app(scope, receive, send)


async def scope_after(app: Any, method: str, path: str) -> Any:
    kept = Kept(app)
    if method == "WEBSOCKET":
        await call(kept, websocket_scope(path), [CONNECT])
    else:
        await call(kept, http_scope(path, method=method), [REQUEST_BODY])
    return kept.scope


@pytest.mark.unmeasured
@settings(max_examples=60)
@given(
    top=st.sampled_from((FastAPI, Starlette)),
    inside=st.lists(nodes(3), min_size=1, max_size=4),
)
def test_every_call_is_counted_as_the_endpoint_that_was_discovered(
    top: Callable[[], Any], inside: list[Node]
) -> None:
    app, tree = top(), Tree()
    for node in inside:
        add(tree, node, app, "")
    table = RouteTable(app)
    discovered = {(method, leaf.template) for leaf in table.leaves for method in leaf.methods}
    kept: dict[tuple[object, ...], Match] = {}

    async def calls() -> None:
        for each in tree.calls:
            scope = await scope_after(app, each.method, each.path)
            found = table.match(scope, "")
            assert found is not None
            assert (found.method, found.template) == (each.counted_as, each.template)
            # What the request path remembers is never wrong for another call.
            remembered = kept.setdefault(call_key(scope, 200), found)
            assert remembered == found or not remembered.certain
            elsewhere = await scope_after(app, "POST", each.path + "/nowhere")
            assert table.match(elsewhere, "") in {None, NO_ROUTE}

    asyncio.run(calls())
    assert {(each.counted_as, each.template) for each in tree.calls} == discovered


def test_without_fastapis_own_walk_the_same_is_discovered(monkeypatch: Any) -> None:
    app, router, inner = FastAPI(), APIRouter(), APIRouter()
    router.add_api_route("/api", lambda: 1)
    router.routes.append(Route("/own", plain))
    router.add_api_websocket_route("/live", echo)
    inner.add_api_route("/deep/{x}", lambda: 1)
    router.include_router(inner, prefix="/inner")
    app.include_router(router, prefix="/v1")
    before = RouteTable(app).leaves
    # FastAPI has its own walk, or has it not: the release that is installed shows one of both.
    monkeypatch.setattr(route_tree, "_iter_contexts", route_tree._iter_included)
    assert RouteTable(app).leaves == before
    assert {leaf.template for leaf in before} == {
        "/v1/api",
        "/v1/own",
        "/v1/live",
        "/v1/inner/deep/{x}",
    }
