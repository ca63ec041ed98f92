import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Annotated, Any
from unittest.mock import Mock

import pytest
from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, WebSocket, WebSocketException
from fastapi.testclient import TestClient
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.websockets import WebSocketDisconnect

from fastapi_lens import LensConfig, LensMiddleware
from fastapi_lens.recording import middleware
from fastapi_lens.recording.calls import call_cache
from fastapi_lens.recording.flush.flusher import Flusher
from fastapi_lens.reporting.model import Endpoint, Window
from fastapi_lens.runtime.lens import Lens
from tests.recording.probe import (
    REQUEST_BODY,
    Probe,
    call,
    calls_in,
    http_scope,
    lens_of,
)
from tests.support.releases import needs_client_disconnect

MakeProbe = Callable[..., Probe]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def only_endpoint(probed: Probe) -> Endpoint:
    assert probed.lens.flusher.flush()
    (found,) = probed.lens.reader.endpoints(window=Window(), now=probed.lens.clock())
    return found


def test_an_unhandled_exception_is_counted_as_a_server_error(probe: MakeProbe) -> None:
    app = FastAPI()

    @app.get("/boom")
    def boom() -> None:
        raise ValueError

    probed = probe(app)
    probed.get("/boom", "/boom")
    assert probed.counts() == {("GET", "/boom"): {500: 2}}


def test_an_exception_after_the_first_byte_is_a_server_error(probe: MakeProbe) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x"
        raise ValueError

    app = FastAPI()
    app.add_api_route("/stream", lambda: StreamingResponse(broken()))
    probed = probe(app)
    with contextlib.suppress(ValueError):
        probed.get("/stream")
    assert probed.counts() == {("GET", "/stream"): {500: 1}}


def test_a_middleware_below_that_crashes_is_a_server_error_of_the_endpoint(
    probe: MakeProbe,
) -> None:
    async def crash_after(request: Request, call_next: Any) -> Response:
        await call_next(request)
        raise RuntimeError

    app = FastAPI()
    app.add_api_route("/x", lambda: 1)
    app.add_middleware(BaseHTTPMiddleware, dispatch=crash_after)
    probed = probe(app)
    probed.get("/x")
    assert probed.counts() == {("GET", "/x"): {500: 1}}


def test_a_middleware_above_that_crashes_does_not_hide_the_call(probe: MakeProbe) -> None:
    async def crash_after(request: Request, call_next: Any) -> Response:
        await call_next(request)
        raise RuntimeError

    app = FastAPI()
    app.add_api_route("/x", lambda: 1)
    probed = probe(app)
    app.add_middleware(BaseHTTPMiddleware, dispatch=crash_after)
    assert probed.client.get("/x").status_code == 500
    assert probed.counts() == {("GET", "/x"): {200: 1}}


def _counts_below(app: FastAPI) -> dict[tuple[str, str], int]:
    lens = lens_of(app)
    assert lens.flusher.flush()
    found = lens.reader.endpoints(window=Window(), now=lens.clock())
    return {(one.method, one.path): one.usage.calls for one in found if one.usage.calls}


def test_a_dependency_that_crashes_on_exit_does_not_lose_the_call(probe: MakeProbe) -> None:
    def resource() -> Iterator[int]:
        yield 1
        raise RuntimeError

    app = FastAPI()

    @app.get("/x")
    def endpoint(value: Annotated[int, Depends(resource)]) -> int:
        return value

    probed = probe(app)
    probed.get("/x")
    assert probed.counts() == {("GET", "/x"): {500: 1}}


def test_a_background_task_is_no_part_of_the_duration(
    probe: MakeProbe, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_ns = [1]
    monkeypatch.setattr(middleware, "perf_counter_ns", lambda: now_ns[0])

    async def slowly() -> None:
        now_ns[0] += 300_000_000

    app = FastAPI()

    @app.get("/x")
    def endpoint(tasks: BackgroundTasks) -> None:
        now_ns[0] += 2_000_000
        tasks.add_task(slowly)

    probed = probe(app)
    probed.get("/x")
    assert now_ns == [302_000_001]
    assert only_endpoint(probed).usage.max_ms == 2


def test_a_stream_lasts_until_its_last_byte(probe: MakeProbe) -> None:
    async def slow() -> AsyncIterator[bytes]:
        for _ in range(3):
            await asyncio.sleep(0.05)
            yield b"x"

    app = FastAPI()
    app.add_api_route("/x", lambda: StreamingResponse(slow()))
    probed = probe(app)
    probed.get("/x")
    assert only_endpoint(probed).usage.max_ms >= 150


@pytest.mark.anyio
async def test_a_client_that_goes_before_the_answer_is_a_499(probe: MakeProbe) -> None:
    app = FastAPI()
    waiting = asyncio.Event()

    @app.get("/x")
    async def endpoint() -> None:
        waiting.set()
        await asyncio.Event().wait()

    probed = probe(app)
    task = asyncio.create_task(call(app, http_scope("/x"), [REQUEST_BODY]))
    await waiting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert probed.counts() == {("GET", "/x"): {499: 1}}


@needs_client_disconnect
@pytest.mark.anyio
async def test_a_client_that_breaks_off_the_answer_keeps_its_status(probe: MakeProbe) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x"

    async def application(scope: Any, receive: Any, send: Any) -> None:
        scope["endpoint"] = application
        await StreamingResponse(endless())(scope, receive, send)

    app = FastAPI()
    app.mount("/legacy", application)
    probed = probe(app)
    sent = 0

    async def send(message: Any) -> None:
        nonlocal sent
        sent += 1
        if sent > 3:
            raise OSError

    async def receive() -> Any:
        return REQUEST_BODY

    scope = {**http_scope("/legacy/x"), "asgi": {"version": "3.0", "spec_version": "2.4"}}
    with pytest.raises(ClientDisconnect):
        await app(scope, receive, send)
    assert probed.counts() == {("ANY", "/legacy/{path}"): {200: 1}}


@pytest.mark.parametrize(
    ("behaviour", "status"), [("accept", 101), ("refuse", 403), ("deny", 401), ("crash", 500)]
)
def test_a_websocket_has_the_status_of_its_handshake(
    probe: MakeProbe, behaviour: str, status: int
) -> None:
    app = FastAPI()

    @app.websocket("/ws")
    async def endpoint(websocket: WebSocket) -> None:
        if behaviour == "accept":
            await websocket.accept()
            await websocket.close()
        elif behaviour == "refuse":
            raise WebSocketException(1008)
        elif behaviour == "deny":
            await websocket.send_denial_response(PlainTextResponse("no", 401))
        else:
            raise ValueError

    probed = probe(app)
    with (
        contextlib.suppress(WebSocketDisconnect, ValueError),
        probed.client.websocket_connect("/ws"),
    ):
        pass
    assert probed.counts() == {("WEBSOCKET", "/ws"): {status: 1}}


def test_a_websocket_lasts_as_long_as_its_connection(probe: MakeProbe) -> None:
    app = FastAPI()

    @app.websocket("/ws")
    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        await asyncio.sleep(0.1)
        await websocket.close()

    probed = probe(app)
    with (
        contextlib.suppress(WebSocketDisconnect),
        probed.client.websocket_connect("/ws") as socket,
    ):
        socket.receive_text()
    assert only_endpoint(probed).usage.max_ms >= 100


@pytest.mark.parametrize("status", [-1, 0, 99, 1_000, 2**40])
@pytest.mark.anyio
async def test_a_status_that_http_does_not_know_counts_as_a_server_error(
    probe: MakeProbe, status: int
) -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body"})

    app = FastAPI()
    app.mount("/legacy", application)
    probed = probe(app)
    await call(app, http_scope("/legacy/x"), [REQUEST_BODY])
    assert probed.counts() == {("ANY", "/legacy/{path}"): {500: 1}}


def test_what_the_settings_exclude_is_not_recorded(probe: MakeProbe) -> None:
    app = FastAPI()
    for path in ("/health", "/healthcare", "/internal/a/b", "/kept"):
        app.add_api_route(path, lambda: 1, methods=["GET", "DELETE"])
    probed = probe(app, exclude_paths=["/health", "/internal/**"], exclude_methods=["delete"])
    probed.get("/health", "/healthcare", "/internal/a/b", "/kept")
    probed.client.delete("/kept")
    assert probed.counts() == {("GET", "/healthcare"): {200: 1}, ("GET", "/kept"): {200: 1}}
    assert probed.discovered() == {("GET", "/healthcare"), ("GET", "/kept")}


@pytest.mark.unmeasured
def test_many_unknown_paths_and_methods_leave_the_memory_bounded(probe: MakeProbe) -> None:
    app = FastAPI()
    app.add_api_route("/x", lambda: 1)
    probed = probe(app, ignore_unmapped=False)
    for number in range(300):
        probed.client.request(f"M{number}", f"/scan/{number}")
        probed.client.request(f"M{number}", "/x")
    assert probed.counts() == {("_OTHER", "<unmapped>"): {404: 300}}


@pytest.mark.anyio
async def test_an_endpoint_that_is_excluded_stays_so_when_it_is_known(probe: MakeProbe) -> None:
    app = FastAPI()
    app.add_api_route("/x", lambda: 1)
    probed = probe(app, exclude_paths=["/x"])
    for _ in range(3):  # In one thread, which remembers it.
        await call(app, http_scope("/x"), [REQUEST_BODY])
    assert probed.counts() == {}


@pytest.mark.anyio
async def test_the_cache_of_resolved_calls_starts_anew_when_it_is_full(
    probe: MakeProbe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_cache, "MAX_CACHED", 2)
    app = FastAPI()
    for number in range(5):
        app.add_api_route(f"/x{number}", lambda: 1)
    probed = probe(app)
    for number in (*range(5), 0, 0):  # In one thread: each has a cache of its own.
        await call(app, http_scope(f"/x{number}"), [REQUEST_BODY])
    assert sum(sum(codes.values()) for codes in probed.counts().values()) == 7


def test_a_call_to_a_route_behind_an_included_router_is_resolved_once(
    probe: MakeProbe, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, asked_first = FastAPI(), APIRouter()
    asked_first.add_api_route("/other", lambda: 1)
    app.include_router(asked_first)
    app.add_api_route("/x/{number}", lambda number: number)
    probed = probe(app)
    probed.get("/x/1")
    resolve = Mock(wraps=probed.lens.routes.match)
    monkeypatch.setattr(probed.lens.routes, "match", resolve)
    probed.get("/x/2", "/x/3")
    assert probed.counts() == {("GET", "/x/{number}"): {200: 3}}
    resolve.assert_not_called()


def test_a_fault_of_ours_is_counted_and_does_not_reach_the_request(
    probe: MakeProbe, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    app = FastAPI()
    app.add_api_route("/x", lambda: 1)
    probed = probe(app)
    probed.get("/nothing")

    def fail(*_: object) -> None:
        raise LookupError("ours")

    monkeypatch.setattr(probed.lens.routes, "match", fail)
    caplog.clear()  # Of what is said at the start.
    with caplog.at_level(logging.ERROR, "fastapi_lens"):
        assert [probed.client.get("/x").status_code for _ in range(3)] == [200, 200, 200]
    assert probed.lens.flusher.dropped == 3
    assert len([one for one in caplog.records if one.levelno == logging.ERROR]) == 1


@pytest.mark.parametrize("door", ["/x", "websocket", "lifespan"])
def test_a_thread_that_cannot_be_started_fails_no_request_and_loses_no_call(
    door: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("fastapi_lens.runtime.lens.RETRY_SECONDS", 0.0)
    start = threading.Thread.start
    refused: list[str] = []

    def refuse(thread: threading.Thread) -> None:
        if thread.name.startswith("fastapi-lens") and len(refused) < 2:
            refused.append(thread.name)
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    app = FastAPI()
    app.add_api_route("/x", lambda: 1)

    @app.websocket("/ws")
    async def ws(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.close()

    app.add_middleware(LensMiddleware, config=LensConfig(db_path=str(tmp_path / "lens.db")))
    client = TestClient(app)
    with client if door == "lifespan" else contextlib.nullcontext():
        if door == "websocket":
            with client.websocket_connect("/ws"):
                pass
        for _ in range(3):
            assert client.get("/x").json() == 1
        lens = lens_of(app)
        assert lens.started
        assert lens.flusher.flush()
        assert calls_in(lens) == {"/x": 3, **({"/ws": 1} if door == "websocket" else {})}
    assert len(refused) == 2
    assert lens.flusher.dropped == 0
    assert caplog.text.count("could not start, and tries again") == 1
    lens.stop()


def test_a_shutdown_without_a_thread_writes_what_is_pending(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("can't start new thread")

    app = FastAPI()

    @app.get("/x")
    async def x() -> int:
        return 1

    app.add_middleware(LensMiddleware, config=LensConfig(db_path=str(tmp_path / "lens.db")))
    with TestClient(app) as client:
        client.get("/x")
        monkeypatch.setattr("fastapi_lens.runtime.lens.anyio.to_thread.run_sync", refuse)
    assert not lens_of(app).started
    assert calls_in(lens_of(app)) == {"/x": 1}
    lens_of(app).stop()


def test_a_start_that_fails_is_tried_again_a_second_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = FastAPI()
    app.add_api_route("/x", lambda: 1)
    app.add_middleware(LensMiddleware, config=LensConfig(db_path=str(tmp_path / "lens.db")))
    tried: list[object] = []

    def refuse(flusher: Flusher) -> None:
        tried.append(flusher)
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(Flusher, "start", refuse)
    client = TestClient(app)
    for _ in range(5):
        assert client.get("/x").json() == 1
    assert len(tried) == 1
    lens = lens_of(app)
    lens._stop_at_end()  # The calls that waited are written at the end of the process.
    assert calls_in(lens) == {"/x": 5}
    lens.stop()


def test_a_lens_around_the_application_records_as_one_inside(probe: MakeProbe) -> None:
    app = FastAPI(title="wrapped")
    app.add_api_route("/x/{y}", lambda y: y)
    probed = probe(_Around(app))
    probed.get("/x/1")
    assert probed.counts() == {("GET", "/x/{y}"): {200: 1}}


def test_a_lens_around_middlewares_knows_the_application_inside(probe: MakeProbe) -> None:
    app = FastAPI(title="wrapped")
    app.add_api_route("/x/{y}", lambda y: y)
    app.add_api_route("/never", lambda: 1)
    probed = probe(GZipMiddleware(CORSMiddleware(app)))
    probed.get("/x/1")
    assert probed.lens.app_name == "wrapped"
    assert probed.discovered() == {("GET", "/x/{y}"), ("GET", "/never")}
    assert probed.counts() == {("GET", "/x/{y}"): {200: 1}}


def test_a_mounted_lens_around_middlewares_records_what_is_inside_alone(probe: MakeProbe) -> None:
    inner, outer = FastAPI(title="inner"), FastAPI(title="outer")
    inner.add_api_route("/x", lambda: 1)
    outer.add_api_route("/y", lambda: 1)
    probed = probe(CORSMiddleware(inner))
    outer.mount("/inner", probed.app)
    with TestClient(outer) as client:
        client.get("/inner/x")
        client.get("/y")
    assert probed.lens.app_name == "inner"
    assert probed.discovered() == {("GET", "/x")}
    assert probed.counts() == {("GET", "/x"): {200: 1}}


class _Broken:
    """A middleware that does not tell what is below it."""

    def __init__(self, app: FastAPI) -> None:
        self.inner = app

    @property
    def app(self) -> FastAPI:
        raise RuntimeError("outside of a request")

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.inner(scope, receive, send)


def test_a_middleware_that_hides_its_application_prevents_no_recording(probe: MakeProbe) -> None:
    app = FastAPI()
    app.add_api_route("/x", lambda: 1)
    probed = probe(_Broken(app))
    probed.get("/x")
    assert probed.counts() == {("GET", "/x"): {200: 1}}


class _Around:
    """An ASGI application with routes that is no FastAPI itself."""

    def __init__(self, app: FastAPI) -> None:
        self.app, self.routes, self.title = app, app.routes, app.title

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


@pytest.mark.anyio
async def test_scopes_of_other_types_pass_through() -> None:
    seen = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    lens = LensMiddleware(application, config=LensConfig(db_path=":memory:"))
    await lens({"type": "custom"}, None, None)  # type: ignore[arg-type]
    assert seen == ["custom"]


def test_the_shutdown_of_the_server_writes_what_is_pending(tmp_path: Any) -> None:
    database = tmp_path / "lens.db"
    settings = LensConfig(db_path=str(database), flush_interval=3600)
    app = FastAPI()
    app.add_middleware(LensMiddleware, config=settings)
    app.add_api_route("/x", lambda: 1)
    with TestClient(app) as client:
        for _ in range(7):
            client.get("/x")
    after = Lens(settings)
    after.discover(app)
    (found,) = after.reader.endpoints(window=Window(), now=after.clock())
    assert found.usage.calls == 7
    health = after.reader.health(after.clock())
    assert (health.workers, health.dropped) == (0, 0)
    after.stop()


def test_an_application_that_fails_to_start_starts_no_recording(tmp_path: Any) -> None:
    licences: list[str] = []

    @contextlib.asynccontextmanager
    async def failing(_: FastAPI) -> AsyncIterator[None]:
        if not licences:
            raise RuntimeError("no licence")
        yield

    app = FastAPI(lifespan=failing)
    app.add_middleware(LensMiddleware, config=LensConfig(db_path=str(tmp_path / "lens.db")))
    with pytest.raises(RuntimeError, match="no licence"), TestClient(app):
        pass
    assert not lens_of(app).started
    assert list(tmp_path.iterdir()) == []


def test_two_applications_in_one_process_are_kept_apart(tmp_path: Any) -> None:
    settings = LensConfig(db_path=str(tmp_path / "lens.db"), flush_interval=3600)
    lenses: list[Lens] = []
    for title in ("one", "two"):
        app = FastAPI(title=title)
        app.add_middleware(LensMiddleware, config=settings)
        app.add_api_route("/x", lambda: 1)
        with TestClient(app) as client:
            for _ in range(len(title) + len(lenses)):
                client.get("/x")
            lenses.append(lens_of(app))
    for lens, calls in zip(lenses, (3, 4), strict=True):
        (found,) = lens.reader.endpoints(window=Window(), now=lens.clock())
        assert found.usage.calls == calls
        lens.stop()


def test_the_lens_of_an_application_inside_another_counts_nothing_there(tmp_path: Any) -> None:
    outer, inner = FastAPI(title="outer"), FastAPI(title="inner")
    for app in (outer, inner):
        app.add_middleware(
            LensMiddleware, config=LensConfig(db_path=str(tmp_path / f"{app.title}.db"))
        )
    inner.add_api_route("/x", lambda: 1)
    outer.mount("/sub", inner)
    client = TestClient(outer)
    client.get("/sub/x")
    assert _counts_below(outer) == {("GET", "/sub/x"): 1}
    assert inner.middleware_stack is not None
    assert not lens_of(inner).started
    TestClient(inner).get("/x")
    assert _counts_below(inner) == {("GET", "/x"): 1}
    for app in (outer, inner):
        lens_of(app).stop()
