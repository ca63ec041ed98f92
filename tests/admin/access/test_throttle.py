"""Login throttle: guessed keys are delayed across all workers, correct ones are not."""

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.support.clients import Client
from benchmarks.support.rows import table_rows
from benchmarks.support.servers import Server
from fastapi_lens.admin.access.networks import limited_networks
from fastapi_lens.admin.access.throttle import Throttle
from fastapi_lens.admin.http import thread_pools as threads_of_the_admin
from fastapi_lens.config.keys import HashedKey
from fastapi_lens.errors import StorageError
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.records import throttle as throttle_rows
from fastapi_lens.storage.schema.migrations import migrate
from fastapi_lens.storage.schema.tables import THROTTLE
from tests.admin.access.guarded import KEY
from tests.admin.access.test_keys import ALICE, KEYS, ORIGIN, MakeClient, client_with, session
from tests.recording.probe import lens_of

__all__ = ["client_with"]

NOW = 1_775_243_992.0
ROOT = Path(__file__).parents[3]


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
    written = ("10.0.1.7", "::ffff:10.0.1.7", "64:ff9b::a00:107", "10.0.1.7:4711", "10.0.1.7:4712")
    assert [guess(one, address) for address in written] == [None] * 5
    assert [guess(one, address) for address in written] == [4] * 5
    database.close()


@pytest.mark.parametrize(
    ("pattern", "free"), [("2001:db8:7:1{:02x}::1", 20), ("2001:db8:7:{:x}00::1", 80)]
)
def test_a_customer_and_a_site_of_ipv6_wait_as_a_whole(
    database: Database, pattern: str, free: int
) -> None:
    one = throttle(database)
    waits = [guess(one, pattern.format(number // 4)) for number in range(free + 40)]
    assert waits[:free] == [None] * free
    assert set(waits[free:]) == {4}
    # Whoever comes from another network of that size notices nothing.
    assert one.attempt("2001:db8:8::1", lambda: "alice", now=NOW) == "alice"
    assert one.attempt("10.0.0.7", lambda: "alice", now=NOW) == "alice"
    # Nor does it add to what is noted of them.
    assert guess(one, "2001:db8:8::1") is None
    assert len(table_rows(database, THROTTLE)) <= 2 * (free // 4) + 1 + 3


@pytest.fixture(scope="module")
def in_memory() -> Iterator[Database]:
    """A database for many examples."""
    found = Database("sqlite://")
    migrate(found)
    yield found
    found.close()


@settings(max_examples=20)
@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 2), st.integers(0, 400), st.integers(1, 12)),
        min_size=1,
        max_size=25,
    ),
    st.integers(1, 6),
    st.integers(60, 400),
)
def test_no_network_gets_more_comparisons_than_it_has_free_and_a_few_a_window(
    in_memory: Database, steps: list[tuple[int, int, int, int]], free: int, window: int
) -> None:
    with in_memory.write() as connection:
        connection.execute(THROTTLE.delete())
    one = Throttle(in_memory, b"secret", untold, max_failures=free, window_seconds=window)
    compared: list[tuple[float, str]] = []
    now = NOW
    for customer, network, seconds, times in steps:
        now += seconds
        address = f"2001:db8:7:{customer:x}{network:02x}::1"
        for _ in range(times):
            wait = one.attempt(address, partial(compared.append, (now, address)), now=now)
            assert wait is None or 1 <= wait <= window
    # From one moment on, within a window: those that are free, and one at the end of each wait.
    for nets, limit in ((0, free), (1, free * 4), (2, free * 16)):
        for start, address in compared:
            mine = [
                at
                for at, other in compared
                if start <= at < start + window
                and limited_networks(other)[nets] == limited_networks(address)[nets]
            ]
            assert len(mine) <= limit + 8
    rows = table_rows(in_memory, THROTTLE)
    assert all(row.blocked_until <= round((now + window) * 1e6) for row in rows)
    assert len(rows) <= 3 * len({address for _, address in compared})


async def guesses(port: int, *, total: int, connections: int) -> Counter[int]:
    """Number of answers per status, for wrong keys sent over several connections at once."""
    answers: Counter[int] = Counter()

    async def guess() -> None:
        client = await Client.connect(port)
        for number in range(total // connections):
            headers = {"X-Lens-Key": f"guess-{number}"}
            answer = await client.send("GET", "/lens/report", headers=headers)
            answers[answer.status if answer else 0] += 1
        await client.close()

    await asyncio.gather(*(guess() for _ in range(connections)))
    return answers


@pytest.mark.server
def test_a_thousand_guesses_against_four_workers_get_at_most_twenty_comparisons(
    run_server: Callable[..., Server], tmp_path: Path
) -> None:
    args = ["--app-dir", str(ROOT), "--workers", "4", "--log-level", "warning"]
    server = run_server("tests.admin.access.guarded:app", args=args)
    address = f"{server.url}/lens/report"
    answers = asyncio.run(guesses(server.port, total=1_000, connections=20))
    # One more, lest the wait has just ended.
    last = httpx.get(address, headers={"X-Lens-Key": "guess"})
    blocked = httpx.get(address, headers={"X-Lens-Key": KEY})
    answers[last.status_code] += 1
    assert answers.total() == 1_001
    assert set(answers) == {403, 429}
    assert 5 <= answers[403] <= 20
    assert blocked.status_code == 429
    assert 1 <= int(blocked.headers["retry-after"]) <= 300
    # Whoever comes from elsewhere notices nothing.
    elsewhere = httpx.HTTPTransport(local_address="127.0.0.2")
    with httpx.Client(transport=elsewhere) as client:
        assert client.get(address, headers={"X-Lens-Key": KEY}).status_code == 200
    database = Database(f"sqlite:///{tmp_path / 'lens.db'}")
    (row,) = table_rows(database, THROTTLE)
    database.close()
    assert row.failures == answers[403]


def test_the_table_keeps_so_many_clients_at_most(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(throttle_rows, "MAX_CLIENTS", 20)
    one = throttle(database)
    for number in range(30):
        guess(one, f"10.0.0.{number}", now=NOW + number)
    rows = table_rows(database, THROTTLE)
    assert 15 < len(rows) <= 20
    latest = max(rows, key=lambda row: row.last_at)
    assert latest.last_at == round((NOW + 29) * 1e6)
    assert min(row.last_at for row in rows) >= round((NOW + 10) * 1e6)


def test_guesses_at_hashed_keys_hold_up_nobody_who_is_signed_in(
    client_with: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_with(report_keys=KEYS)
    mine = session(client, ALICE)
    comparing = threading.Event()
    monkeypatch.setattr(HashedKey, "matches", lambda *_: comparing.wait(30) is None)
    monkeypatch.setattr(threads_of_the_admin, "MAX_WAITING", 3)

    async def ask(address: str, **headers: str) -> httpx.Response:
        transport = httpx.ASGITransport(client.app, client=(address, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as one:
            return await one.get("/lens/report", headers=headers)

    async def scenario() -> list[httpx.Response]:
        sent = [
            asyncio.create_task(ask(f"10.0.0.{number}", **{"X-Lens-Key": "guess"}))
            for number in range(6)
        ]
        # One is compared, three wait, and the others are told to come back.
        told: set[asyncio.Task[httpx.Response]] = set()
        while len(told) < 2:
            left = [one for one in sent if one not in told]
            told |= (await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED))[0]
        assert {answer.result().status_code for answer in told} == {429}
        assert (await ask("10.0.0.9", **mine)).status_code == 200
        comparing.set()
        return list(await asyncio.gather(*sent))

    answers = asyncio.run(scenario())
    assert sorted(answer.status_code for answer in answers) == [403] * 4 + [429] * 2
    busy = next(answer for answer in answers if answer.status_code == 429)
    assert busy.headers["retry-after"] == "2"
    assert "too many keys are being checked at once" in busy.text


def test_a_right_key_goes_before_the_second_guess_of_any_other_network(
    client_with: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_with(report_keys=KEYS, login_max_failures=1_000)
    began, comparing = threading.Event(), threading.Event()
    compared: list[bytes] = []

    def slowly(_: HashedKey, key: bytes) -> bool:
        compared.append(key)
        began.set()
        assert comparing.wait(30)
        return key == b"a-hashed-key"

    monkeypatch.setattr(HashedKey, "matches", slowly)
    monkeypatch.setattr(threads_of_the_admin, "MAX_WAITING", 40)

    async def ask(address: str, key: str) -> int:
        transport = httpx.ASGITransport(client.app, client=(address, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as one:
            answer = await one.get("/lens/report", headers={"X-Lens-Key": key})
        return answer.status_code

    async def scenario() -> tuple[list[int], list[int]]:
        first = asyncio.create_task(ask("2001:db8:7::1", "guess"))
        assert await asyncio.to_thread(began.wait, 30)
        # Of two sites of one provider, of neighbours of one address, and more than may wait.
        sent = [
            *(f"2001:db8:{number % 2}:{number:x}::1" for number in range(60)),
            *(f"198.51.100.{number}" for number in range(30)),
        ]
        guesses = [asyncio.create_task(ask(address, "guess")) for address in sent]
        await asyncio.wait(guesses, return_when=asyncio.FIRST_COMPLETED)
        right = [
            asyncio.create_task(ask(address, "a-hashed-key"))
            for address in ("192.0.2.7", "2001:dba::1", "198.51.101.7")
        ]
        await asyncio.sleep(0)
        comparing.set()
        return list(await asyncio.gather(*right)), list(await asyncio.gather(first, *guesses))

    right, guesses = asyncio.run(scenario())
    assert right == [200, 200, 200]
    assert compared.index(b"a-hashed-key") <= 4
    assert set(guesses) == {403, 429}
    assert guesses.count(403) <= 41


def test_while_the_database_is_down_each_worker_counts_in_bounded_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fastapi_lens.admin.access.throttle.MAX_CLIENTS", 20)
    down = Database(f"sqlite:///{tmp_path / 'lens.db'}")  # Has no tables.
    one = throttle(down)
    with pytest.raises(StorageError), down.write() as connection:
        connection.execute(sa.select(THROTTLE))
    assert [guess(one) for _ in range(6)] == [None] * 5 + [4]
    for number in range(19):
        guess(one, f"client-{number}")
    assert guess(one) == 4
    # One more than is kept: the first of them is forgotten.
    guess(one, "client-19")
    assert guess(one) is None
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


def test_a_key_that_was_heard_a_moment_ago_is_heard_through_the_guesses_of_others(
    client_with: MakeClient,
) -> None:
    client = client_with(report_keys=KEYS)
    right = {"X-Lens-Key": ALICE}
    assert client.get("/lens/report", headers=right).status_code == 200
    lens, now = lens_of(client.app), [NOW]
    lens.clock = lambda: now[0]
    assert client.get("/lens/report", headers=right).status_code == 200
    for _ in range(6):
        client.get("/lens/report", headers={"X-Lens-Key": "no"})
    now[0] = NOW + 9.9
    assert client.get("/lens/report", headers=right).status_code == 200
    for _ in range(3):
        client.get("/lens/report", headers={"X-Lens-Key": "no"})
    now[0] = NOW + 10.1
    assert client.get("/lens/report", headers=right).status_code == 429
