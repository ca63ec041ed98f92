"""Exceptions that handlers of the application turn into responses of 500 and above."""

import asyncio
import gc
import weakref
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse

from fastapi_lens.reporting.log.exception_reader import ExceptionKind
from tests.recording.probe import Probe, call, http_scope

MakeProbe = Callable[..., Probe]
QUIET = {"log_sample_rate": 0.0, "log_slowest": 0}


class OrderError(Exception):
    """Exception of the application."""


def fail(message: str) -> None:
    raise OrderError(message)


def exceptions(made: Probe) -> list[ExceptionKind]:
    assert made.lens.flusher.flush()
    return made.lens.reader.exception_log.kinds()


def failing(**handlers: Any) -> FastAPI:
    """An application whose endpoints raise exceptions that become responses."""
    app = FastAPI()

    @app.get("/down")
    def down(status: int = 503) -> None:
        raise HTTPException(status, "the payment provider is down")

    @app.get("/asleep")
    async def asleep() -> None:
        raise OrderError("asleep")

    @app.get("/answers")
    def answers() -> JSONResponse:
        return JSONResponse(None, 503)

    @app.exception_handler(OrderError)
    def tells(_request: Request, error: OrderError) -> JSONResponse:
        return JSONResponse({"told": str(error)}, 500)

    return app


def test_a_raised_http_exception_of_500_and_above_is_counted_with_its_detail(
    probe: MakeProbe,
) -> None:
    made = probe(failing(), **QUIET)
    for path in ("/down", "/down?status=500", "/down?status=404", "/answers"):
        made.get(path)

    (kind,) = exceptions(made)
    assert kind.type.rpartition(".")[2] == "HTTPException"
    assert (kind.calls, kind.message) == (2, "500: the payment provider is down")
    assert (kind.path, kind.place.rpartition(" in ")[2]) == ("/down", "failing.<locals>.down")
    assert made.client.get("/down").json() == {"detail": "the payment provider is down"}


def test_an_exception_that_a_handler_turns_into_a_500_is_counted(probe: MakeProbe) -> None:
    made = probe(failing(), **QUIET)
    assert made.client.get("/asleep").json() == {"told": "asleep"}
    assert [(kind.type.rpartition(".")[2], kind.calls) for kind in exceptions(made)] == [
        ("OrderError", 1)
    ]


def test_an_exception_behind_a_response_is_not_kept_alive(probe: MakeProbe) -> None:
    app, alive = failing(), list[weakref.ref[BaseException]]()

    @app.get("/weak")
    def weak() -> None:
        error = HTTPException(503)
        alive.append(weakref.ref(error))
        raise error

    made = probe(app, **QUIET)
    made.get("/weak", "/weak")
    gc.collect()
    assert [one() for one in alive] == [None, None]


def test_an_exception_that_is_handled_around_the_whole_server_is_not_that_of_a_response(
    probe: MakeProbe,
) -> None:
    made = probe(failing(), **QUIET)
    made.get("/nothing-here")

    async def serve() -> None:
        await call(made.app, http_scope("/answers"), [])

    try:
        fail("on the way to another event loop")
    except OrderError:
        asyncio.run(serve())
    assert exceptions(made) == []


def test_an_exception_without_a_traceback_is_not_that_of_a_response(probe: MakeProbe) -> None:
    app = failing()

    @app.exception_handler(OrderError)
    async def strips(_request: Request, error: OrderError) -> JSONResponse:
        error.__traceback__ = None
        return JSONResponse(None, 500)

    made = probe(app, **QUIET)
    made.get("/asleep")
    assert exceptions(made) == []


def test_of_an_exception_that_is_answered_outside_and_raised_again_one_is_counted(
    probe: MakeProbe,
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            fail("first")
        except OrderError as error:
            await JSONResponse(None, 500)(scope, receive, send)
            raise LookupError("second") from error

    inner = FastAPI()
    inner.mount("/raw", app)
    made = probe(inner, **QUIET)
    made.get("/raw/x")
    assert [kind.type for kind in exceptions(made)] == ["LookupError"]


def test_below_a_base_http_middleware_only_exceptions_that_are_not_handled_are_known(
    probe: MakeProbe,
) -> None:
    app = failing()

    @app.get("/bug")
    def bug() -> None:
        raise LookupError("no order")

    @app.middleware("http")
    async def plain(request: Request, call_next: Any) -> Any:
        return await call_next(request)

    made = probe(app, **QUIET)
    made.get("/down", "/bug")
    assert [kind.type for kind in exceptions(made)] == ["LookupError"]
    assert made.counts()["GET", "/down"] == {503: 1}


def test_above_a_base_http_middleware_a_handled_exception_is_known(probe: MakeProbe) -> None:
    app = failing()
    made = probe(app, **QUIET)

    @app.middleware("http")
    async def plain(request: Request, call_next: Any) -> Any:
        return await call_next(request)

    made.get("/down")
    assert [kind.path for kind in exceptions(made)] == ["/down"]
