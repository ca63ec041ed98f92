"""Outcome that each end of a request is counted as."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Annotated, Any

import pytest
from fastapi import BackgroundTasks, Body, Depends, FastAPI, HTTPException, Request
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fastapi_lens.recording.middleware import MAX_HINTS
from tests.recording.probe import REQUEST_BODY, Probe, call, http_scope
from tests.support import releases

MakeProbe = Callable[..., Probe]
ENDPOINT = ("GET", "/x")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def answers(payload: Annotated[bytes, Body()]) -> int:
    return len(payload)


def never_reads() -> int:
    return 1


async def reads_in_a_group(request: Request) -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(request.body())


@releases.needs_body_limit
@pytest.mark.parametrize("endpoint", [answers, never_reads, reads_in_a_group])
@pytest.mark.parametrize("layers", [0, 2])
def test_a_body_that_fastapi_refuses_because_of_its_size_is_no_fault(
    probe: MakeProbe, endpoint: Any, layers: int
) -> None:
    newer: dict[str, Any] = {"max_body_size": 10}  # Which older releases do not know.
    app = FastAPI(**newer)
    app.add_api_route("/x", endpoint, methods=["POST"])
    for _ in range(layers):
        app.middleware("http")(hands_on)
    probed = probe(app)
    # The second one does not say beforehand how long it is.
    got = [
        probed.client.post("/x", content=one).status_code for one in (b"x" * 20, iter([b"y" * 20]))
    ]
    assert got == [413, 200 if endpoint is never_reads else 413]
    assert sum(probed.counts()["POST", "/x"].values()) == 2
    assert probed.counts()["POST", "/x"] == {status: got.count(status) for status in got}
    assert probed.lens.reader.exception_log.kinds() == []


async def hands_on(request: Request, call_next: Any) -> Any:
    return await call_next(request)


def fails() -> None:
    raise ValueError("no")


def refused() -> None:
    raise HTTPException(503, "not now")


def answers_what_its_model_forbids() -> Any:
    return {"number": "none"}


async def runs_out_of_time() -> None:
    async with asyncio.timeout(0):
        await asyncio.sleep(1)


def fails_before_the_first_byte() -> StreamingResponse:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(2):
            fails()
            yield b""

    return StreamingResponse(chunks())


def has_not_changed() -> Response:
    return Response(status_code=304)


def handled() -> None:
    raise KeyError


def leaves_work_that_fails(tasks: BackgroundTasks) -> int:
    tasks.add_task(fails)
    return 1


def app_with(endpoint: Callable[..., Any], **options: Any) -> FastAPI:
    app = FastAPI()
    app.add_api_route("/x", endpoint, **options)

    @app.exception_handler(KeyError)
    def missing(_request: Request, _error: Exception) -> JSONResponse:
        return JSONResponse({}, 410)

    return app


@pytest.mark.unmeasured
@pytest.mark.parametrize(
    ("endpoint", "status"),
    [
        (fails, 500),
        (refused, 503),
        (runs_out_of_time, 500),
        (fails_before_the_first_byte, 500),
        (has_not_changed, 304),
        (handled, 410),
        # The client has its answer, yet the endpoint has a fault.
        (leaves_work_that_fails, 500),
    ],
)
def test_an_endpoint_is_counted_with_what_came_of_it(
    probe: MakeProbe, endpoint: Callable[..., Any], status: int
) -> None:
    probed = probe(app_with(endpoint))
    with contextlib.suppress(ValueError):
        probed.get("/x")
    assert probed.counts() == {ENDPOINT: {status: 1}}


def test_an_answer_that_its_model_forbids_is_a_server_error(probe: MakeProbe) -> None:
    probed = probe(app_with(answers_what_its_model_forbids, response_model=dict[str, int]))
    probed.get("/x")
    assert probed.counts() == {ENDPOINT: {500: 1}}


@pytest.mark.unmeasured
@pytest.mark.parametrize("before", [True, False])
def test_a_dependency_that_fails_before_or_after_is_a_server_error(
    probe: MakeProbe, *, before: bool
) -> None:
    def dependency() -> Iterator[int]:
        if before:
            raise ValueError
        yield 1
        raise ValueError

    probed = probe(app_with(lambda: 1, dependencies=[Depends(dependency)]))
    with contextlib.suppress(ValueError):
        probed.get("/x")
    assert probed.counts() == {ENDPOINT: {500: 1}}


def test_a_timeout_of_the_hosts_own_middleware_is_counted_as_it_answers(probe: MakeProbe) -> None:
    async def hurry(request: Request, call_next: Any) -> Response:
        try:
            async with asyncio.timeout(0.01):
                answer: Response = await call_next(request)
                return answer
        except TimeoutError:
            return Response(status_code=504)

    async def dawdle() -> None:
        await asyncio.sleep(0.1)

    app = app_with(dawdle)
    app.add_middleware(BaseHTTPMiddleware, dispatch=hurry)
    probed = probe(app)
    probed.get("/x")
    assert probed.counts() == {ENDPOINT: {504: 1}}


@pytest.mark.anyio
async def test_a_client_that_goes_while_it_is_read_from_is_a_499(probe: MakeProbe) -> None:
    async def read(request: Request) -> int:
        return len(await request.body())

    probed = probe(app_with(read))
    gone = {"type": "http.disconnect"}
    part = {"type": "http.request", "body": b"x", "more_body": True}
    with contextlib.suppress(Exception):
        await call(probed.app, http_scope("/x"), [part, gone])
    assert probed.counts() == {ENDPOINT: {499: 1}}


@pytest.mark.anyio
async def test_a_client_that_goes_during_the_last_byte_keeps_its_status(probe: MakeProbe) -> None:
    probed = probe(app_with(lambda: 1, status_code=201))

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        await probed.app(http_scope("/x"), nothing_more, send)
    assert probed.counts() == {ENDPOINT: {201: 1}}


@pytest.mark.anyio
async def test_an_error_of_the_hosts_own_files_is_a_server_error(probe: MakeProbe) -> None:
    def reads() -> None:
        raise FileNotFoundError

    probed = probe(app_with(reads))
    probed.get("/x")
    assert probed.counts() == {ENDPOINT: {500: 1}}


@pytest.mark.anyio
async def test_a_handler_that_is_cancelled_after_its_answer_began_keeps_its_status(
    probe: MakeProbe,
) -> None:
    begun = asyncio.Event()

    async def chunks() -> AsyncIterator[bytes]:
        yield b"x"
        begun.set()
        await asyncio.Event().wait()

    probed = probe(app_with(lambda: StreamingResponse(chunks(), 206)))
    task = asyncio.create_task(call(probed.app, http_scope("/x"), [REQUEST_BODY]))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert probed.counts() == {ENDPOINT: {206: 1}}


def test_a_middleware_of_the_host_that_answers_first_is_no_call(probe: MakeProbe) -> None:
    async def closed(scope: Scope, receive: Receive, send: Send) -> None:
        await Response(status_code=503)(scope, receive, send)

    app = app_with(lambda: 1)
    app.add_middleware(lambda app: closed)
    probed = probe(app)
    probed.get("/x")
    assert probed.counts() == {}


def test_a_middleware_that_hands_on_a_copy_of_the_scope_is_hinted_at_once(
    probe: MakeProbe, caplog: pytest.LogCaptureFixture
) -> None:
    class Copying:
        def __init__(self, app: ASGIApp) -> None:
            self.app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            await self.app({**scope}, receive, send)

    app = app_with(lambda: 1)
    app.add_middleware(Copying)
    probed = probe(app)
    probed.get("/elsewhere", "/x", "/x")
    assert probed.counts() == {}
    (hint,) = [record.message for record in caplog.records if "without a route" in record.message]
    assert hint.startswith("fastapi_lens saw GET /x answered without a route")


def test_a_middleware_that_answers_by_itself_is_looked_into_some_times_only(
    probe: MakeProbe, caplog: pytest.LogCaptureFixture
) -> None:
    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        await Response()(scope, receive, send)

    app = app_with(lambda: 1)
    app.add_middleware(lambda app: page)
    probed = probe(app)
    probed.get(*["/elsewhere"] * MAX_HINTS, "/x")
    assert "without a route" not in caplog.text


async def nothing_more() -> Message:
    return REQUEST_BODY


class WithoutTextError(RuntimeError):
    """An exception whose own methods fail."""

    def __str__(self) -> str:
        raise LookupError


class NeverEqual:
    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        raise LookupError


def nested(depth: int) -> BaseException:
    error: BaseException = ValueError("inmost")
    for _ in range(depth):
        error = BaseExceptionGroup("more", [error])
    return error


@pytest.mark.anyio
@pytest.mark.parametrize(
    "error",
    [WithoutTextError(), WithoutTextError("text"), RuntimeError(NeverEqual()), nested(5_000)],
)
async def test_an_exception_leaves_as_it_came_whatever_its_own_methods_do(
    probe: MakeProbe, error: BaseException
) -> None:
    app = FastAPI()

    @app.get("/x")
    async def x() -> None:
        raise error

    probed = probe(app)
    with pytest.raises(type(error)) as raised:
        await call(probed.app, http_scope("/x"), [REQUEST_BODY])
    assert raised.value is error
    assert probed.counts() == {ENDPOINT: {500: 1}}
    assert probed.lens.flusher.dropped == 0
