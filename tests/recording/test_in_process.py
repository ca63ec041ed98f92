"""An application called in every way that needs no server: each call is counted exactly."""

import asyncio
import subprocess
import sys
import textwrap
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Literal

import anyio
import anyio.lowlevel
import httpx2
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from benchmarks.support.rows import table_rows
from benchmarks.support.waiting import wait_until
from fastapi_lens import LensConfig, LensMiddleware
from fastapi_lens.runtime.lens import Lens
from fastapi_lens.storage.schema.tables import WORKER
from tests.recording.probe import REQUEST_BODY, Probe, call, calls_in, http_scope, lens_of

MakeProbe = Callable[..., Probe]
Backend = Literal["asyncio", "trio"]
ASYNC, SYNC = ("GET", "/async"), ("GET", "/sync")

both_backends = pytest.mark.parametrize("backend", ["asyncio", "trio"])


def two_routes(title: str = "app") -> FastAPI:
    app = FastAPI(title=title)

    @app.get("/async")
    async def asynchronous() -> None:
        await anyio.lowlevel.checkpoint()

    @app.get("/sync")
    def synchronous() -> None:
        """Runs in a thread of the framework's own."""

    return app


def recorded(database: Path, title: str = "app", *, flush_interval: float = 3600) -> FastAPI:
    """An application whose counts go to a file."""
    app = two_routes(title)
    config = LensConfig(db_path=str(database), flush_interval=flush_interval)
    app.add_middleware(LensMiddleware, config=config)
    return app


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Lens]:
    """A lens beside that of the application, which looks into the same file."""
    lens = Lens(LensConfig(db_path=str(tmp_path / "lens.db"), app_name="app"))
    lens.prepare()
    yield lens
    lens.stop()


@both_backends
def test_a_client_that_runs_no_lifespan_has_its_calls_written_meanwhile(
    tmp_path: Path, outside: Lens, backend: Backend
) -> None:
    app = recorded(tmp_path / "lens.db", flush_interval=0.02)
    client = TestClient(app, backend=backend)
    for path in ("/async", "/sync", "/async"):
        assert client.get(path).status_code == 200
    wait_until(lambda: calls_in(outside) == {"/async": 2, "/sync": 1}, what="writing 3 calls")
    lens_of(app).stop()


@both_backends
def test_every_end_of_a_client_writes_its_calls_and_another_start_goes_on(
    tmp_path: Path, outside: Lens, backend: Backend
) -> None:
    app = recorded(tmp_path / "lens.db")
    for start in (1, 2):
        with TestClient(app, backend=backend) as client:
            for path in ("/async", "/sync", "/async"):
                assert client.get(path).status_code == 200
        assert calls_in(outside) == {"/async": 2 * start, "/sync": start}
        assert outside.reader.health(outside.clock()).workers == 0


@both_backends
def test_calls_through_a_transport_without_a_server_are_counted(
    probe: MakeProbe, backend: Backend
) -> None:
    probed = probe(two_routes())

    async def ask() -> None:
        transport = httpx2.ASGITransport(probed.app)
        async with (
            httpx2.AsyncClient(transport=transport, base_url="http://test") as client,
            anyio.create_task_group() as tasks,
        ):
            for path in ("/async", "/sync") * 10:
                tasks.start_soon(client.get, path)

    anyio.run(ask, backend=backend)
    assert probed.counts() == {ASYNC: {200: 10}, SYNC: {200: 10}}


def test_event_loops_one_after_another_and_at_once_share_one_count(probe: MakeProbe) -> None:
    probed = probe(two_routes())

    async def ask(times: int) -> None:
        for path in ("/async", "/sync") * times:
            await call(probed.app, http_scope(path), [REQUEST_BODY])

    for _ in range(3):
        asyncio.run(ask(5))
    threads = [threading.Thread(target=asyncio.run, args=[ask(50)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert probed.counts() == {ASYNC: {200: 215}, SYNC: {200: 215}}


def test_two_applications_that_run_at_once_on_one_database_are_kept_apart(tmp_path: Path) -> None:
    apps = [recorded(tmp_path / "lens.db", title) for title in ("one", "two")]
    with ExitStack() as running:
        clients = [running.enter_context(TestClient(app)) for app in apps]
        for turn in range(6):
            clients[turn % 3 != 0].get("/async")
    for app, calls in zip(apps, (2, 4), strict=True):
        assert calls_in(lens_of(app)) == {"/async": calls}
        lens_of(app).stop()


def run_program(program: str, folder: Path) -> None:
    """Run a program in a process of its own, so that forking harms nothing here."""
    file = folder / "program.py"
    file.write_text(textwrap.dedent(COMMON) + textwrap.dedent(program))
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", file, folder / "lens.db"], capture_output=True, check=False
    )
    assert ran.returncode == 0, ran.stderr.decode()


COMMON = """
    import os, sys
    from fastapi import FastAPI
    from fastapi.testclient import TestClient
    from fastapi_lens import LensConfig, LensMiddleware

    app = FastAPI()
    app.add_api_route("/{who}", lambda who: who)
    config = LensConfig(db_path=sys.argv[1], app_name="app", flush_interval=3600)
    app = LensMiddleware(app, config=config)

    def ask(calls):
        client = TestClient(app)
        for _ in range(calls):
            assert client.get("/x").status_code == 200

    def fork(ends_by, calls):
        child = os.fork()
        if child == 0:
            ask(calls)
            ends_by(0)
        return child
"""


def workers_of(lens: Lens) -> Counter[bool]:
    """The rows of workers, by whether they have ended."""
    return Counter(bool(row.ended_at) for row in table_rows(lens.database, WORKER))


def test_children_forked_at_any_time_count_for_themselves(tmp_path: Path, outside: Lens) -> None:
    run_program(
        """
        children = [fork(sys.exit, 2), fork(sys.exit, 3)]   # before anything was counted
        ask(4)
        children += [fork(sys.exit, 5)]                     # while the thread runs
        ask(6)
        for child in children:
            assert os.waitpid(child, 0)[1] == 0
        """,
        tmp_path,
    )
    assert calls_in(outside) == {"/{who}": 20}
    assert workers_of(outside) == {True: 4}


def test_a_child_of_multiprocessing_writes_its_calls_before_it_ends(
    tmp_path: Path, outside: Lens
) -> None:
    run_program(
        """
        import multiprocessing

        ask(1)
        child = multiprocessing.get_context("fork").Process(target=ask, args=[2])
        child.start()
        child.join()
        assert child.exitcode == 0
        """,
        tmp_path,
    )
    assert calls_in(outside) == {"/{who}": 3}
    assert workers_of(outside) == {True: 2}
