"""Callers of real requests, from the request to the batch that is written."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

import pytest
from fastapi import FastAPI, HTTPException, WebSocket
from starlette.requests import Request

from benchmarks.support.rows import table_rows
from fastapi_lens.recording import callers
from fastapi_lens.runtime.lens import Lens
from fastapi_lens.storage.records.audit import AuditEntry
from fastapi_lens.storage.records.caller_key import caller_key
from fastapi_lens.storage.records.settings import Stored, write_section
from fastapi_lens.storage.schema.identities import caller_id, endpoint_id
from fastapi_lens.storage.schema.models import CallerKind
from fastapi_lens.storage.schema.tables import CALLER, ENDPOINT, REQUEST, USE
from fastapi_lens.storage.writing.drain import drain_all
from tests.recording.probe import REQUEST_BODY, Probe, call, http_scope
from tests.recording.written import Written

MakeProbe = Callable[..., Probe]
PLAIN = {"user-agent": ""}
"""Headers of a client that does not name itself."""

KEY = "sk-live-4711"


def shop() -> FastAPI:
    """An application with an endpoint of each kind."""
    app = FastAPI(title="shop")

    @app.get("/orders")
    def orders(request: Request) -> list[int]:
        request.state.customer = "billing"
        return []

    @app.get("/refused")
    def refused() -> None:
        raise HTTPException(401)

    @app.get("/broken")
    def broken() -> None:
        raise ZeroDivisionError

    @app.websocket("/talk")
    async def talk(socket: WebSocket) -> None:
        await socket.accept()
        await socket.receive_text()
        await socket.close()

    inner = FastAPI()

    @inner.get("/items")
    def items() -> list[int]:
        return []

    app.mount("/inner", inner)
    return app


def header(name: str) -> Callable[[Any], str | None]:
    """A hook that takes the name from a header."""
    wanted = name.encode()

    def consumer(scope: Any) -> str | None:
        value = dict(scope["headers"]).get(wanted)
        return None if value is None else value.decode()

    return consumer


def apply(lens: Lens, **stored: Any) -> None:
    """Change the settings of the callers as an admin does."""
    lens.prepare()
    known = lens.settings.versions.get("callers", 0)
    texts = {"target": "callers", "before": "", "after": ""}
    entry = AuditEntry(at_us=1, actor="alice", client="", action="save", **texts)
    assert write_section(lens.database, lens.app_name, "callers", Stored(stored, known), entry)
    lens.refresh_settings()


def get(probe: Probe, path: str = "/orders", **headers: str) -> None:
    named = {name.replace("_", "-"): value for name, value in {**PLAIN, **headers}.items()}
    probe.client.get(path, headers={**PLAIN, **named})


def flushed(probe: Probe) -> None:
    assert probe.lens.flusher.flush()


def test_no_caller_is_recorded_by_default(probe: MakeProbe, written: Written) -> None:
    made = probe(shop())
    get(made, x_api_key=KEY)
    flushed(made)
    assert written.calls == {}
    assert written.attributed == [False]


def test_the_hook_names_the_caller_after_the_response(probe: MakeProbe, written: Written) -> None:
    asked: list[tuple[str, str]] = []

    def consumer(scope: Any) -> str:
        asked.append((scope["path"], scope["route"].path))
        return str(scope["state"]["customer"])

    made = probe(shop(), consumer=consumer)
    for _ in range(3):
        get(made)
    flushed(made)
    assert written.calls == {"hook billing": 3}
    assert written.attributed == [True]
    # Once for each call, also for the first one, which no cache knows.
    assert asked == [("/orders", "/orders")] * 3


def test_a_key_is_kept_as_a_keyed_hash_alone(
    probe: MakeProbe, written: Written, caplog: pytest.LogCaptureFixture
) -> None:
    made = probe(shop(), callers="key", caller_header="X-Api-Key")
    get(made, x_api_key=KEY)
    get(made, x_api_key=KEY)
    get(made, x_api_key=KEY + "2")
    flushed(made)
    ids = {one.name: one.id for batch in written.batches for one in batch.names}
    assert sorted(written.calls.values()) == [1, 2]
    assert all(len(name) == 16 and set(name) <= set("0123456789abcdef") for name in ids)
    assert ids == {name: caller_id("shop", CallerKind.KEY, name) for name in ids}
    assert KEY not in repr(written.batches)
    assert KEY not in caplog.text


def test_a_key_has_the_same_hash_in_every_worker_and_another_one_in_every_app(
    probe: MakeProbe, written: Written, tmp_path: Any
) -> None:
    place = str(tmp_path / "lens.db")
    for name in ("a", "a", "b"):
        made = probe(shop(), callers="key", db_path=place, app_name=name)
        get(made, x_api_key=KEY)
        flushed(made)
    first, second, other = [batch.names[0] for batch in written.batches if batch.names]
    assert first == second
    assert first.name != other.name


def test_a_key_that_is_too_long_is_one_caller(probe: MakeProbe, written: Written) -> None:
    made = probe(shop(), callers="key")
    for key in ("k" * 5_000, "k" * 5_000, "k" * 5_001):
        get(made, x_api_key=key)
    flushed(made)
    assert sorted(written.calls.values()) == [1, 2]
    get(made, x_api_key="k" * 5_000)
    (delta,) = made.lens.recorder.drain()
    # Short in memory, too.
    assert [len(one) for one in delta.callers if isinstance(one, bytes)] == [64]


def test_the_hook_wins_over_the_header_and_the_header_over_the_user_agent(
    probe: MakeProbe, written: Written
) -> None:
    made = probe(shop(), callers="agent", consumer=header("x-customer"))
    get(made, x_customer="billing", x_api_key=KEY, user_agent="orders-worker/1.0")
    get(made, x_api_key=KEY, user_agent="orders-worker/1.0")
    get(made, user_agent="orders-worker/1.0")
    get(made, x_customer="", x_api_key="", user_agent="curl/8.0")
    get(made)
    flushed(made)
    (key,) = [name for name in written.calls if name.startswith("key ")]
    assert written.calls == {
        "hook billing": 1,
        key: 1,
        "agent orders-worker": 1,
        "agent curl": 1,
        "none": 1,
    }


@pytest.mark.parametrize(
    ("settings", "calls"),
    [
        ({"callers": "key"}, {"agent kube-probe": 1, "agent testclient": 1, "none": 2}),
        (
            {"consumer": lambda _scope: None},
            {"agent kube-probe": 1, "agent testclient": 1, "none": 2},
        ),
        ({"callers": "key", "noise": ["CURL"]}, {"agent curl": 1, "none": 3}),
    ],
)
def test_without_user_agents_noise_is_named_nevertheless(
    probe: MakeProbe, written: Written, settings: Mapping[str, Any], calls: Mapping[str, int]
) -> None:
    made = probe(shop(), **settings)
    for agent in ("kube-probe/1.29", "testclient", "curl/8.0", ""):
        get(made, user_agent=agent)
    flushed(made)
    assert written.calls == calls


def test_an_explicit_off_wins_over_the_hook(probe: MakeProbe, written: Written) -> None:
    made = probe(shop(), callers="off", consumer=lambda _scope: "never asked")
    get(made)
    flushed(made)
    assert written.attributed == [False]
    assert written.calls == {}


def test_long_and_many_user_agents_take_bounded_memory(
    probe: MakeProbe, written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callers, "MAX_PAIRS", 2)
    made = probe(shop(), callers="agent")
    for agent in ("a/1", "b/1", "a/1", "c/1", "c/1" + "x" * 5_000, "d/1"):
        get(made, user_agent=agent)
        flushed(made)
    assert written.calls == {"agent a": 2, "agent b": 1, "agent c": 2, "agent d": 1}


class Plan(StrEnum):
    """Names that a host may use."""

    FREE = "free"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (Plan.FREE, "hook free"),
        ("n" * 5_000, "hook " + "n" * 200),
        ("a\nb\x00c\ud800", "hook a b c"),
        ("  spaced ", "hook spaced"),
        (" \t", "none"),
        ("Ключ 鍵", "hook Ключ 鍵"),
    ],
)
def test_a_name_is_cut_and_made_printable(
    probe: MakeProbe, written: Written, name: str, shown: str
) -> None:
    made = probe(shop(), consumer=lambda _scope: name)
    get(made)
    flushed(made)
    assert written.calls == {shown: 1}


class Odd(str):
    """A name that compares and hashes as it likes."""

    __slots__ = ()

    def __hash__(self) -> int:
        raise TypeError

    def __eq__(self, other: object) -> bool:
        raise TypeError


def test_a_name_of_an_odd_type_is_taken_as_plain_text(probe: MakeProbe, written: Written) -> None:
    made = probe(shop(), consumer=lambda _scope: Odd("odd"))
    for _ in range(100):
        get(made)
    flushed(made)
    assert written.calls == {"hook odd": 100}


def raises_the_key(_scope: Any) -> str:
    customers: dict[str, str] = {}
    return customers[KEY]


@pytest.mark.parametrize(
    ("consumer", "error"),
    [(raises_the_key, "KeyError"), (lambda _scope: 5, "TypeError"), (lambda _s: [], "TypeError")],
)
def test_a_hook_that_fails_costs_the_call_nothing_but_its_caller(
    probe: MakeProbe,
    written: Written,
    caplog: pytest.LogCaptureFixture,
    consumer: Callable[[Any], Any],
    error: str,
) -> None:
    made = probe(shop(), consumer=consumer)
    for _ in range(3):
        assert made.client.get("/orders", headers=PLAIN).status_code == 200
    flushed(made)
    assert written.calls == {"none": 3}
    assert written.attributed == [True]
    logged = [one.getMessage() for one in caplog.records if "consumer=" in one.getMessage()]
    # Once, with the place and the fix, and without the message, which may be a key.
    assert len(logged) == 1
    assert error in logged[0]
    assert "has to return text or None for every scope" in logged[0]
    assert KEY not in caplog.text


@pytest.mark.parametrize("ending", [KeyboardInterrupt, SystemExit, asyncio.CancelledError])
def test_a_hook_that_ends_the_process_leaves_its_call_counted(
    probe: MakeProbe, written: Written, ending: type[BaseException]
) -> None:
    ends: list[bool] = [False]

    def consumer(_scope: Any) -> str:
        if ends[0]:
            raise ending
        return "billing"

    made = probe(shop(), consumer=consumer)
    get(made)
    ends[0] = True
    # The cache knows the first path, not the second.
    for path in ("/orders", "/refused"):
        with pytest.raises(ending):
            asyncio.run(call(made.app, http_scope(path), [REQUEST_BODY]))
    assert made.counts() == {("GET", "/orders"): {200: 2}, ("GET", "/refused"): {401: 1}}
    assert written.calls == {"hook billing": 1, "none": 2}
    assert written.attributed == [True]


def test_refused_and_failed_calls_are_counted_apart(probe: MakeProbe, written: Written) -> None:
    made = probe(shop(), consumer=header("x-customer"))
    for path in ("/orders", "/refused", "/broken", "/broken"):
        get(made, path, x_customer="billing")
    flushed(made)
    refused, errors = Counter[int](), Counter[int]()
    for one in written.rows:
        refused[one.endpoint_id] += one.refused
        errors[one.endpoint_id] += one.errors_5xx
        # Nobody who is refused uses anything.
        assert (one.first_at_us > 0, one.last_at_us > 0) == (not one.refused, not one.refused)
    orders, rejected, broken = (
        endpoint_id("shop", "GET", path) for path in ("/orders", "/refused", "/broken")
    )
    assert written.calls == {"hook billing": 4}
    assert (refused[orders], refused[rejected], refused[broken]) == (0, 1, 0)
    assert (errors[orders], errors[rejected], errors[broken]) == (0, 0, 2)


def test_a_websocket_and_a_mounted_application_have_callers(
    probe: MakeProbe, written: Written
) -> None:
    made = probe(shop(), consumer=header("x-customer"))
    with made.client.websocket_connect("/talk", headers={"x-customer": "talker"}) as socket:
        socket.send_text("x")
    get(made, "/inner/items", x_customer="inner")
    flushed(made)
    assert written.calls == {"hook talker": 1, "hook inner": 1}
    assert {one.endpoint_id for one in written.rows} == {
        endpoint_id("shop", "WEBSOCKET", "/talk"),
        endpoint_id("shop", "GET", "/inner/items"),
    }
    assert written.attributed == [True]


def test_applications_have_hooks_of_their_own(probe: MakeProbe, written: Written) -> None:
    first = probe(shop(), consumer=lambda _scope: "first", app_name="first")
    second = probe(shop(), consumer=lambda _scope: "second", app_name="second")
    get(first)
    get(second)
    get(second)
    flushed(first)
    flushed(second)
    assert written.calls == {"hook first": 1, "hook second": 2}


def test_a_forked_child_records_its_own_callers(probe: MakeProbe, written: Written) -> None:
    made = probe(shop(), consumer=lambda _scope: "billing")
    get(made)
    flushed(made)
    written.batches.clear()
    # As after a fork: what the parent has counted is the parent's.
    made.lens.restart_in_child()
    get(made)
    get(made)
    flushed(made)
    assert written.calls == {"hook billing": 2}
    assert written.attributed == [True]


def test_calls_from_before_the_settings_changed_are_not_attributed(
    probe: MakeProbe, written: Written
) -> None:
    made = probe(shop(), consumer=lambda _scope: "billing", callers="off")
    get(made)
    apply(made.lens, callers="hook")
    get(made)
    flushed(made)
    get(made)
    flushed(made)
    apply(made.lens, callers="off")
    get(made)
    flushed(made)
    assert written.calls == {"hook billing": 2}
    assert written.attributed == [False, True, False]


def test_noise_may_change_while_the_application_runs(probe: MakeProbe, written: Written) -> None:
    made = probe(shop(), callers="key")
    get(made, user_agent="curl/8.0")
    flushed(made)
    apply(made.lens, noise=["curl"])
    get(made, user_agent="curl/8.0")
    flushed(made)
    assert written.calls == {"none": 1, "agent curl": 1}


def test_after_all_callers_are_forgotten_keys_have_other_hashes(
    probe: MakeProbe, written: Written
) -> None:
    made = probe(shop(), callers="key")
    get(made, x_api_key=KEY)
    flushed(made)
    with made.lens.database.write() as connection:
        connection.exec_driver_sql("DELETE FROM lens_meta WHERE name LIKE 'caller_key:%'")
    apply(made.lens, callers="key")
    get(made, x_api_key=KEY)
    flushed(made)
    first, second = [batch.names[0].name for batch in written.batches if batch.names]
    assert first != second
    assert len(caller_key(made.lens.database, "shop")) == 32


def test_a_logged_request_names_its_caller(probe: MakeProbe, written: Written) -> None:
    asked: list[str] = []

    def consumer(scope: Any) -> str | None:
        asked.append(scope["path"])
        return header("x-customer")(scope)

    made = probe(shop(), callers="key", consumer=consumer, log_sample_rate=1, log_slowest=0)
    get(made, x_customer="billing")
    get(made, x_customer="billing")
    get(made, "/broken", x_api_key=KEY)
    get(made, "/broken")
    flushed(made)
    ids = {one.kind: one.id for batch in written.batches for one in batch.names}
    logged = [row.caller_id for row in table_rows(made.lens.database, REQUEST)]
    assert sorted(logged) == sorted(
        [ids[CallerKind.HOOK]] * 2 + [ids[CallerKind.KEY], ids[CallerKind.NONE]]
    )
    assert len(asked) == 4


def test_without_callers_a_logged_request_names_none(probe: MakeProbe) -> None:
    made = probe(shop(), log_sample_rate=1, log_slowest=0)
    get(made)
    flushed(made)
    assert [row.caller_id for row in table_rows(made.lens.database, REQUEST)] == [0]


def test_no_text_of_a_waiting_call_contains_its_key(probe: MakeProbe) -> None:
    made = probe(shop(), callers="key", log_sample_rate=1, log_slowest=0)
    get(made, x_api_key=KEY)
    harvest = made.lens.recorder.log.harvest(choose=True)
    deltas = made.lens.recorder.drain()
    assert KEY not in repr(harvest) + repr(deltas)
    assert "<calls of 1 callers>" in repr(deltas)


def test_each_call_is_in_the_ledger_under_its_caller(probe: MakeProbe) -> None:
    made = probe(shop(), consumer=header("x-customer"))
    for customer in ("billing", "stock", "billing"):
        get(made, x_customer=customer)
    flushed(made)
    drain_all(made.lens.database)
    calls = {row.caller_id: row.calls for row in table_rows(made.lens.database, USE)}
    assert {row.name: calls[row.id] for row in table_rows(made.lens.database, CALLER)} == {
        "billing": 2,
        "stock": 1,
    }
    (row,) = [row for row in table_rows(made.lens.database, ENDPOINT) if row.last_called_at]
    assert (row.attributed_until, row.unattributed_at) == (row.last_called_at, 0)
