"""A worker that gets no chance to say goodbye."""

import signal
from collections.abc import Callable
from pathlib import Path

import httpx2

from benchmarks.support.servers import Server
from benchmarks.support.waiting import wait_until
from fastapi_lens import LensConfig
from fastapi_lens.reporting.model import Worker, WorkerState
from fastapi_lens.runtime.lens import Lens


def workers_in(database: Path) -> list[Worker]:
    lens = Lens(LensConfig(db_path=str(database), app_name="FastAPI"))
    lens.prepare()
    found = lens.reader.workers(lens.clock())
    lens.stop()
    return found


def test_the_next_start_says_that_a_worker_was_killed(
    run_server: Callable[..., Server], tmp_path: Path
) -> None:
    database = tmp_path / "lens.db"
    env = {
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "LENS_DB_PATH": str(database),
        "LENS_FLUSH_INTERVAL": "0.1",
    }
    first = run_server("tests.recording.served:app", env=env)
    httpx2.get(f"{first.url}/fast/1")
    wait_until(lambda: bool(workers_in(database)), what="the worker's row")
    first.stop(how=signal.SIGKILL)

    second = run_server("tests.recording.served:app", env=env)
    httpx2.get(f"{second.url}/fast/1")
    wait_until(lambda: len(workers_in(database)) == 2, what="the next worker's row")
    told = [(one.pid, one.state) for one in workers_in(database)]
    assert told == [
        (second.process.pid, WorkerState.RUNNING),
        (first.process.pid, WorkerState.KILLED),
    ]
    assert f"worker {first.process.pid} of FastAPI was killed" in second.log
