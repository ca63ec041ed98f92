"""The ledger of callers has each call that is counted, however the workers end."""

import asyncio
import signal
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import sqlalchemy as sa

from benchmarks.support.clients import Pool
from benchmarks.support.servers import Server
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.tables import ENDPOINT, STATUS, USE
from fastapi_lens.storage.writing.drain import drain_all
from fastapi_lens.verdict.history import REFUSED
from tests.support.callers import calls_by_caller

PATHS = ("/fast", "/sync", "/refused", "/crash", "/stream")
CALLERS: tuple[Mapping[str, str], ...] = (
    {"X-Name": "billing-service"},
    {"X-Name": "warehouse"},
    *({"X-Api-Key": f"key-{number}"} for number in range(30)),
    {"User-Agent": "kube-probe/1.33"},
    {"User-Agent": "curl/8.5.0"},
    {},
)
ROUNDS = 8
AT_ONCE = 12


async def send(port: int, *, ended: asyncio.Event) -> Counter[str]:
    """Let each caller call each path in turn; returns the complete answers by path."""
    answers = Counter[str]()

    async def one(pool: Pool, path: str, headers: Mapping[str, str]) -> None:
        if ended.is_set():
            return
        try:
            answer = await pool.send("GET", path, headers=headers)
        # The server is gone.
        except OSError:
            return
        answers[path] += answer is not None

    # A connection each, as the server closes that of a request that has crashed.
    async with Pool(port, at_once=AT_ONCE, keeps=False) as pool:
        for _ in range(ROUNDS):
            calls = [one(pool, path, headers) for headers in CALLERS for path in PATHS]
            await asyncio.gather(*calls)
    return answers


@pytest.fixture
def server(run_server: Callable[..., Server], tmp_path: Path) -> Server:
    return run_server(
        "tests.end_to_end.named:app",
        env={
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "LENS_DB_PATH": str(tmp_path / "lens.db"),
            "LENS_FLUSH_INTERVAL": "0.1",
        },
        args=["--workers", "2", "--log-level", "critical"],
    )


def test_after_a_stop_each_answer_has_its_caller(server: Server, tmp_path: Path) -> None:
    answers = asyncio.run(send(server.port, ended=asyncio.Event()))
    server.stop(how=signal.SIGTERM)

    database = Database(f"sqlite:///{tmp_path / 'lens.db'}")
    found = calls_by_caller(database)
    assert_ledger_equals_counts(database)
    each = {path: sum(found["GET", path].values()) for path in PATHS}
    assert each == answers == dict.fromkeys(PATHS, ROUNDS * len(CALLERS))
    for path in PATHS:
        callers = found["GET", path]
        assert callers["hook", "billing-service"] == callers["hook", "warehouse"] == ROUNDS
        assert callers["agent", "kube-probe"] == ROUNDS
        assert callers["none", ""] == 2 * ROUNDS
        assert sorted(calls for (kind, _), calls in callers.items() if kind == "key") == (
            [ROUNDS] * 30
        )
    database.close()


def test_after_a_kill_the_ledger_has_exactly_the_calls_that_are_counted(
    server: Server, tmp_path: Path
) -> None:
    database = Database(f"sqlite:///{tmp_path / 'lens.db'}")

    async def send_and_kill() -> Counter[str]:
        ended = asyncio.Event()
        sending = asyncio.create_task(send(server.port, ended=ended))
        # However slow the machine is: the test is about calls that were written.
        for _ in range(300):
            await asyncio.sleep(0.2)
            if calls_by_caller(database):
                break
        ended.set()
        # All of its processes, while requests are on their way.
        server.stop(how=signal.SIGKILL)
        return await sending

    answers = asyncio.run(send_and_kill())

    assert answers.total() > 0
    # Some calls were written, and each of those has its caller.
    assert calls_by_caller(database)
    assert_ledger_equals_counts(database)
    database.close()


def assert_ledger_equals_counts(database: Database) -> None:
    """Compare both per endpoint: all calls, those that were refused, and those that failed."""
    drain_all(database)
    by_status = sa.select(STATUS.c.endpoint_id, STATUS.c.status, STATUS.c.calls)
    sums = {name: sa.func.sum(USE.c[name]) for name in ("calls", "refused", "errors_5xx")}
    in_ledger = sa.select(USE.c.endpoint_id, *sums.values()).group_by(USE.c.endpoint_id)
    called = sa.select(ENDPOINT.c.id, ENDPOINT.c.total_calls).where(ENDPOINT.c.total_calls > 0)
    ends = sa.select(ENDPOINT.c.path).where(
        ENDPOINT.c.total_calls > 0,
        (ENDPOINT.c.attributed_until != ENDPOINT.c.last_called_at)
        | (ENDPOINT.c.unattributed_at != 0),
    )
    with database.read() as connection:
        totals = dict(map(tuple, connection.execute(called)))
        statuses = list(connection.execute(by_status))
        ledger = {key: tuple(map(int, row)) for key, *row in connection.execute(in_ledger)}
        unattributed = list(connection.execute(ends).scalars())
    refused, failed = Counter[int](), Counter[int]()
    for endpoint, status, calls in statuses:
        refused[endpoint] += calls * (status in REFUSED)
        failed[endpoint] += calls * (status >= 500)
    assert ledger == {key: (calls, refused[key], failed[key]) for key, calls in totals.items()}
    assert unattributed == []
