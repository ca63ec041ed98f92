"""Requests in the request log, read back through its reader."""

import gc
import time
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI, HTTPException, WebSocket
from fastapi.responses import JSONResponse

from benchmarks.support.waiting import wait_until
from fastapi_lens import lens_admin
from fastapi_lens.recording.log import request_log
from fastapi_lens.recording.log.request_log import SAMPLING_MODULUS
from fastapi_lens.reporting.log.exception_reader import ExceptionKind
from fastapi_lens.reporting.log.request_log import LogFilter, LoggedCall
from tests.recording.probe import Probe
from tests.support.addresses import ClientAt

ALL = LogFilter()
MakeProbe = Callable[..., Probe]
QUIET = {"log_sample_rate": 0.0, "log_slowest": 0}


class OrderError(Exception):
    """Exception of the application."""


def an_app() -> FastAPI:
    app = FastAPI()

    @app.get("/orders/{order_id}")
    def read_order(order_id: str) -> str:
        if order_id == "broken":
            raise OrderError(f"no order {order_id}")
        return order_id

    @app.get("/teapot")
    def teapot(status: int) -> JSONResponse:
        return JSONResponse(None, status)

    @app.get("/teapot/{reason}")
    def refuse(reason: str) -> None:
        try:
            int(reason)
        except ValueError as error:
            raise HTTPException(503, f"{reason} pot, not a number") from error

    @app.websocket("/ws")
    async def ws(socket: WebSocket) -> None:
        await socket.accept()
        if await socket.receive_text() == "fail":
            raise OrderError("on the wire")
        await socket.close()

    return app


@pytest.fixture
def probe(probe: MakeProbe) -> MakeProbe:
    def make(**settings: Any) -> Probe:
        made = probe(an_app(), **{"log_sample_rate": 1.0, **settings})
        made.get("/nothing-here")
        made.lens.flusher.stop()  # Its thread would choose the slowest at the turn of a minute.
        set_clock(made, made.lens.clock() // 60 * 60)
        return made

    return make


def set_clock(made: Probe, now: float) -> None:
    """Let the log's clock run on from here: from a whole minute, none turns within a test."""
    started = time.monotonic()
    # The log of a running application has no other door to its clock.
    made.lens.recorder.log._clock = lambda: now + time.monotonic() - started


def logged(made: Probe) -> list[LoggedCall]:
    assert made.lens.flusher.flush(ending=True)
    return made.lens.reader.log.requests(ALL)


def exceptions(made: Probe) -> list[ExceptionKind]:
    assert made.lens.flusher.flush()
    return made.lens.reader.exception_log.kinds()


def whole(made: Probe, kind: ExceptionKind) -> ExceptionKind:
    """A kind of exceptions with its traceback, which lists leave out."""
    found = made.lens.reader.exception_log.kind(kind.key)
    assert found is not None
    return found


def test_a_request_is_kept_with_what_was_asked_and_not_with_its_values(probe: MakeProbe) -> None:
    made = probe(log_slowest=0)
    made.client.get("/orders/7?b=secret&a=1", headers={"User-Agent": "curl/8.1"})

    (one,) = logged(made)

    assert (one.method, one.path, one.query, one.status) == ("GET", "/orders/7", "b&a", 200)
    assert (one.endpoint_method, one.template) == ("GET", "/orders/{order_id}")
    assert (one.reason, one.client, one.agent) == ("sample", "", "curl")
    assert (one.exception_key, one.exception_type, one.message) == ("", "", "")
    assert 0 < one.duration_ms < 5_000
    assert abs(one.at - made.lens.clock()) < 120


def test_values_and_addresses_are_kept_when_that_is_switched_on(probe: MakeProbe) -> None:
    made = probe(log_query_values=True, log_clients="masked", log_slowest=0)
    made.client = type(made.client)(ClientAt(made.app, "203.0.113.9"))
    made.get("/orders/7?b=2")

    assert [(one.query, one.client) for one in logged(made)] == [("b=2", "203.0.113.0/24")]


def test_the_hash_of_an_address_lasts_for_one_database_alone(probe: MakeProbe) -> None:
    def hashes() -> set[str]:
        made = probe(log_clients="hashed", log_slowest=0)
        made.client = type(made.client)(ClientAt(made.app, "203.0.113.9"))
        made.get("/orders/7", "/orders/8")
        return {one.client for one in logged(made)}

    one, other = hashes(), hashes()

    assert len(one) == len(other) == 1
    assert one != other


def test_server_errors_are_kept_up_to_the_rate_and_others_are_not(probe: MakeProbe) -> None:
    made = probe(log_errors_per_minute=2, **QUIET)
    made.get("/teapot?status=418", *["/teapot?status=503"] * 4)

    assert [(one.status, one.reason) for one in logged(made)] == [(503, "error")] * 2

    set_clock(made, made.lens.clock() + 61)
    made.get("/teapot?status=500")
    assert [one.status for one in logged(made)][:1] == [500]


def test_errors_beyond_the_rate_belong_to_the_share_as_all_requests_do(probe: MakeProbe) -> None:
    made = probe(log_errors_per_minute=0)
    made.get("/teapot?status=503")
    assert [one.reason for one in logged(made)] == ["sample"]


def test_an_unhandled_exception_is_kept_with_type_message_and_the_hosts_lines(
    probe: MakeProbe,
) -> None:
    made = probe(**QUIET)
    made.get("/orders/broken")

    (one,) = logged(made)
    exception = made.lens.reader.exception_log.kind(one.exception_key)

    assert (one.status, one.reason, one.message) == (500, "error", "no order broken")
    assert exception is not None
    assert exception.type == one.exception_type == f"{__name__}.OrderError"
    assert (exception.method, exception.path) == ("GET", "/orders/{order_id}")
    assert exception.place.startswith("tests/recording/log/test_logged_requests.py:")
    assert exception.place.endswith("in an_app.<locals>.read_order")
    assert exception.traceback.splitlines()[1:] == [
        '    raise OrderError(f"no order {order_id}")',
        f"{__name__}.OrderError: no order broken",
    ]


def test_switched_off_messages_are_not_stored_and_everything_else_is(probe: MakeProbe) -> None:
    made = probe(log_exception_messages=False, **QUIET)
    made.get("/orders/broken", "/orders/broken", "/teapot/broken")
    by_path = {one.path: whole(made, one) for one in exceptions(made)}
    for path, kind in (
        ("/orders/{order_id}", "OrderError"),
        ("/teapot/{reason}", "HTTPException"),
    ):
        one = by_path[path]
        assert one.type.endswith(kind)
        assert one.message == ""
        assert one.place.startswith("tests/recording/log/test_logged_requests.py:")
        assert one.traceback.splitlines()[-1] == one.type
        for secret in ("order broken", "broken pot", "base 10"):
            assert secret not in one.traceback
    assert by_path["/orders/{order_id}"].calls == 2
    assert "direct cause" in by_path["/teapot/{reason}"].traceback


def test_messages_are_switched_off_for_waiting_exceptions_too_and_the_groups_stay(
    probe: MakeProbe,
) -> None:
    made = probe(**QUIET)
    made.get("/orders/broken")
    (before,) = exceptions(made)
    assert "no order broken" in whole(made, before).traceback
    assert before.message == "no order broken"
    made.get("/orders/broken")
    made.lens.recorder.log.apply(probe(log_exception_messages=False).lens.settings.config)
    (after,) = exceptions(made)
    assert (after.key, after.calls, after.message) == (before.key, 2, "")
    assert "no order broken" not in whole(made, after).traceback


def test_every_exception_is_counted_whether_its_request_is_kept_or_not(probe: MakeProbe) -> None:
    made = probe(log_errors_per_minute=1, **QUIET)
    made.get(*["/orders/broken"] * 3)
    assert [one.calls for one in exceptions(made)] == [3]
    made.get(*["/orders/broken"] * 2)

    (exception,) = exceptions(made)
    assert exception.calls == 5
    assert exception.first_at < exception.last_at
    assert len(logged(made)) == 1


def test_a_websocket_is_kept_and_its_exception_counted(probe: MakeProbe) -> None:
    made = probe(log_slowest=10)

    def talk(text: str) -> None:
        with made.client.websocket_connect("/ws") as socket:
            socket.send_text(text)

    talk("bye")
    with pytest.raises(OrderError):
        talk("fail")

    found = [(one.method, one.path, one.status, one.reason) for one in logged(made)]
    assert found == [("WEBSOCKET", "/ws", 500, "error"), ("WEBSOCKET", "/ws", 101, "sample")]
    assert [(one.method, one.message) for one in exceptions(made)] == [("WEBSOCKET", "on the wire")]


def test_the_lens_and_what_is_not_counted_is_not_kept() -> None:
    app = an_app()
    app.include_router(lens_admin)
    made = Probe(app, log_sample_rate=1.0, exclude_paths=("/teapot",))
    made.get("/lens/", "/docs", "/nowhere", "/teapot?status=500", "/orders/1")

    assert [one.path for one in logged(made)] == ["/orders/1"]
    made.stop()


def test_what_no_route_matched_is_kept_where_it_is_counted(probe: MakeProbe) -> None:
    made = probe(ignore_unmapped=False)
    made.get("/.env")
    assert "/.env" in {one.path for one in logged(made)}


def test_the_slowest_request_of_each_endpoint_is_kept_once_a_minute(probe: MakeProbe) -> None:
    made = probe(log_sample_rate=0.0)
    made.get("/orders/1", "/orders/2", "/orders/3", "/teapot?status=200")

    found = logged(made)

    assert {one.reason for one in found} == {"slow"}
    assert sorted(one.template for one in found) == ["/orders/{order_id}", "/teapot"]


def test_with_a_share_of_one_the_slowest_are_kept_once_and_all_the_others_too(
    probe: MakeProbe,
) -> None:
    made = probe()
    paths = [f"/orders/{number}" for number in range(20)]
    made.get(*paths)

    found = logged(made)

    assert sorted(one.path for one in found) == sorted(paths)
    assert [one.reason for one in found].count("slow") == 1


def test_an_exception_holds_nothing_of_the_request_once_it_is_over() -> None:
    class OpenFile:
        """Something large in the application's frame."""

    held: list[weakref.ref[OpenFile]] = []
    app = FastAPI()

    @app.get("/")
    async def fails() -> None:
        large = OpenFile()
        held.append(weakref.ref(large))
        raise ValueError

    made = Probe(app)
    made.get("/", "/")

    def all_gone() -> bool:
        gc.collect()
        return [reference() for reference in held] == [None, None]

    wait_until(all_gone)  # The client's thread may still be at the end of the last request.
    made.stop()


def test_changed_settings_are_in_force_at_once(probe: MakeProbe) -> None:
    made = probe(**QUIET)
    log = made.lens.recorder.log
    made.get("/orders/1")
    log.apply(probe(log_sample_rate=1.0, log_slowest=5).lens.settings.config)
    made.lens.recorder.decay_slow_threshold()
    made.get("/orders/2")

    assert log.share == SAMPLING_MODULUS
    assert [one.path for one in logged(made)] == ["/orders/2"]


def test_memory_is_bounded_while_nothing_can_be_written(
    probe: MakeProbe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_log, "MAX_KEPT", 40)
    made = probe(log_errors_per_minute=10_000, log_slowest=0)
    made.get(*["/teapot?status=200"] * 25, *["/teapot?status=500"] * 25)
    harvest = made.lens.recorder.log.harvest(choose=False)
    # The share takes half of the room at most, and errors the rest.
    assert [entry.status for entry in harvest.entries] == [200] * 20 + [500] * 20


def test_a_log_that_fails_costs_its_request_nothing(
    probe: MakeProbe, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    made = probe(log_sample_rate=1.0)
    made.get("/orders/1")

    def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(request_log, "Entry", broken)

    assert made.client.get("/orders/2").status_code == 200
    assert made.client.get("/orders/3").status_code == 200
    assert caplog.text.count("could not log a request") == 1
    assert made.counts()["GET", "/orders/{order_id}"] == {200: 3}
