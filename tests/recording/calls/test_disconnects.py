"""Clients that go before, while and after they are answered, as servers tell of it."""

import asyncio
from collections.abc import Callable
from functools import partial as make_partial
from typing import Annotated, Any

import anyio
import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, Form, Request, UploadFile
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from fastapi_lens.recording.calls.disconnects import is_gone, server_of
from fastapi_lens.recording.calls.outcomes import leaves
from tests.recording.probe import REQUEST_BODY, Probe, call, http_scope

MakeProbe = Callable[..., Probe]

GONE = {"type": "http.disconnect"}
PART = {"type": "http.request", "body": b'{"number": ', "more_body": True}
FILE = b'--b\r\nContent-Disposition: form-data; name="upload"; filename="a"\r\n\r\nabc'
START = {"type": "http.response.start", "status": 201, "headers": []}
BODY = {"type": "http.response.body", "body": b"x"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Order(BaseModel):
    number: int


async def reads_a_model(order: Order) -> Order:
    return order


async def reads_a_form(number: Annotated[int, Form()]) -> int:
    return number


async def reads_a_file(upload: UploadFile) -> int | None:
    return upload.size


async def reads_by_hand(request: Request) -> int:
    return len(await request.body())


async def reads_in_a_group(request: Request) -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(request.body())


async def reads_in_groups_of_groups(request: Request) -> None:
    async with anyio.create_task_group() as outer, anyio.create_task_group() as inner:
        outer.start_soon(anyio.sleep, 60)
        inner.start_soon(request.json)


async def reads_in_a_dependency(size: Annotated[int, Depends(reads_by_hand)]) -> int:
    return size


async def answers_in_spite_of_it(request: Request) -> str:
    try:
        return (await request.body()).decode()
    except Exception:  # noqa: BLE001  As careless hosts do.
        return "well"


async def asks(request: Request) -> str:
    while not await request.is_disconnected():  # noqa: ASYNC110  As hosts do.
        await asyncio.sleep(0)
    return "gone"


def posted(kind: str) -> dict[str, Any]:
    scope = http_scope("/x", method="POST")
    return {**scope, "headers": [(b"host", b"localhost"), (b"content-type", kind.encode())]}


@pytest.mark.parametrize(
    ("endpoint", "kind", "part"),
    [
        (reads_a_model, "application/json", PART["body"]),
        (reads_a_form, "application/x-www-form-urlencoded", b"num"),
        (reads_a_file, "multipart/form-data; boundary=b", FILE),
        (reads_by_hand, "text/plain", b"x"),
        (reads_in_a_group, "text/plain", b"x"),
        (reads_in_groups_of_groups, "text/plain", b"x"),
        (reads_in_a_dependency, "text/plain", b"x"),
        (answers_in_spite_of_it, "text/plain", b"x"),
    ],
)
@pytest.mark.parametrize("layers", [0, 2])
@pytest.mark.anyio
async def test_a_client_that_goes_while_it_is_read_from_is_a_499_whatever_is_made_of_it(
    probe: MakeProbe, endpoint: Callable[..., Any], kind: str, part: bytes, layers: int
) -> None:
    app = FastAPI()
    app.add_api_route("/x", endpoint, methods=["POST"])
    for _ in range(layers):
        app.add_middleware(BaseHTTPMiddleware, dispatch=handing_on)
    probed = probe(app)
    try:
        await call(probed.app, posted(kind), [{**PART, "body": part}, GONE])
    except (ClientDisconnect, ExceptionGroup) as error:
        # The server gets it, and has nobody to tell.
        assert {type(one) for one in leaves(error)} == {ClientDisconnect}  # noqa: PT017  Or none.
    except RuntimeError as error:
        # Of the middleware of Starlette before 0.42, which asks for a response to nobody.
        assert str(error) == "No response returned."  # noqa: PT017  Or none.
    assert probed.counts() == {("POST", "/x"): {499: 1}}
    assert probed.lens.reader.exception_log.kinds() == []


@pytest.mark.anyio
async def test_a_client_that_is_found_gone_when_asked_for_is_a_499(probe: MakeProbe) -> None:
    app = FastAPI()
    app.add_api_route("/x", asks)
    probed = probe(app)
    await call(probed.app, http_scope("/x"), [REQUEST_BODY, GONE])
    assert probed.counts() == {("GET", "/x"): {499: 1}}


async def handing_on(request: Request, call_next: Any) -> Any:
    return await call_next(request)


@pytest.mark.anyio
async def test_a_task_that_reads_on_after_the_answer_changes_nothing(probe: MakeProbe) -> None:
    app = FastAPI()

    @app.get("/x")
    async def endpoint(request: Request, tasks: BackgroundTasks) -> int:
        tasks.add_task(asks, request)
        return 1

    probed = probe(app)
    await call(probed.app, http_scope("/x"), [REQUEST_BODY, GONE])
    assert probed.counts() == {("GET", "/x"): {200: 1}}


def mounted(application: Any) -> FastAPI:
    app = FastAPI()
    app.mount("/own", application)
    return app


@pytest.mark.parametrize(("received", "status"), [([REQUEST_BODY], 500), ([GONE], 499)])
@pytest.mark.anyio
async def test_an_application_that_returns_without_an_answer(
    probe: MakeProbe, received: list[Any], status: int
) -> None:
    async def silent(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()

    probed = probe(mounted(silent))
    await call(probed.app, http_scope("/own/x"), received)
    assert probed.counts() == {("ANY", "/own/{path}"): {status: 1}}


@pytest.mark.parametrize(("received", "status"), [([REQUEST_BODY], 500), ([GONE], 499)])
@pytest.mark.anyio
async def test_a_middleware_that_misses_an_answer_is_at_fault_only_while_the_client_is_there(
    probe: MakeProbe, received: list[Any], status: int
) -> None:
    async def silent(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()

    app = mounted(silent)
    app.add_middleware(BaseHTTPMiddleware, dispatch=handing_on)
    probed = probe(app)
    with pytest.raises(RuntimeError, match="No response returned"):
        await call(probed.app, http_scope("/own/x"), received)
    assert probed.counts() == {("ANY", "/own/{path}"): {status: 1}}
    assert len(probed.lens.reader.exception_log.kinds()) == (status == 500)


class Uvicorn:
    """The part of uvicorn's server that is looked at."""

    def __init__(self) -> None:
        self.disconnected = False
        self.got = 0

    def lose(self) -> None:
        self.disconnected = True

    async def receive(self) -> Message:
        return GONE if self.disconnected else REQUEST_BODY

    async def send(self, message: Message) -> None:
        if not self.disconnected:
            self.got = self.got or message.get("status", 0)


class Hypercorn(Uvicorn):
    """The part of hypercorn's server that is looked at."""

    def __init__(self) -> None:
        super().__init__()
        del self.disconnected
        self.lost = False
        self.queue: asyncio.Queue[Message] = asyncio.Queue()
        self.queue.put_nowait(REQUEST_BODY)
        self.receive = self.queue.get  # type: ignore[method-assign]  # As it is handed over.

    def lose(self) -> None:
        self.lost = True
        self.queue.put_nowait(GONE)

    async def send(self, message: Message) -> None:
        if not self.lost:
            self.got = self.got or message.get("status", 0)


class Silent(Uvicorn):
    """A server that keeps what it knows to itself, and a host's middleware in front of it."""

    def __init__(self) -> None:
        super().__init__()
        ask, self.heard = self.receive, False

        async def hidden() -> Message:
            message = await ask()
            self.heard = self.heard or message == GONE
            return message

        self.receive = hidden  # type: ignore[method-assign]


STEPS = st.sampled_from(["lose", "receive", "start", "more"])


@pytest.mark.unmeasured
@given(steps=st.lists(STEPS, max_size=7), kind=st.sampled_from([Uvicorn, Hypercorn]))
def test_what_is_counted_is_what_the_client_got_whenever_it_goes(
    steps: list[str], kind: type[Uvicorn]
) -> None:
    server = kind()
    probed = Probe(mounted(playing(steps, server)))
    asyncio.run(probed.app(http_scope("/own/x"), server.receive, server.send))
    unanswered = 499 if "lose" in steps else 500
    assert probed.counts() == {("ANY", "/own/{path}"): {server.got or unanswered: 1}}
    probed.stop()


@pytest.mark.unmeasured
@given(steps=st.lists(STEPS, max_size=7))
def test_where_the_server_is_out_of_sight_what_the_application_has_read_decides(
    steps: list[str],
) -> None:
    server = Silent()
    probed = Probe(mounted(playing(steps, server)))
    asyncio.run(probed.app(http_scope("/own/x"), server.receive, server.send))
    begun = steps.index("start") if "start" in steps else len(steps)
    read = [at for at, step in enumerate(steps) if step == "receive" and "lose" in steps[:at]]
    expected = 499 if any(at < begun for at in read) else 201 if "start" in steps else 500
    assert probed.counts() == {("ANY", "/own/{path}"): {expected: 1}}
    probed.stop()


def playing(steps: list[str], server: Uvicorn) -> Any:
    """An application that does this; each thing that would block or is no HTTP is left out."""

    async def play(scope: Scope, receive: Receive, send: Send) -> None:
        begun, waiting = False, 1
        for step in steps:
            if step == "lose":
                server.lose()
                waiting += 1
            elif step == "receive" and waiting:
                await receive()
                waiting -= isinstance(server, Hypercorn)
            elif step == "start" and not begun:
                begun = True
                await send(START)
            elif step == "more" and begun:
                await send({**BODY, "more_body": True})
        if begun:
            await send(BODY)

    return play


class Signalling(Uvicorn):
    """A middleware above the lens whose word of that name is no flag."""

    def __init__(self, disconnected: Any) -> None:
        super().__init__()
        self.lost = False
        self.disconnected: Any = disconnected

    async def receive(self) -> Message:
        return GONE if self.lost else REQUEST_BODY

    async def send(self, message: Message) -> None:
        self.got = self.got or message.get("status", 0)


@pytest.mark.parametrize("word", [asyncio.Event(), lambda: False, None, 0, "no"])
@pytest.mark.parametrize("lost", [False, True])
@pytest.mark.anyio
async def test_only_a_flag_says_that_the_client_has_gone(
    probe: MakeProbe, word: object, *, lost: bool
) -> None:
    server = Signalling(word)
    server.lost = lost
    probed = probe(mounted(playing(["receive", "start"], server)))
    await probed.app(http_scope("/own/x"), server.receive, server.send)
    assert probed.counts() == {("ANY", "/own/{path}"): {499 if lost else 201: 1}}


def in_functions(receive: Receive, number: int) -> Receive:
    """A `receive` as middlewares above the lens pass it on: FastAPI's telemetry, OpenTelemetry."""
    if not number:
        return receive

    async def passed_on() -> Message:
        return await receive()

    return in_functions(passed_on, number - 1)


@pytest.mark.parametrize("number", [0, 1, 3])
@pytest.mark.parametrize("server", [Uvicorn, Hypercorn])
@pytest.mark.anyio
async def test_a_server_behind_functions_says_that_the_client_has_gone(
    probe: MakeProbe, server: type[Uvicorn], number: int
) -> None:
    made = server()
    probed = probe(mounted(playing(["lose", "start"], made)))
    receive = in_functions(made.receive, number)
    await probed.app(http_scope("/own/x"), receive, made.send)
    assert probed.counts() == {("ANY", "/own/{path}"): {499: 1}}


def test_no_server_is_found_behind_functions_without_one() -> None:
    async def not_yet() -> Message:
        return await receive()

    assert server_of(not_yet) is None
    receive = Uvicorn().receive
    assert server_of(not_yet) is not None

    def around_itself() -> Receive:
        async def receive() -> Message:
            return await receive()

        return receive

    made = Uvicorn()
    assert server_of(in_functions(made.receive, 2)) is made
    assert server_of(around_itself()) is None
    assert server_of(make_partial(made.receive)) is None


def test_a_server_that_says_nothing_of_its_client_is_not_asked() -> None:
    assert is_gone(None) is None
    assert is_gone(object()) is None
    assert is_gone(asyncio.Queue()) is False
