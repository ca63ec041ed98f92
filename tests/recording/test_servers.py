import asyncio
import itertools
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.support.clients import Client
from benchmarks.support.rows import table_rows
from benchmarks.support.servers import Server, Start, granian, gunicorn, hypercorn, uvicorn
from benchmarks.support.waiting import wait_until
from fastapi_lens import LensConfig
from fastapi_lens.runtime.lens import Lens
from fastapi_lens.storage.schema.tables import WORKER
from tests.recording import served
from tests.recording.probe import calls_in

APP_NAME = "served"
QUICK, VISITORS, HELD = 300, 8, 8
PAUSE_SECONDS = 0.01
"""Between two requests of a client that has asked for enough: leaves the processor to others."""

FLUSH_SECONDS = 1.0
ANSWER_SECONDS = 0.5
"""Time that may pass on a busy machine between an answer's last byte and its count."""


def settings(database: Path, *, flush_interval: float = 3600) -> dict[str, str]:
    return {
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "LENS_APP_NAME": APP_NAME,
        "LENS_DB_PATH": str(database),
        "LENS_FLUSH_INTERVAL": str(flush_interval),
    }


@contextmanager
def looking_into(database: Path) -> Generator[Lens]:
    """A lens of the test's own that counts nothing."""
    lens = Lens(LensConfig(db_path=str(database), app_name=APP_NAME))
    lens.prepare()
    yield lens
    lens.stop()


def workers_alive(lens: Lens) -> int:
    return lens.reader.health(lens.clock()).workers


class Load:
    """Clients of one server, and the answers that they got.

    Attributes:
        answered: Complete answers by path template.
        sent: Requests, with or without an answer.
    """

    def __init__(self, server: Server) -> None:
        self.answered: Counter[str] = Counter()
        self.sent: Counter[str] = Counter()
        self._server = server
        self._numbers = itertools.count()
        self._pause = 0.0

    async def until_stopped(self, folder: Path) -> None:
        """Ask for quick answers and for some that are held; end the server while all of it runs.

        Args:
            folder: Where the server runs.
        """
        visitors = [asyncio.create_task(self.visit()) for _ in range(VISITORS)]
        held = [asyncio.create_task(self.ask_for_held(number)) for number in range(HELD)]
        begun = [folder / served.BEGUN.format(number) for number in range(HELD)]
        await until(
            lambda: self.answered.total() >= QUICK and all(file.exists() for file in begun),
            what="answering the quick and holding the others",
        )
        self._pause = PAUSE_SECONDS
        self._server.process.terminate()
        # The workers are ending when they have closed the connections of these.
        await asyncio.gather(*visitors)
        (folder / served.RELEASE).touch()
        await asyncio.gather(*held)

    async def visit(self) -> None:
        """Ask for one path after the other until the server closes the connection."""
        client = await Client.connect(self._server.port)
        for number in self._numbers:
            if await self.get(client, "/fast" if number % 2 else "/sync", number) is None:
                break
            await asyncio.sleep(self._pause)
        await client.close()

    async def ask_for_held(self, number: int) -> None:
        client = await Client.connect(self._server.port)
        assert await self.get(client, "/held" if number % 2 else "/held-sync", number) is not None
        await client.close()

    async def get(self, client: Client, path: str, number: int) -> bytes | None:
        template = path + "/{number}"
        self.sent[template] += 1
        answer = await client.get(f"{path}/{number}")
        self.answered[template] += answer is not None
        return answer


async def until(look: Callable[[], object], *, what: str) -> None:
    await asyncio.to_thread(wait_until, look, what=what)


@pytest.mark.unmeasured
@pytest.mark.parametrize(
    ("by", "workers", "args", "target"),
    [
        pytest.param(uvicorn, 1, ["--log-level", "warning"], "app", id="uvicorn"),
        pytest.param(uvicorn, 4, ["--log-level", "warning"], "app", id="uvicorn-4"),
        pytest.param(gunicorn, 2, [], "app", id="gunicorn"),
        # Loaded before the fork, and its lens made there.
        pytest.param(gunicorn, 2, ["--preload"], "wrapped", id="gunicorn-preload"),
        pytest.param(granian, 2, [], "app", id="granian"),
        # When one of several workers has ended, hypercorn ends the others whatever they serve.
        pytest.param(hypercorn, 1, [], "app", id="hypercorn"),
    ],
)
def test_sigterm_under_load_loses_no_call(
    run_server: Callable[..., Server],
    tmp_path: Path,
    by: Start,
    workers: int,
    args: list[str],
    target: str,
) -> None:
    database = tmp_path / "lens.db"
    with looking_into(database) as lens:
        server = run_server(
            f"tests.recording.served:{target}",
            by=by,
            env=settings(database),
            args=["--workers", str(workers), *args],
        )
        wait_until(lambda: workers_alive(lens) == workers, what=f"starting {workers} workers")
        load = Load(server)
        asyncio.run(load.until_stopped(tmp_path))
        server.stop()
        calls = calls_in(lens)
        if by is hypercorn:
            # At SIGTERM it closes idle connections, also one that a request has just come in by:
            # such a request is served and counted, and its answer is lost.
            assert load.answered <= Counter(calls) <= load.sent
        else:
            assert calls == load.answered
        assert load.answered.total() >= QUICK + HELD
        assert workers_alive(lens) == 0


def test_an_application_without_a_lifespan_is_written_while_it_runs(
    run_server: Callable[..., Server], tmp_path: Path
) -> None:
    database = tmp_path / "lens.db"
    server = run_server("tests.recording.served:outer", env=settings(database))

    async def ask() -> None:
        client = await Client.connect(server.port)
        for number in range(20):
            assert await client.get(f"/mounted/fast/{number}") is not None
        await client.close()

    asyncio.run(ask())
    with looking_into(database) as lens:
        wait_until(lambda: calls_in(lens) == {"/fast/{number}": 20}, what="writing 20 calls")


RELOADED = "from tests.recording.served import app  # {}"


def test_a_reload_under_load_loses_no_call(
    run_server: Callable[..., Server], tmp_path: Path
) -> None:
    database, module = tmp_path / "lens.db", tmp_path / "reloaded.py"
    module.write_text(RELOADED.format("old"))
    with looking_into(database) as lens:
        server = run_server("reloaded:app", env=settings(database), args=["--reload"])
        wait_until(lambda: workers_alive(lens) == 1, what="starting a worker")
        load = Load(server)

        async def reload() -> None:
            visitor = asyncio.create_task(load.visit())
            await until(lambda: load.answered.total() > 20, what="answering")
            module.write_text(RELOADED.format("new"))
            await visitor  # The old worker has closed the connection.
            client = await Client.connect(server.port)
            for number in range(20):
                await load.get(client, "/fast", number)
            await client.close()

        asyncio.run(reload())
        server.stop()
        assert calls_in(lens) == load.answered
        assert load.answered.total() > 40
        assert [bool(row.ended_at) for row in table_rows(lens.database, WORKER)] == [True, True]


async def client_of_each_worker(port: int, workers: int) -> dict[int, Client]:
    """A connection to each worker, by its process id."""
    found: dict[int, Client] = {}
    for _ in range(200):
        client = await Client.connect(port)
        pid = int(await client.get("/worker") or b"0")
        if pid in found:
            await client.close()
        found.setdefault(pid, client)
        if len(found) == workers:
            return found
    raise AssertionError(f"only {list(found)} answered")


async def kill_one_of_two(load: Load, lens: Lens, port: int) -> tuple[int, list[float]]:
    """Ask two workers, one for ``/fast`` and one for ``/sync``, and kill the first with SIGKILL.

    Returns:
        Its process id, and when each of its answers came (epoch seconds).
    """
    (victim, asks_victim), (_, asks_other) = (await client_of_each_worker(port, 2)).items()
    answered_at: list[float] = []
    dead = asyncio.Event()

    async def visit_victim() -> None:
        while await load.get(asks_victim, "/fast", 1) is not None:
            answered_at.append(time.time())
            await asyncio.sleep(PAUSE_SECONDS)
        dead.set()
        await asks_victim.close()

    async def visit_other() -> None:
        while not dead.is_set():
            assert await load.get(asks_other, "/sync", 1) is not None
            await asyncio.sleep(PAUSE_SECONDS)
        await asks_other.close()

    tasks = [asyncio.create_task(visit()) for visit in (visit_victim, visit_other)]
    await until(lambda: calls_in(lens).get("/fast/{number}", 0) > 20, what="writing 20 calls")
    os.kill(victim, signal.SIGKILL)
    await asyncio.gather(*tasks)
    return victim, answered_at


def test_a_killed_worker_loses_only_what_it_has_not_written_and_the_others_nothing(
    run_server: Callable[..., Server], tmp_path: Path
) -> None:
    database = tmp_path / "lens.db"
    with looking_into(database) as lens:
        server = run_server(
            "tests.recording.served:app",
            env=settings(database, flush_interval=FLUSH_SECONDS),
            args=["--workers", "2", "--log-level", "warning"],
        )
        wait_until(lambda: workers_alive(lens) == 2, what="starting 2 workers")
        load = Load(server)
        victim, answered_at = asyncio.run(kill_one_of_two(load, lens, server.port))
        server.stop()
        complete = {row.pid: row.complete_to / 1e6 for row in table_rows(lens.database, WORKER)}
        written = sum(at < complete[victim] - ANSWER_SECONDS for at in answered_at)
        calls = calls_in(lens)
        assert 0 < written <= calls["/fast/{number}"] <= load.sent["/fast/{number}"]
        assert calls["/sync/{number}"] == load.answered["/sync/{number}"] > 0
