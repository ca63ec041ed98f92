"""Callers of calls that are still open: asked once, in the ledger from the begin on."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from fastapi import FastAPI, WebSocket
from starlette.background import BackgroundTask
from starlette.responses import StreamingResponse
from starlette.websockets import WebSocketDisconnect

from fastapi_lens.recording.callers import Callers
from fastapi_lens.recording.calls.open_calls import OpenCalls
from fastapi_lens.storage.schema.identities import endpoint_id
from tests.recording.holding import held
from tests.recording.probe import Probe, http_scope, websocket_scope
from tests.recording.written import Written

MakeProbe = Callable[..., Probe]
pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def an_app(during: Callable[[], None] = lambda: None) -> FastAPI:
    """An application with a WebSocket, and a stream with a task after it."""
    app = FastAPI(title="app")

    @app.websocket("/talk")
    async def talk(socket: WebSocket) -> None:
        await socket.accept()
        try:
            while True:
                await socket.receive_text()
        except WebSocketDisconnect:
            pass

    @app.get("/events")
    async def events() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            yield b"a"
            during()
            yield b"b"

        return StreamingResponse(parts(), background=BackgroundTask(during))

    return app


class Hook:
    """Names each caller, and remembers that it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, scope: Any) -> str:
        self.asked.append(scope["path"])
        return f"caller {len(self.asked)}"


async def test_the_caller_of_an_open_call_is_known_and_asked_for_once(
    probe: MakeProbe, written: Written
) -> None:
    hook = Hook()
    made = probe(an_app(), consumer=hook)
    async with held(made.app, websocket_scope("/talk")):
        for _ in range(3):
            assert made.lens.flusher.flush()
        assert written.calls == {"hook caller 1": 0}
        assert written.attributed == [True]
        row = written.rows[0]
        assert row.endpoint_id == endpoint_id("app", "WEBSOCKET", "/talk")
        assert row.calls == 0
        assert row.first_at_us == row.last_at_us > 0
    assert made.lens.flusher.flush()
    assert written.calls == {"hook caller 1": 1}
    assert hook.asked == ["/talk"]


async def test_calls_that_are_open_at_the_same_time_keep_their_callers_apart(
    probe: MakeProbe, written: Written
) -> None:
    made = probe(an_app(), consumer=Hook())
    async with held(made.app, websocket_scope("/talk")):
        assert made.lens.flusher.flush()
        async with held(made.app, websocket_scope("/talk")):
            assert made.lens.flusher.flush()
        assert made.lens.flusher.flush()
        assert made.lens.flusher.flush()
    assert made.lens.flusher.flush()
    assert written.calls == {"hook caller 1": 1, "hook caller 2": 1}
    assert written.attributed == [True]


async def test_a_stream_is_asked_for_once_even_while_its_background_task_runs(
    probe: MakeProbe, written: Written
) -> None:
    hook, flush = Hook(), list[Callable[[], bool]]()

    def during() -> None:
        for _ in range(3):
            assert flush[0]()

    made = probe(an_app(during), consumer=hook)
    made.client.get("/nothing")
    flush.append(made.lens.flusher.flush)
    made.client.get("/events")
    assert made.lens.flusher.flush()
    assert written.calls == {"hook caller 1": 1}
    assert hook.asked == ["/events"]


async def test_open_calls_without_callers_are_not_attributed(
    probe: MakeProbe, written: Written
) -> None:
    made = probe(an_app())
    async with held(made.app, websocket_scope("/talk")):
        assert made.lens.flusher.flush()
    assert made.lens.flusher.flush()
    assert written.rows == []
    assert written.attributed == [False]


async def test_a_hook_that_fails_for_an_open_call_fails_no_flush(
    probe: MakeProbe, written: Written, caplog: pytest.LogCaptureFixture
) -> None:
    made = probe(an_app(), consumer=lambda _scope: 1 / 0)
    async with held(made.app, websocket_scope("/talk")):
        assert made.lens.flusher.flush()
        assert written.calls == {"none": 0}
    assert made.lens.flusher.flush()
    assert written.calls == {"none": 1}
    assert caplog.text.count("LensConfig(consumer=…)") == 1


def test_a_call_that_was_never_counted_leaves_no_caller_behind() -> None:
    callers, opened = Callers(), OpenCalls()
    callers.identify = lambda scope: str(scope["path"])
    number = opened.begin((http_scope("/a"), "", (200, 0), 0))
    scopes = {number: http_scope("/a")}
    assert callers.of_open_calls(scopes, opened) == {number: "/a"}
    opened.end(number)
    assert callers.of_open_calls({}, opened) == {}
    # Until the second look, because its end may be about to take it.
    assert callers.opened == {number: "/a"}
    callers.of_open_calls({}, opened)
    assert callers.opened == {}
