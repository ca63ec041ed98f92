"""WebSockets and streams that stay open: in use from their begin on, counted once at their end."""

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from weakref import ref

import pytest
from fastapi import APIRouter, FastAPI, WebSocket
from starlette.background import BackgroundTask
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.websockets import WebSocketDisconnect

from benchmarks.support.rows import table_rows
from fastapi_lens.recording.calls.open_calls import CALLS_AT_ONCE, OpenCall, OpenCalls
from fastapi_lens.recording.open_endpoints import open_endpoints
from fastapi_lens.recording.routes.route_match import NO_CALL, Match
from fastapi_lens.settings.ignore_rules import Rule, Rules
from fastapi_lens.settings.status import Status
from fastapi_lens.storage.schema.tables import WORKER
from fastapi_lens.storage.writing.open_calls import parsed
from tests.recording.holding import NEVER, held, seen
from tests.recording.probe import Probe, http_scope, websocket_scope

MakeProbe = Callable[..., Probe]
pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def chunks() -> AsyncIterator[bytes]:
    yield b"data: x\n\n"
    await asyncio.Event().wait()


async def talk(socket: WebSocket) -> None:
    await socket.accept()
    try:
        while True:
            await socket.receive_text()
    except WebSocketDisconnect:
        pass


async def opaque(scope: Any, receive: Any, send: Any) -> None:
    assert scope["type"] == "websocket"
    await receive()
    await send({"type": "websocket.accept"})
    while (await receive())["type"] != "websocket.disconnect":
        pass


async def pass_on(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Any:
    return await call_next(request)


async def parts(status: int) -> StreamingResponse:
    return StreamingResponse(chunks(), status_code=status)


def an_app() -> FastAPI:
    app, router, inner = FastAPI(), APIRouter(prefix="/rooms"), FastAPI()

    @app.get("/events")
    async def events() -> StreamingResponse:
        return StreamingResponse(chunks(), media_type="text/event-stream")

    @app.get("/missing")
    async def missing() -> StreamingResponse:
        return StreamingResponse(chunks(), status_code=404)

    @app.get("/tail")
    async def tail() -> StreamingResponse:
        async def ended() -> AsyncIterator[bytes]:
            yield b"all of it"

        return StreamingResponse(ended(), background=BackgroundTask(asyncio.Event().wait))

    @app.get("/later")
    async def later() -> None:
        await asyncio.Event().wait()

    app.get("/parts/{status}")(parts)
    app.websocket("/talk")(talk)

    @app.websocket("/lingering")
    async def lingering(socket: WebSocket) -> None:
        await socket.accept()
        await socket.close()
        await asyncio.Event().wait()

    @app.websocket("/denied")
    async def denied(socket: WebSocket) -> None:
        await socket.close()
        await asyncio.Event().wait()

    router.websocket("/{room}")(talk)
    inner.get("/download/{name}")(events)
    app.include_router(router)
    app.mount("/files", inner)
    app.mount("/socket.io", opaque)
    return app


def begun(probe: MakeProbe, **settings: Any) -> Probe:
    probed = probe(an_app(), **settings)
    probed.get("/nothing-here")
    return probed


def told_by_the_worker(probed: Probe) -> Any:
    (row,) = table_rows(probed.lens.database, WORKER)
    return row.open_calls


@pytest.mark.parametrize(
    ("scope", "path", "status"),
    [
        (websocket_scope("/talk"), "/talk", 101),
        (websocket_scope("/rooms/blue"), "/rooms/{room}", 101),
        (websocket_scope("/socket.io/1"), "/socket.io/{path}", 101),
        (http_scope("/events"), "/events", 200),
        (http_scope("/files/download/a"), "/files/download/{name}", 200),
    ],
)
async def test_what_is_open_is_in_use_and_is_counted_once_when_it_ends(
    probe: MakeProbe, scope: dict[str, Any], path: str, status: int
) -> None:
    probed = begun(probe)
    assert probed.counts() == {}
    began = probed.lens.clock()
    async with held(probed.app, scope):
        first = seen(probed, path)
        assert (first.status, first.total_calls, first.open_connections) == (Status.ACTIVE, 0, 1)
        assert first.first_called_at is not None
        assert first.open_since is not None
        assert first.last_called_at is not None
        assert began <= first.open_since <= first.last_called_at
        async with held(probed.app, scope):
            second = seen(probed, path)
            assert (second.total_calls, second.open_connections) == (0, 2)
            assert second.open_since == pytest.approx(first.open_since, abs=0.05)
            assert second.last_called_at is not None
            # It is in use now, and not only when it began.
            assert second.last_called_at > first.last_called_at
        assert seen(probed, path).open_connections == 1
    ended = seen(probed, path)
    assert (ended.total_calls, ended.open_connections, ended.open_since) == (2, 0, None)
    assert probed.counts() == probed.counts() == {(ended.method, path): {status: 2}}
    assert ended.first_called_at == pytest.approx(first.first_called_at, abs=0.05)
    assert told_by_the_worker(probed) is None


async def test_streams_with_different_statuses_are_added_up(probe: MakeProbe) -> None:
    probed = begun(probe)
    async with held(probed.app, http_scope("/parts/206")):
        first = seen(probed, "/parts/{status}")
        async with held(probed.app, http_scope("/parts/200")):
            both = seen(probed, "/parts/{status}")
    assert both.open_connections == 2
    assert both.open_since == pytest.approx(first.open_since, abs=0.05)
    assert probed.counts() == {("GET", "/parts/{status}"): {200: 1, 206: 1}}


async def test_a_stream_through_a_middleware_of_starlette_is_in_use(probe: MakeProbe) -> None:
    app = an_app()
    app.add_middleware(BaseHTTPMiddleware, dispatch=pass_on)
    probed = probe(app)
    probed.get("/nothing-here")
    async with held(probed.app, http_scope("/events")):
        assert seen(probed, "/events").open_connections == 1
    # There, a response that ends at once has more than one message, too.
    probed.get("/docs")
    assert seen(probed, "/events").open_connections == 0


@pytest.mark.parametrize(
    ("scope", "path", "until"),
    [
        (websocket_scope("/denied"), "/denied", "websocket.close"),
        (http_scope("/later"), "/later", NEVER),
        (http_scope("/tail"), "/tail", ""),
        (websocket_scope("/lingering"), "/lingering", "websocket.close"),
    ],
)
async def test_what_waits_without_a_connection_that_is_open_is_not_in_use(
    probe: MakeProbe, scope: dict[str, Any], path: str, until: str
) -> None:
    probed = begun(probe)
    async with held(probed.app, scope, until=until) as task:
        found = seen(probed, path)
        assert (found.status, found.open_connections) == (Status.NEVER_CALLED, 0)
        assert told_by_the_worker(probed) is None
        task.cancel()


async def test_a_response_that_waits_for_its_trailers_is_not_open(probe: MakeProbe) -> None:
    async def trailed(_scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": [], "trailers": True})
        for more in (True, False):
            await send({"type": "http.response.body", "body": b"x", "more_body": more})
        await asyncio.Event().wait()

    app = FastAPI()
    app.mount("/grpc", trailed)
    probed = probe(app)
    probed.get("/nothing-here")
    async with held(probed.app, http_scope("/grpc/x")) as task:
        await asyncio.sleep(0)
        assert seen(probed, "/grpc/{path}").open_connections == 0
        task.cancel()


async def test_a_connection_that_ends_before_a_flush_is_counted_once_and_nothing_is_open(
    probe: MakeProbe,
) -> None:
    probed = begun(probe)
    for _ in range(3):
        async with held(probed.app, websocket_scope("/talk")):
            pass
    found = seen(probed, "/talk")
    assert (found.total_calls, found.open_connections) == (3, 0)
    assert told_by_the_worker(probed) is None
    assert probed.counts() == {("WEBSOCKET", "/talk"): {101: 3}}


async def test_a_stream_that_breaks_is_counted_once_and_leaves_nothing_open(
    probe: MakeProbe,
) -> None:
    app = FastAPI()

    async def breaking() -> AsyncIterator[bytes]:
        yield b"x"
        raise ValueError

    app.add_api_route("/breaking", lambda: StreamingResponse(breaking()))
    probed = probe(app)
    probed.get("/breaking")
    found = seen(probed, "/breaking")
    assert (found.total_calls, found.open_connections) == (1, 0)
    assert probed.counts() == {("GET", "/breaking"): {500: 1}}


async def test_what_no_route_or_no_setting_lets_count_is_not_in_use(probe: MakeProbe) -> None:
    probed = begun(probe, ignore_unmapped=False, exclude_paths=["/rooms/*"])
    app = probed.app
    async with held(app, websocket_scope("/rooms/blue")), held(app, http_scope("/nowhere")):
        assert probed.lens.flusher.flush()
        assert told_by_the_worker(probed) is None


@pytest.mark.parametrize("statuses", [(), (4,)])
async def test_a_rule_holds_for_what_is_open_already(
    probe: MakeProbe, statuses: tuple[int, ...]
) -> None:
    probed = begun(probe)
    settings = probed.lens.settings
    rule = Rule(id="1", pattern="/missing", statuses=statuses)
    async with held(probed.app, http_scope("/missing")):
        before = seen(probed, "/missing")
        assert before.open_connections == 1
        object.__setattr__(settings, "rules", Rules((rule,)))
        assert probed.lens.flusher.flush()
        assert told_by_the_worker(probed) is None
        object.__setattr__(settings, "rules", Rules())
        assert seen(probed, "/missing").open_connections == 1


async def test_a_lens_that_stops_has_nothing_open_and_counts_what_ends_later(
    probe: MakeProbe,
) -> None:
    probed = begun(probe)
    async with held(probed.app, websocket_scope("/talk")):
        before = seen(probed, "/talk")
        assert probed.lens.flusher.flush(ending=True)
        assert told_by_the_worker(probed) is None
        after = seen(probed, "/talk")
        assert before.last_called_at is not None
        assert after.last_called_at is not None
        assert after.last_called_at > before.last_called_at
        # It is at work again, because it was asked for more.
        assert after.open_connections == 1
    assert probed.counts() == {("WEBSOCKET", "/talk"): {101: 1}}


async def test_a_forked_child_starts_with_nothing_open(probe: MakeProbe) -> None:
    probed = begun(probe)
    async with held(probed.app, websocket_scope("/talk")):
        assert seen(probed, "/talk").open_connections == 1
        probed.lens.restart_in_child()
        assert list(open_endpoints(probed.lens)) == []
    assert list(open_endpoints(probed.lens)) == []


async def test_a_call_whose_endpoint_cannot_be_told_holds_up_nothing(
    probe: MakeProbe, monkeypatch: pytest.MonkeyPatch
) -> None:
    probed = begun(probe)

    def fail(*_: object) -> None:
        raise RuntimeError

    async with held(probed.app, http_scope("/events")):
        with monkeypatch.context() as patched:
            patched.setattr(probed.lens.routes, "match", fail)
            assert probed.lens.flusher.flush()
        assert told_by_the_worker(probed) is None
        # It is in use as soon as its endpoint is known.
        assert seen(probed, "/events").open_connections == 1
    assert probed.counts() == {("GET", "/events"): {200: 1}}


async def test_a_connection_whose_route_is_found_later_is_in_use_then(
    probe: MakeProbe, monkeypatch: pytest.MonkeyPatch
) -> None:
    probed = begun(probe)
    routes = probed.lens.routes
    async with held(probed.app, websocket_scope("/socket.io/1")):
        with monkeypatch.context() as patched:
            # As while the limit of rereads holds back a route that was just added.
            patched.setattr(routes, "_by_endpoint", {})
            patched.setattr(routes, "_reread", lambda: False)
            assert probed.lens.flusher.flush()
            assert told_by_the_worker(probed) is None
        assert seen(probed, "/socket.io/{path}").open_connections == 1


async def test_only_an_answer_that_is_certain_is_kept_until_the_call_ends() -> None:
    opened = OpenCalls()
    opened.begin(({}, "", (200, 0), 0))
    answers = [
        None,
        Match("GET", "/guess", certain=False),
        Match("GET", "/known"),
        Match("GET", "/never-asked"),
    ]
    told = [[match for *_, match in opened.matched(lambda _: answers.pop(0))] for _ in range(4)]
    assert [[one.template for one in found] for found in told] == [
        [],
        ["/guess"],
        ["/known"],
        ["/known"],
    ]


async def test_a_call_that_certainly_has_no_endpoint_is_asked_for_once() -> None:
    opened, asked = OpenCalls(), list[int]()
    opened.begin(({}, "", (404, 0), 0))

    def nothing(_call: OpenCall) -> Match:
        asked.append(1)
        return NO_CALL

    assert opened.matched(nothing) == opened.matched(nothing) == []
    assert asked == [1]


async def test_what_the_database_forgets_is_said_again(probe: MakeProbe) -> None:
    probed = begun(probe)
    async with held(probed.app, websocket_scope("/talk")):
        before = seen(probed, "/talk")
        with probed.lens.database.write() as connection:
            connection.exec_driver_sql(
                "UPDATE lens_endpoint SET first_called_at = 0, last_called_at = 0"
            )
            connection.exec_driver_sql("UPDATE lens_worker SET open_calls = NULL")
        after = seen(probed, "/talk")
        assert (after.status, after.open_connections) == (Status.ACTIVE, 1)
        assert after.first_called_at == pytest.approx(before.first_called_at, abs=0.05)


def matched_by_scope(call: OpenCall) -> Match | None:
    return call[0]


class Text(str):  # noqa: SLOT000  With slots it could not be watched.
    """One whose end can be noticed."""


async def test_thousands_open_and_end_and_leave_nothing_behind() -> None:
    opened, talk = OpenCalls(), Text("/talk")
    match, left = Match("WEBSOCKET", talk), ref(talk)
    del talk
    numbers = [opened.begin((match, "", (101, 0), 0)) for _ in range(2 * CALLS_AT_ONCE)]
    assert len(opened.matched(matched_by_scope)) == len(numbers)
    for number in (*numbers, numbers[0], 0):
        opened.end(number)
    assert opened.matched(matched_by_scope) == []
    del match
    gc.collect()
    assert left() is None


async def test_threads_open_and_end_while_the_flusher_looks() -> None:
    opened, match = OpenCalls(), Match("GET", "/events")

    def work() -> None:
        for _ in range(3_000):
            opened.end(opened.begin((match, "", (200, 0), 0)))

    threads = [threading.Thread(target=work) for _ in range(4)]
    kept = opened.begin((match, "", (200, 0), 0))
    for one in threads:
        one.start()
    while any(one.is_alive() for one in threads):
        found = opened.matched(matched_by_scope)
        assert 1 <= len(found) <= 1 + len(threads)
    opened.end(kept)
    assert opened.matched(matched_by_scope) == []


def test_what_a_worker_tells_is_one_entry_for_each_endpoint(probe: MakeProbe) -> None:
    probed = begun(probe)
    with probed.client.websocket_connect("/talk"), probed.client.websocket_connect("/talk"):
        found = seen(probed, "/talk")
        told = parsed(told_by_the_worker(probed))
    assert {identity: one.connections for identity, one in told.items()} == {found.id: 2}
