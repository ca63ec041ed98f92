"""Exceptions that are no `Exception`: raised by a handler, or by a server that gives up."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from typing import Any

import anyio
import pytest
from fastapi import BackgroundTasks, Depends, FastAPI
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import ClientDisconnect
from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from tests.recording.calls.test_disconnects import START, Uvicorn, handing_on, mounted
from tests.recording.probe import REQUEST_BODY, Probe, call, http_scope

MakeProbe = Callable[..., Probe]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class PanicException(BaseException):
    """As that of Rust extensions."""


def raises(error: BaseException) -> Callable[[], Awaitable[None]]:
    async def endpoint() -> None:
        raise error

    return endpoint


async def leaks() -> None:
    task = asyncio.create_task(asyncio.sleep(10))
    task.cancel()
    await task


async def leaks_from_a_gathering() -> None:
    cancelled = asyncio.get_running_loop().create_future()
    cancelled.cancel()
    await asyncio.gather(cancelled)


def kinds(probed: Probe) -> list[str]:
    assert probed.lens.flusher.flush()
    return [one.type.rpartition(".")[2] for one in probed.lens.reader.exception_log.kinds()]


async def ask(probed: Probe, path: str = "/x") -> BaseException:
    try:
        await call(probed.app, http_scope(path), [REQUEST_BODY])
    except BaseException as error:  # noqa: BLE001  That is what is asked for.
        return error
    raise AssertionError("nothing was raised")


def app_with(endpoint: Callable[..., Any], **options: Any) -> FastAPI:
    app = FastAPI()
    app.add_api_route("/x", endpoint, **options)
    return app


@pytest.mark.parametrize(
    ("endpoint", "kind"),
    [
        (raises(PanicException("None")), "PanicException"),
        (raises(SystemExit(3)), "SystemExit"),
        (raises(KeyboardInterrupt()), "KeyboardInterrupt"),
        (raises(GeneratorExit()), "GeneratorExit"),
        (raises(BaseExceptionGroup("all", [PanicException("None")])), "PanicException"),
        (
            raises(BaseExceptionGroup("all", [PanicException("None"), ValueError()])),
            "BaseExceptionGroup",
        ),
        (raises(ExceptionGroup("all", [ClientDisconnect(), ValueError()])), "ExceptionGroup"),
        (leaks, "CancelledError"),
        (leaks_from_a_gathering, "CancelledError"),
        (raises(BaseExceptionGroup("all", [asyncio.CancelledError()])), "CancelledError"),
    ],
)
@pytest.mark.anyio
async def test_what_is_no_exception_is_a_server_error_and_logged(
    probe: MakeProbe, endpoint: Callable[..., Any], kind: str
) -> None:
    probed = probe(app_with(endpoint))
    await ask(probed)
    assert probed.counts() == {("GET", "/x"): {500: 1}}
    assert kinds(probed) == [kind]


def in_a_thread() -> FastAPI:
    def endpoint() -> None:
        raise PanicException("in a thread")

    return app_with(endpoint)


def in_a_dependency() -> FastAPI:
    return app_with(lambda: 1, dependencies=[Depends(raises(PanicException()))])


def below_a_middleware() -> FastAPI:
    app = app_with(raises(PanicException()))
    app.add_middleware(BaseHTTPMiddleware, dispatch=handing_on)
    return app


def after_the_answer() -> FastAPI:
    def endpoint(tasks: BackgroundTasks) -> int:
        tasks.add_task(raises(PanicException()))
        return 1

    return app_with(endpoint)


def in_the_middle_of_the_answer() -> FastAPI:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"x"
        raise PanicException

    return app_with(lambda: StreamingResponse(chunks()))


@pytest.mark.parametrize(
    "make",
    [
        in_a_thread,
        in_a_dependency,
        below_a_middleware,
        after_the_answer,
        in_the_middle_of_the_answer,
    ],
)
@pytest.mark.anyio
async def test_wherever_it_is_raised(probe: MakeProbe, make: Callable[[], FastAPI]) -> None:
    probed = probe(make())
    await ask(probed)
    assert probed.counts() == {("GET", "/x"): {500: 1}}
    assert kinds(probed) == ["PanicException"]


@pytest.mark.parametrize(
    ("answers", "goes", "status"),
    [(False, False, 500), (False, True, 499), (True, False, 201), (True, True, 201)],
)
@pytest.mark.anyio
async def test_a_server_that_gives_up_answers_only_a_client_that_is_there(
    probe: MakeProbe, *, answers: bool, goes: bool, status: int
) -> None:
    begun, server = asyncio.Event(), Uvicorn()

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if answers:
            await send(START)
        begun.set()
        await asyncio.Event().wait()

    probed = probe(mounted(application))
    task = asyncio.create_task(probed.app(http_scope("/own/x"), server.receive, server.send))
    await begun.wait()
    if goes:
        server.lose()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert probed.counts() == {("ANY", "/own/{path}"): {status: 1}}
    assert kinds(probed) == []


@pytest.mark.parametrize(("goes", "status"), [(False, 500), (True, 499)])
@pytest.mark.anyio
async def test_a_cancellation_that_leaks_is_no_fault_where_the_client_has_gone(
    probe: MakeProbe, *, goes: bool, status: int
) -> None:
    server = Uvicorn()

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if goes:
            server.lose()
        await leaks()

    probed = probe(mounted(application))
    with pytest.raises(asyncio.CancelledError):
        await probed.app(http_scope("/own/x"), server.receive, server.send)
    assert probed.counts() == {("ANY", "/own/{path}"): {status: 1}}
    assert kinds(probed) == ([] if goes else ["CancelledError"])


@pytest.mark.anyio
async def test_a_disconnect_that_is_none_of_this_client_is_a_server_error(
    probe: MakeProbe,
) -> None:
    server = Uvicorn()

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        raise ClientDisconnect  # Of another request, which it makes itself.

    probed = probe(mounted(application))
    with pytest.raises(ClientDisconnect):
        await probed.app(http_scope("/own/x"), server.receive, server.send)
    assert probed.counts() == {("ANY", "/own/{path}"): {500: 1}}


@pytest.mark.anyio
async def test_a_connection_that_breaks_in_the_middle_of_the_answer_keeps_its_status(
    probe: MakeProbe,
) -> None:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        await send({"type": "http.response.body", "body": b"x", "more_body": True})

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            raise ConnectionResetError

    async def receive() -> Message:
        return REQUEST_BODY

    probed = probe(mounted(application))
    with pytest.raises(ConnectionResetError):
        await probed.app(http_scope("/own/x"), receive, send)
    assert probed.counts() == {("ANY", "/own/{path}"): {201: 1}}


def test_a_scope_of_trio_that_is_cancelled_above_is_no_fault(probe: MakeProbe) -> None:
    probed = probe(app_with(anyio.sleep_forever))

    async def hurried() -> None:
        with anyio.move_on_after(0.05) as above:
            await call_on_trio(probed)
        assert above.cancelled_caught

    anyio.run(hurried, backend="trio")
    assert probed.counts() == {("GET", "/x"): {499: 1}}
    assert kinds(probed) == []


async def call_on_trio(probed: Probe) -> None:
    async def receive() -> Message:
        return REQUEST_BODY

    async def send(message: Message) -> None:
        raise AssertionError(message)

    await probed.app(http_scope("/x"), receive, send)


class Suspended:
    """Waits for ever, without an event loop."""

    def __await__(self) -> Generator[None]:
        yield


@pytest.mark.parametrize("loops", [True, False])
def test_a_call_that_is_torn_down_with_its_loop_is_no_fault(
    probe: MakeProbe, *, loops: bool
) -> None:
    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await Suspended()

    probed = probe(mounted(application))
    server = Uvicorn()
    under_way = probed.app(http_scope("/own/x"), receive_of(server), server.send)

    def tear_down() -> None:
        under_way.send(None)
        under_way.close()

    if loops:
        # In a callback of the loop, of which no task is the current one.
        loop = asyncio.new_event_loop()
        loop.call_soon(tear_down)
        loop.call_soon(loop.stop)
        loop.run_forever()
        loop.close()
    else:
        tear_down()
    assert probed.counts() == {("ANY", "/own/{path}"): {499: 1}}
    assert kinds(probed) == []


def receive_of(server: Uvicorn) -> Receive:
    async def receive() -> Message:
        return await server.receive()

    return receive
