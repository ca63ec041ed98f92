import asyncio
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from fastapi_lens import LensConfig
from fastapi_lens.reporting.model import Window
from fastapi_lens.runtime import Lens
from tests.support.servers import Server
from tests.support.waiting import wait_until

QUICK, IN_FLIGHT = 300, 8


def settings(database: Path) -> dict[str, str]:
    return {
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "LENS_DB_PATH": str(database),
        "LENS_FLUSH_INTERVAL": "3600",
    }


async def load(server: Server) -> None:
    """Send quick requests, then some slow ones, and ask the server to end while those run."""
    async with httpx2.AsyncClient(base_url=server.url, timeout=20) as client:
        for start in range(0, QUICK, 20):
            answers = await asyncio.gather(
                *(
                    client.get(f"/{'fast' if number % 2 else 'sync'}/{number}")
                    for number in range(start, start + 20)
                )
            )
            assert {answer.status_code for answer in answers} == {200}
        slow = [asyncio.create_task(client.get(f"/slow/{number}")) for number in range(IN_FLIGHT)]
        await asyncio.sleep(0.25)
        server.process.terminate()
        assert {(await task).status_code for task in slow} == {200}


def calls_in(database: Path, *, workers_alive: int = 1) -> dict[str, int]:
    lens = Lens(LensConfig(db_path=str(database), app_name="FastAPI"))
    found = lens.reader.endpoints(window=Window(), now=lens.clock())
    assert lens.reader.health(lens.clock()).workers == workers_alive
    lens.stop()
    return {one.path: one.usage.calls for one in found if one.usage.calls}


@pytest.mark.parametrize("workers", [1, 3])
def test_sigterm_under_load_loses_no_call(
    run_server: Callable[..., Server], tmp_path: Path, workers: int
) -> None:
    server = run_server(
        "tests.recording.served:app",
        env=settings(tmp_path / "lens.db"),
        args=["--workers", str(workers), "--log-level", "warning"],
    )
    asyncio.run(load(server))
    server.stop()
    assert calls_in(tmp_path / "lens.db", workers_alive=0) == {
        "/fast/{number}": QUICK // 2,
        "/sync/{number}": QUICK // 2,
        "/slow/{number}": IN_FLIGHT,
    }


def test_an_application_without_a_lifespan_is_written_while_it_runs(
    run_server: Callable[..., Server], tmp_path: Path
) -> None:
    database = tmp_path / "lens.db"
    server = run_server(
        "tests.recording.served:outer",
        env=settings(database),
    )
    for number in range(20):
        assert httpx2.get(f"{server.url}/mounted/fast/{number}").status_code == 200
    wait_until(lambda: calls_in(database) == {"/fast/{number}": 20}, what="writing 20 calls")
