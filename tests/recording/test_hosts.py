"""Two hosts with clocks 90 s apart share one server, and the network of one of them is cut.

The hosts are two lenses with names and clocks of their own; `make bench-hosts` does the same with
processes and a cut of a whole minute.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy.engine import make_url

from benchmarks.support.proxy import Proxy
from benchmarks.support.rows import table_rows
from benchmarks.support.waiting import wait_until
from fastapi_lens import LensConfig, LensMiddleware, lens_admin
from fastapi_lens.reporting.model import Worker, WorkerState
from fastapi_lens.runtime.lens import Lens
from fastapi_lens.storage.coordination import heartbeat as storage_workers
from fastapi_lens.storage.engine import clock_skew
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.migrations import migrate
from fastapi_lens.storage.schema.tables import BUCKET, ENDPOINT, STATUS, WORKER
from tests.recording.probe import calls_in
from tests.support.pages import page_text

AHEAD_SECONDS = 90.0
APP = "orders"

StartHost = Callable[..., "Host"]


class Host:
    """One host with one worker, which writes every tenth of a second."""

    def __init__(self, url: str, *, ahead_seconds: float = 0.0) -> None:
        config = LensConfig(database_url=url, app_name=APP, flush_interval=0.1)
        self.lens = Lens(config, clock=lambda: time.time() + ahead_seconds)
        self.lens.begin(an_app(), lifespan=True)

    def count(self, calls: int) -> None:
        for _ in range(calls):
            self.lens.recorder.count(
                method="GET", path="/orders", status=200, duration_ns=2_000_000
            )


def an_app() -> FastAPI:
    app = FastAPI()

    @app.get("/orders")
    def orders() -> None:
        """All of them."""

    return app


@pytest.fixture
def shared_url(server_url: str) -> str:
    """URL of a database with tables, so that there is something to read at once."""
    database = Database(server_url)
    migrate(database)
    database.close()
    return server_url


@pytest.fixture
def start_host(monkeypatch: pytest.MonkeyPatch) -> Iterator[StartHost]:
    """Starts hosts by name, and stops them after the test."""
    started: list[Host] = []

    def start(name: str, url: str, **options: Any) -> Host:
        monkeypatch.setattr("socket.gethostname", lambda: name)
        started.append(Host(url, **options))
        return started[-1]

    yield start
    for host in started:
        host.lens.stop()


@pytest.fixture
def proxy(shared_url: str) -> Iterator[Proxy]:
    """The network between one host and the database."""
    port = make_url(shared_url).port
    assert port is not None
    with Proxy(port) as made:
        yield made


def through(proxy: Proxy, url: str) -> str:
    return make_url(url).set(port=proxy.port).render_as_string(hide_password=False)


@pytest.fixture
def onlooker(shared_url: str) -> Iterator[TestClient]:
    """The admin, on a third host whose clock is right."""
    app = an_app()
    config = LensConfig(database_url=shared_url, app_name=APP, flush_interval=3_600)
    app.add_middleware(LensMiddleware, config=config)
    app.include_router(lens_admin)
    with TestClient(app) as client:
        yield client


def waiting_calls(lens: Lens) -> int:
    """Calls that are not written: pending, or not taken by a thread that waits for the database."""
    return lens.recorder.waiting_calls + lens.flusher.pending_calls


def states(lens: Lens) -> dict[str, WorkerState]:
    return {host: worker.state for host, worker in by_host(lens).items()}


def by_host(lens: Lens) -> dict[str, Worker]:
    return {one.host: one for one in lens.reader.workers(time.time())}


@pytest.mark.unmeasured
def test_a_host_whose_network_is_cut_loses_nothing_and_the_workers_tell_it(
    shared_url: str,
    proxy: Proxy,
    start_host: StartHost,
    onlooker: TestClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(storage_workers, "SILENT_SECONDS", 0)
    monkeypatch.setattr(storage_workers, "SILENT_INTERVALS", 10)
    east = start_host("east", shared_url, ahead_seconds=AHEAD_SECONDS)
    west = start_host("west", through(proxy, shared_url))
    east.count(50)
    west.count(40)
    wait_until(lambda: calls_in(east.lens) == {"/orders": 90})
    wait_until(lambda: west.lens.flusher.pending_calls == 0)

    proxy.stall()
    west.count(30)
    east.count(20)
    wait_until(lambda: calls_in(east.lens) == {"/orders": 110})
    wait_until(lambda: states(east.lens)["west"] is WorkerState.SILENT)
    page = onlooker.get("/lens/settings").text
    assert ">Silent<" in page
    assert waiting_calls(west.lens) == 30

    proxy.cut()
    proxy.go_on()
    wait_until(lambda: calls_in(east.lens) == {"/orders": 140}, seconds=60)
    east.count(1)
    west.count(1)
    wait_until(lambda: calls_in(east.lens) == {"/orders": 142})
    for host in (east, west):
        host.lens.stop()
    found = by_host(east.lens)
    assert found["east"].clock_ahead_seconds == pytest.approx(AHEAD_SECONDS, abs=3)
    assert found["west"].clock_ahead_seconds == pytest.approx(0, abs=3)
    assert [(one.clock_is_off, one.pending, one.dropped) for one in found.values()].count(
        (True, 0, 0)
    ) == 1

    database = Database(shared_url)
    for tier in (60, 3_600, 86_400, 604_800):
        rows = [row for row in table_rows(database, BUCKET) if row.tier == tier]
        assert sum(row.calls for row in rows) == 142
    assert sum(row.calls for row in table_rows(database, STATUS)) == 142
    (endpoint,) = table_rows(database, ENDPOINT)
    assert endpoint.total_calls == 142
    database.close()


def test_a_clock_that_is_ahead_or_behind_is_shown_and_deceives_nobody(
    shared_url: str, start_host: StartHost, onlooker: TestClient
) -> None:
    ahead = start_host("ahead", shared_url, ahead_seconds=AHEAD_SECONDS)
    behind = start_host("behind", shared_url, ahead_seconds=-AHEAD_SECONDS)
    # An onlooker who believes to be the only worker looks once a second whether there are others.
    wait_until(lambda: {"ahead", "behind"} <= by_host(ahead.lens).keys())
    onlooker.get("/lens/report")  # Starts the onlooker's own worker, which records this app, too.
    for host in (ahead, behind):
        host.count(3)
    wait_until(lambda: calls_in(ahead.lens) == {"/orders": 6})
    wait_until(lambda: all(one.clock_is_off for one in ours(ahead.lens, ("ahead", "behind"))))

    page = onlooker.get("/lens/settings").text
    assert "s ahead</small>" in page
    assert "s behind</small>" in page
    assert ">Silent<" not in page
    assert "in the minute of their worker's clock" in page_text(page)
    # The last call lies 90 s ahead of the onlooker's time.
    (told,) = onlooker.get("/lens/report").json()["endpoints"]
    assert (told["status"], told["total_calls"]) == ("active", 6)
    now = time.time()
    for one in ours(ahead.lens, ("ahead", "behind")):
        assert one.state is WorkerState.RUNNING
        assert one.seen_at == pytest.approx(now, abs=30)
    complete_to = ahead.lens.reader.health(time.time()).complete_to
    assert complete_to == pytest.approx(now, abs=30)


def ours(lens: Lens, names: tuple[str, ...]) -> list[Worker]:
    found = by_host(lens)
    return [found[name] for name in names]


def test_an_answer_that_took_long_tells_nothing_of_a_clock(
    shared_url: str, start_host: StartHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock_skew, "LONGEST_ANSWER_SECONDS", -1.0)
    host = start_host("far", shared_url, ahead_seconds=AHEAD_SECONDS)
    host.count(1)
    wait_until(lambda: calls_in(host.lens) == {"/orders": 1})
    host.lens.stop()
    (row,) = table_rows(host.lens.database, WORKER)
    assert row.clock_ahead_us is None
    assert by_host(host.lens)["far"].clock_is_off is False
    host.lens.database.close()
