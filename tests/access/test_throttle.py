from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from fastapi_lens.admin.throttle import Throttle
from fastapi_lens.errors import StorageError
from fastapi_lens.storage.database import Database
from fastapi_lens.storage.migrations import migrate
from fastapi_lens.storage.tables import THROTTLE
from tests.access.test_keys import ALICE, KEYS, ORIGIN, MakeClient, client_with, session
from tests.recording.probe import lens_of

__all__ = ["client_with"]

NOW = 1_775_243_992.0


def throttle(database: Database) -> Throttle:
    return Throttle(database, b"secret", untold, max_failures=5, window_seconds=300)


def untold(address: str, count: int, now_us: int) -> None:
    """Nobody is told."""


@pytest.fixture
def database(database_url: str) -> Any:
    found = Database(database_url)
    migrate(found)
    yield found
    found.close()


def guess(one: Throttle, address: str = "10.0.0.7", *, now: float = NOW) -> int | None:
    return one.attempt(address, lambda: None, now=now)


def test_each_wait_doubles_up_to_the_window_and_quiet_is_forgiven(database: Database) -> None:
    one = throttle(database)
    assert [guess(one) for _ in range(6)] == [None] * 5 + [4]
    now, waits = NOW, []
    for _ in range(9):
        now += guess(one, now=now) or 0
        assert guess(one, now=now) is None
        waits.append(guess(one, now=now))
    assert waits == [8, 16, 32, 64, 128, 256, 300, 300, 300]
    assert one.attempt("10.0.0.8", lambda: "alice", now=now) == "alice"
    assert one.attempt("10.0.0.7", lambda: "alice", now=now) == 300
    later = now + 300 + 301
    assert [guess(one, now=later) for _ in range(6)] == [None] * 5 + [4]
    guess(one, "10.0.0.9", now=later + 1_000)
    with database.read() as connection:
        rows = connection.execute(sa.select(THROTTLE)).all()
    assert len(rows) == 1
    assert "10.0.0" not in str(rows)


def test_a_network_of_ipv6_is_one_client(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'lens.db'}")
    migrate(database)
    one = throttle(database)
    waits = [guess(one, f"2001:db8::{number:x}") for number in range(1, 7)]
    assert waits == [None] * 5 + [4]
    assert guess(one, "2001:db8:0:1::1") is None
    mapped = [guess(one, f"::ffff:10.0.0.{number}") for number in range(1, 9)]
    assert mapped == [None] * 8  # IPv4 clients of a socket for both: each its own.
    database.close()


def test_a_thousand_guesses_against_four_workers_get_at_most_twenty_comparisons(
    tmp_path: Path,
) -> None:
    databases = [Database(f"sqlite:///{tmp_path / 'lens.db'}") for _ in range(4)]
    migrate(databases[0])
    workers = [throttle(database) for database in databases]
    compared: list[int] = []

    def attempt(number: int) -> None:
        # A hundred guesses a second.
        workers[number % 4].attempt(
            "10.0.0.7", lambda: compared.append(number), now=NOW + number / 100
        )

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(attempt, range(1_000)))
    assert 5 <= len(compared) <= 20
    for database in databases:
        database.close()


def test_while_the_database_is_down_each_worker_counts_in_bounded_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fastapi_lens.admin.throttle.MAX_CLIENTS", 20)
    down = Database(f"sqlite:///{tmp_path / 'lens.db'}")  # Has no tables.
    one = throttle(down)
    with pytest.raises(StorageError), down.write() as connection:
        connection.execute(sa.select(THROTTLE))
    assert [guess(one) for _ in range(6)] == [None] * 5 + [4]
    for number in range(25):
        guess(one, f"client-{number}")
    assert len(one._memory) == 20
    down.close()


def test_guesses_by_header_form_and_address_are_counted_together(client_with: MakeClient) -> None:
    client = client_with(report_keys=KEYS)
    client.get("/nothing")
    lens_of(client.app).clock = lambda: NOW
    mine = session(client, ALICE)
    empty = {"X-Lens-Key": ""}
    assert {client.get("/lens/report", headers=empty).status_code for _ in range(9)} == {403}
    for _ in range(2):
        assert client.get("/lens/report", headers={"X-Lens-Key": "no"}).status_code == 403
        login = client.post("/lens/login", data={"key": "no"}, headers=ORIGIN)
        assert login.status_code == 422
    assert client.get("/lens/?report_key=no").status_code == 303
    right = {"X-Lens-Key": ALICE}
    for answer in (
        client.get("/lens/report", headers=right),
        client.get("/lens/", headers=right),
        client.get(f"/lens/?report_key={ALICE}"),
        client.get("/lens/login", headers=right),
        client.post("/lens/login", data={"key": ALICE}, headers=ORIGIN),
    ):
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "4")
        assert "try again in 4 s" in answer.text
        assert "set-cookie" not in answer.headers
    assert client.get("/lens/report", headers=mine).status_code == 200
