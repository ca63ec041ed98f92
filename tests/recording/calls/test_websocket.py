"""Ends of WebSockets: by the client, by a deploy, by the handler, and by errors."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import pytest
import websockets.exceptions
from fastapi import FastAPI, WebSocket
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect

from fastapi_lens.recording.calls import websocket
from fastapi_lens.reporting.log.request_log import LogFilter
from tests.recording.calls.test_base_exceptions import PanicException, kinds, leaks
from tests.recording.probe import Probe, call, websocket_scope

MakeProbe = Callable[..., Probe]
Handler = Callable[[WebSocket], Any]

CONNECT = {"type": "websocket.connect"}
TEXT = {"type": "websocket.receive", "text": "x"}
CODES = [1000, 1001, 1005, 1006, 1011, 1012]
"""Of clients that say good-bye or vanish, and of a server that is restarted."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def closed(code: int = 1000) -> Message:
    return {"type": "websocket.disconnect", "code": code, "reason": ""}


def app_with(handler: Handler) -> FastAPI:
    app = FastAPI()
    app.add_api_websocket_route("/ws", handler)
    return app


async def counted(probed: Probe, received: list[Message]) -> dict[int, int]:
    with contextlib.suppress(Exception, PanicException, asyncio.CancelledError):
        await call(probed.app, websocket_scope("/ws"), received)
    return probed.counts().get(("WEBSOCKET", "/ws"), {})


async def echoes(socket: WebSocket) -> None:
    """The first example of FastAPI's documentation."""
    await socket.accept()
    while True:
        await socket.send_text(await socket.receive_text())


async def reads_on(socket: WebSocket) -> None:
    await socket.accept()
    while True:
        await socket.receive()


async def sends_a_last_word(socket: WebSocket) -> None:
    try:
        await echoes(socket)
    except WebSocketDisconnect:
        await socket.close()
        await socket.send_text("good-bye")


async def echoes_in_a_group(socket: WebSocket) -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(asyncio.sleep(60))
        tasks.create_task(echoes(socket))


async def loses_its_reader(socket: WebSocket) -> None:
    try:
        await echoes(socket)
    finally:
        await leaks()


async def hands_on_what_its_library_says(socket: WebSocket) -> None:
    try:
        await echoes(socket)
    except WebSocketDisconnect:
        raise websockets.exceptions.ConnectionClosedError(None, None) from None


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize(
    "handler",
    [
        echoes,
        reads_on,
        sends_a_last_word,
        echoes_in_a_group,
        loses_its_reader,
        hands_on_what_its_library_says,
    ],
)
@pytest.mark.anyio
async def test_a_websocket_that_its_client_or_a_deploy_closes_is_no_fault(
    probe: MakeProbe, handler: Handler, code: int
) -> None:
    probed = probe(app_with(handler))
    assert await counted(probed, [CONNECT, TEXT, closed(code)]) == {101: 1}
    assert kinds(probed) == []


async def fails_at_a_message(socket: WebSocket) -> None:
    await socket.accept()
    raise LookupError(await socket.receive_text())


async def fails_to_clean_up(socket: WebSocket) -> None:
    try:
        await echoes(socket)
    finally:
        raise LookupError("no such room")


async def has_an_error_of_its_own(socket: WebSocket) -> None:
    try:
        await echoes(socket)
    except WebSocketDisconnect:
        raise RuntimeError("the room is locked") from None


async def has_files_that_fail(socket: WebSocket) -> None:
    await socket.accept()
    await socket.receive_text()
    raise FileNotFoundError


async def pretends_that_its_client_went(socket: WebSocket) -> None:
    await socket.accept()
    raise WebSocketDisconnect(1008)


async def loses_its_upstream(socket: WebSocket) -> None:
    await socket.accept()
    raise websockets.exceptions.ConnectionClosedError(None, None)


async def speaks_too_early(socket: WebSocket) -> None:
    await socket.send_text("x")


async def awaits_a_cancelled_task(socket: WebSocket) -> None:
    await socket.accept()
    await leaks()


async def panics(socket: WebSocket) -> None:
    await socket.accept()
    raise PanicException


async def fails_beside_the_disconnect(socket: WebSocket) -> None:
    async def late() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            raise LookupError("late")

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(late())
        tasks.create_task(echoes(socket))


@pytest.mark.parametrize(
    ("handler", "kind"),
    [
        (fails_at_a_message, "LookupError"),
        (fails_to_clean_up, "LookupError"),
        (has_an_error_of_its_own, "RuntimeError"),
        (has_files_that_fail, "FileNotFoundError"),
        (pretends_that_its_client_went, "WebSocketDisconnect"),
        (loses_its_upstream, "ConnectionClosedError"),
        (speaks_too_early, "RuntimeError"),
        (awaits_a_cancelled_task, "CancelledError"),
        (panics, "PanicException"),
        (fails_beside_the_disconnect, "ExceptionGroup"),
    ],
)
@pytest.mark.anyio
async def test_a_fault_of_the_handler_is_a_server_error(
    probe: MakeProbe, handler: Handler, kind: str
) -> None:
    probed = probe(app_with(handler))
    assert await counted(probed, [CONNECT, TEXT, closed()]) == {500: 1}
    assert kinds(probed) == [kind]


async def speaks_after_its_own_close(socket: WebSocket) -> None:
    await socket.accept()
    await socket.close(4000)
    await socket.send_text("x")


async def closes_twice(socket: WebSocket) -> None:
    await socket.accept()
    try:
        await socket.close()
    finally:
        await socket.close()


@pytest.mark.parametrize("handler", [speaks_after_its_own_close, closes_twice])
@pytest.mark.anyio
async def test_a_handler_that_goes_on_after_its_own_close_is_at_fault(
    probe: MakeProbe, handler: Handler
) -> None:
    probed = probe(app_with(handler))
    assert await counted(probed, [CONNECT, TEXT, closed()]) == {500: 1}
    assert len(kinds(probed)) == 1  # Its class depends on the release of Starlette.


class ClientDisconnected(OSError):  # noqa: N818  Its name.
    """As uvicorn's own."""


@pytest.mark.parametrize("error", [ClientDisconnected(), BrokenPipeError(), OSError()])
@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.anyio
async def test_a_handler_that_only_sends_hears_of_the_end_from_its_server(
    probe: MakeProbe, error: OSError, *, raw: bool
) -> None:
    async def pushes(socket: WebSocket) -> None:
        await socket.accept()
        while True:
            # Starlette's own name: what an ASGI application that is mounted sends with.
            await (socket._send if raw else socket.send)({"type": "websocket.send", "text": "x"})

    probed, sent = probe(app_with(pushes)), 0

    async def send(message: Message) -> None:
        nonlocal sent
        sent += 1
        if sent > 3:
            raise error

    async def receive() -> Message:
        return CONNECT

    with contextlib.suppress(WebSocketDisconnect, OSError):
        await probed.app(websocket_scope("/ws"), receive, send)
    assert probed.counts() == {("WEBSOCKET", "/ws"): {101: 1}}
    assert kinds(probed) == []


@pytest.mark.anyio
async def test_a_server_that_refuses_a_word_after_the_end_is_no_fault_of_the_handler(
    probe: MakeProbe,
) -> None:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await receive()
        await send({"type": "websocket.send", "text": "too late"})

    async def send(message: Message) -> None:
        if message["type"] == "websocket.send":
            raise RuntimeError("Unexpected ASGI message 'websocket.send'")

    messages = [CONNECT, closed()]

    async def receive() -> Message:
        return messages.pop(0)

    app = FastAPI()
    app.mount("/own", application)
    probed = probe(app)
    with pytest.raises(RuntimeError):
        await probed.app(websocket_scope("/own/x"), receive, send)
    assert probed.counts() == {("ANY", "/own/{path}"): {101: 1}}


@pytest.mark.anyio
async def test_a_deploy_that_cancels_a_handler_is_no_fault(probe: MakeProbe) -> None:
    begun = asyncio.Event()

    async def waits(socket: WebSocket) -> None:
        await socket.accept()
        begun.set()
        await asyncio.Event().wait()

    probed = probe(app_with(waits))
    task = asyncio.create_task(call(probed.app, websocket_scope("/ws"), [CONNECT]))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert probed.counts() == {("WEBSOCKET", "/ws"): {101: 1}}
    assert kinds(probed) == []


async def returns(socket: WebSocket) -> None:
    await socket.receive()


@pytest.mark.parametrize(
    ("handler", "received", "status"),
    [
        (echoes, [closed(1006)], 499),
        (returns, [CONNECT], 500),
        (returns, [closed(1006)], 499),
    ],
)
@pytest.mark.anyio
async def test_a_websocket_that_nobody_answers(
    probe: MakeProbe, handler: Handler, received: list[Message], status: int
) -> None:
    async def receives_at_once(scope: Scope, receive: Receive, send: Send) -> None:
        if handler is returns:
            await receive()
        else:
            await handler(WebSocket(scope, receive, send))

    app = FastAPI()
    app.mount("/own", receives_at_once)
    probed = probe(app)
    with contextlib.suppress(RuntimeError):
        await call(probed.app, websocket_scope("/own/x"), received)
    assert probed.counts() == {("ANY", "/own/{path}"): {status: 1}}
    assert kinds(probed) == []


async def refuses(socket: WebSocket) -> None:
    await socket.close(1008)


async def denies(socket: WebSocket) -> None:
    await socket.send_denial_response(PlainTextResponse("no", 401))


@pytest.mark.parametrize("handler", [reads_on, refuses, denies, fails_to_clean_up])
@pytest.mark.parametrize("code", [1005, 1006])
@pytest.mark.anyio
async def test_an_answer_that_comes_when_the_client_has_gone_is_none(
    probe: MakeProbe, handler: Handler, code: int
) -> None:
    probed = probe(app_with(handler))
    # As hypercorn has it, which takes the answer and drops it.
    waiting: asyncio.Queue[Message] = asyncio.Queue()
    for message in (CONNECT, closed(code)):
        waiting.put_nowait(message)
    scope = {**websocket_scope("/ws"), "extensions": {"websocket.http.response": {}}}

    async def send(message: Message) -> None:
        """Take it."""

    with contextlib.suppress(Exception):
        await probed.app(scope, waiting.get, send)
    status = 500 if handler is fails_to_clean_up else 499
    assert probed.counts() == {("WEBSOCKET", "/ws"): {status: 1}}


@pytest.mark.anyio
async def test_a_websocket_in_an_application_that_is_mounted_as_a_whole_is_no_slow_request(
    probe: MakeProbe, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body"})
        else:
            await echoes(WebSocket(scope, receive, send))

    app = FastAPI()
    app.mount("/socket.io", application)
    probed = probe(app, log_sample_rate=0.0)
    with pytest.raises(WebSocketDisconnect):
        await call(probed.app, websocket_scope("/socket.io/x"), [CONNECT, closed()])
    probed.client.get("/socket.io/y")
    assert probed.lens.flusher.flush(ending=True)
    logged = probed.lens.reader.log.requests(LogFilter())
    assert [one.path for one in logged] == ["/socket.io/y"]


def test_the_connection_is_accepted_when_the_server_has_taken_the_answer() -> None:
    async def refuse(message: Message) -> None:
        raise ClientDisconnected

    async def receive() -> Message:
        return CONNECT

    watch = websocket.WebSocketWatch(receive, refuse, lambda _: 1)
    with pytest.raises(ClientDisconnected) as found:
        asyncio.run(watch.send({"type": "websocket.accept"}))
    assert watch.outcome(found.value) == (499, None)
