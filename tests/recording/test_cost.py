from typing import Any

import pytest
from fastapi import FastAPI

from fastapi_lens.recording import cost
from fastapi_lens.recording.cost import CostMeter, Costs
from tests.recording.probe import REQUEST_BODY, Probe, call, http_scope, middleware_of


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def nothing() -> Any:
    return None


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now_ns = 0

    def perf_counter_ns(self) -> int:
        return self.now_ns


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(cost, "time", made)
    return made


@pytest.mark.anyio
async def test_a_meter_tells_the_time_between_the_server_and_the_application(
    clock: Clock,
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        clock.now_ns += 1_000_000
        await send({"type": "http.response.start"})
        clock.now_ns += 1_000_000
        await send({"type": "http.response.body"})

    async def server_sends(message: Any) -> None:
        clock.now_ns += 50_000_000

    meter = CostMeter(app)
    send = meter.above(server_sends)

    async def middleware_sends(message: Any) -> None:
        clock.now_ns += 2
        await send(message)
        clock.now_ns += 20

    clock.now_ns += 200
    await meter.below({}, nothing, middleware_sends)
    clock.now_ns += 2_000
    assert meter.own_ns(clock.now_ns) == 200 + 2 * (2 + 20) + 2_000


@pytest.mark.anyio
async def test_an_exception_passes_a_meter_and_its_time_is_the_applications(
    clock: Clock,
) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        clock.now_ns += 1_000
        await send({})

    async def gone(message: Any) -> None:
        clock.now_ns += 7
        raise OSError("the client has gone")

    meter = CostMeter(app)
    with pytest.raises(OSError, match="gone"):
        await meter.below({}, nothing, meter.above(gone))
    assert meter.own_ns(clock.now_ns) == 0


def test_the_cost_is_the_median_of_the_latest_measurements() -> None:
    costs = Costs()
    assert costs.median_ns == 0
    for nanoseconds in [*[9_000] * 200, *[4_000] * 128, *[1_000_000] * 127]:
        costs.add(nanoseconds)
    assert costs.median_ns == 4_000


def test_a_call_whose_cost_is_measured_is_counted_like_the_others() -> None:
    app = FastAPI()
    app.get("/x/{number}")(lambda number: number)
    probe = Probe(app)
    probe.get("/x/1")
    probe.lens.recorder.costs = Costs()
    middleware_of(app)._sample_mask = 0  # Every call.
    probe.get("/x/2")
    assert probe.counts() == {("GET", "/x/{number}"): {200: 2}}
    (measured_ns,) = probe.lens.recorder.costs._latest
    assert 0 < measured_ns < 1_000_000_000
    (worker,) = probe.lens.reader.workers(probe.lens.clock())
    assert worker.cost_us == measured_ns / 1_000
    assert probe.lens.reader.health(probe.lens.clock()).cost_us == measured_ns / 1_000


@pytest.mark.anyio
async def test_a_measured_call_that_fails_is_a_server_error() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise ZeroDivisionError

    probe = Probe(app)
    probe.get("/")
    probe.app._sample_mask = 0
    with pytest.raises(ZeroDivisionError):
        await call(probe.app, http_scope("/x"), [REQUEST_BODY])
    assert probe.lens.recorder.costs.median_ns > 0
