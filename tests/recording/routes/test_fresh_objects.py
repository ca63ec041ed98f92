"""Endpoints and routes that a host makes anew for each request."""

import functools
import gc
import time
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Match, Route

from fastapi_lens.recording.calls.call_cache import MAX_ALIKE
from fastapi_lens.recording.routes import route_match
from fastapi_lens.recording.routes.reread_limit import FIRST_PAUSE_SECONDS, Rereads
from fastapi_lens.recording.routes.route_tree import leaves_of, unwrapped_app
from tests.recording.probe import Probe, lens_of

MakeProbe = Callable[..., Probe]
Make = Callable[[str], Any]


async def handle(name: str, scope: Any, receive: Any, send: Any) -> None:
    await PlainTextResponse(name)(scope, receive, send)


class Instance:
    def __init__(self, name: str) -> None:
        self.name = name

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await handle(self.name, scope, receive, send)


def an_asgi_app(name: str) -> Any:
    return Starlette(routes=[Route("/tenant/{name}", lambda _: PlainTextResponse(name))])


def a_function(name: str) -> Any:
    async def answer(scope: Any, receive: Any, send: Any) -> None:
        await handle(name, scope, receive, send)

    return answer


def a_class(name: str) -> Any:
    return type("Made", (Instance,), {})(name)


FRESH: dict[str, Make] = {
    "partial": lambda name: functools.partial(handle, name),
    "function": a_function,
    "instance": Instance,
    "class": a_class,
    "application": an_asgi_app,
}


class PerTenant(BaseRoute):
    """A route of the host's own."""

    def __init__(self, make: Make) -> None:
        self.make = make

    def matches(self, scope: Any) -> tuple[Match, Any]:
        if scope["type"] == "http" and scope["path"].startswith("/tenant/"):
            return Match.FULL, {"endpoint": self.make(scope["path"][8:])}
        return Match.NONE, {}

    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        await scope["endpoint"](scope, receive, send)


class PerRequest(BaseRoute):
    """Puts a route into the scope that it has just made."""

    def __init__(self, made: list[Any]) -> None:
        self.made = made

    def matches(self, scope: Any) -> tuple[Match, Any]:
        if scope["type"] != "http" or not scope["path"].startswith("/made"):
            return Match.NONE, {}
        route = Route("/made", lambda _: PlainTextResponse("ok"))
        self.made.append(weakref.ref(route))
        return Match.FULL, {"route": route, "endpoint": route.endpoint, "made": route}

    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        scope["route"] = scope["made"]
        await scope["made"].app(scope, receive, send)


@pytest.fixture
def walks(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Walks over a route tree that requests have made."""
    made: list[Any] = []
    real = leaves_of

    def counting(app: Any) -> Any:
        made.append(app)
        return real(app)

    monkeypatch.setattr(route_match, "leaves_of", counting)
    return made


@pytest.mark.parametrize("kind", list(FRESH))
def test_fresh_endpoints_make_nobody_walk_for_each_and_are_not_kept(
    probe: MakeProbe, walks: list[Any], kind: str
) -> None:
    made: list[Any] = []

    def make(name: str) -> Any:
        endpoint = FRESH[kind](name)
        made.append(weakref.ref(endpoint))
        return endpoint

    app, router = FastAPI(), APIRouter()
    app.router.routes.insert(0, PerTenant(make))
    router.add_api_route("/x", lambda: 1)
    app.include_router(router, prefix="/v1")
    probed = probe(app, log_sample_rate=0.0, log_slowest=0)  # Which would keep some scopes.
    probed.get("/v1/x", "/tenant/first")
    probed.lens.flusher.stop()  # Whose thread walks, too.
    before, began = len(walks), time.monotonic()
    probed.get(*(f"/tenant/{number}" for number in range(300)))
    # A busy machine takes longer, and the pauses between walks only grow.
    assert len(walks) - before <= 4 + (time.monotonic() - began) / (4 * FIRST_PAUSE_SECONDS)
    gc.collect()
    assert sum(one() is not None for one in made) <= MAX_ALIKE
    assert probed.counts().pop(("GET", "/v1/x")) == {200: 1}


def test_routes_that_are_made_for_each_request_are_counted_and_few_are_kept(
    probe: MakeProbe, walks: list[Any]
) -> None:
    made: list[Any] = []
    app = FastAPI()
    app.router.routes.insert(0, PerRequest(made))
    app.add_api_route("/x", lambda: 1)
    probed = probe(app)
    probed.get(*["/made"] * 300, "/x")
    assert probed.counts() == {("GET", "/made"): {200: 300}, ("GET", "/x"): {200: 1}}
    gc.collect()
    assert sum(one() is not None for one in made) <= MAX_ALIKE + 1


def wrapping(function: Any) -> Any:
    @functools.wraps(function)
    async def inside(*args: Any) -> Any:
        return await function(*args)

    return inside


class Wrapping(Route):
    """Wraps its handler anew for each request, as those do that hand over what a request needs."""

    wrap: Callable[[Any], Any] = functools.partial

    def matches(self, scope: Any) -> tuple[Match, Any]:
        match, changes = super().matches(scope)
        if match is not Match.NONE:
            changes = {**changes, "endpoint": type(self).wrap(self.endpoint)}
        return match, changes


class Decorating(Wrapping):
    wrap = staticmethod(wrapping)


async def answers(request: Any) -> PlainTextResponse:
    return PlainTextResponse("ok")


@pytest.mark.parametrize("kind", [Wrapping, Decorating])
@pytest.mark.parametrize("mount", ["", "/m/{tenant}"])
def test_a_handler_that_its_route_wraps_anew_for_each_request_is_counted(
    probe: MakeProbe, walks: list[Any], kind: type[Wrapping], mount: str
) -> None:
    app = FastAPI()
    own = [kind("/a/{x}", answers), kind("/b", answers), kind("/c", wrapping(answers))]
    if mount:
        app.mount(mount, Starlette(routes=own))
    else:
        app.router.routes[:0] = own
    probed = probe(app)
    prefix = mount.replace("{tenant}", "t")
    paths = [f"{prefix}/{path}" for path in ("a/1", "b", "c") for _ in range(MAX_ALIKE + 10)]
    probed.get(*paths)
    counted = {("GET", f"{mount}/{path}"): {200: MAX_ALIKE + 10} for path in ("a/{x}", "b", "c")}
    assert probed.counts() == counted
    assert len(walks) < 10


def test_a_route_that_is_added_while_the_application_runs_is_known_at_its_first_call(
    probe: MakeProbe,
) -> None:
    app = FastAPI()
    app.router.routes.append(PerTenant(FRESH["partial"]))
    probed = probe(app)
    probed.get("/tenant/1", "/tenant/2")
    for number in range(3):
        app.add_route(f"/new{number}", lambda _: PlainTextResponse("ok"))
        probed.get(f"/new{number}")
    assert set(probed.counts()) == {("GET", f"/new{number}") for number in range(3)}


def test_many_tenants_of_one_mount_are_kept_all(probe: MakeProbe) -> None:
    app = FastAPI()
    app.mount("/t/{tenant}", Starlette(routes=[Route("/x", lambda _: PlainTextResponse("ok"))]))
    probed = probe(app)
    probed.get(*(f"/t/{number}/x" for number in range(MAX_ALIKE + 20)))
    assert probed.counts() == {("GET", "/t/{tenant}/x"): {200: MAX_ALIKE + 20}}
    assert len(lens_of(app).recorder.cache) == MAX_ALIKE + 20


@pytest.fixture
def clock() -> list[float]:
    """The seconds of the rereads' clock; change the only one."""
    return [1_000.0]


def test_an_application_around_itself_is_no_endless_walk() -> None:
    around = Instance("x")
    around.app = around  # type: ignore[attr-defined]  # what the lens follows
    assert unwrapped_app(around) is around


def test_pauses_grow_until_something_is_found(clock: list[float]) -> None:
    rereads, tree = Rereads(lambda: clock[0]), [object()]
    assert rereads.are_due(tree)
    due = []
    for second in range(120):
        clock[0] = 1_000.0 + second
        if rereads.are_due(tree):
            due.append(second)
    assert due == [1, 3, 7, 15, 31, 61, 91]
    rereads.found_more()
    clock[0] += 31
    assert rereads.are_due(tree)
    clock[0] += 1
    assert rereads.are_due(tree)


def test_a_change_at_the_top_of_the_tree_is_looked_into_at_once(clock: list[float]) -> None:
    rereads, tree = Rereads(lambda: clock[0]), [object()]
    assert rereads.are_due(tree)
    assert not rereads.are_due(tree)
    tree[0] = object()
    assert rereads.are_due(tree)
    assert not rereads.are_due(list(tree))


def test_it_is_said_once_that_calls_are_not_counted(
    probe: MakeProbe, caplog: pytest.LogCaptureFixture
) -> None:
    app = FastAPI()
    app.router.routes.append(PerTenant(FRESH["instance"]))
    probe(app).get(*(f"/tenant/{number}" for number in range(5)))
    (said,) = [one for one in caplog.records if "cannot find the route" in one.getMessage()]
    assert "Instance, so its calls are not counted" in said.getMessage()
