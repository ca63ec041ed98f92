"""Audit log entries of logins, logouts, wrong keys and exports."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from benchmarks.support.rows import table_rows
from fastapi_lens.admin.access.wrong_keys import MAX_WRONG_KEYS, WrongKeys
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.migrations import migrate
from fastapi_lens.storage.schema.tables import AUDIT
from tests.admin.access.test_keys import ALICE, CI, ORIGIN, MakeClient, client_with
from tests.admin.access.test_sessions import KEYS, NOW, at, get, post, signed_in, started
from tests.recording.probe import lens_of

__all__ = ["client_with"]


def noted(client: TestClient) -> list[tuple[str, ...]]:
    rows = sorted(table_rows(lens_of(client.app).database, AUDIT), key=lambda row: row.id)
    assert {row.id >> 11 for row in rows} <= {round(NOW * 1e6)}
    return [(row.action, row.actor, row.client, row.target, row.after) for row in rows]


def test_who_comes_goes_and_takes_something_along_is_noted(client_with: MakeClient) -> None:
    client = started(client_with(report_keys=KEYS))
    alice, ci = signed_in(client), signed_in(client, CI)
    get(client, ci, "/lens/endpoints.csv?q=orders&days=30&garbage=%00")
    for path in ("endpoints.json", "requests.csv", "requests.json?status=5xx"):
        get(client, ci, f"/lens/{path}")
    post(client, alice, "/lens/logout")
    post(client, ci, "/lens/logout/everywhere")
    client.get(f"/lens/?report_key={ALICE}")
    where = "testclient"
    expected = {
        ("sign_in", "alice", where, "", ""),
        ("sign_in", "ci", where, "", ""),
        ("export", "ci", where, "endpoints.csv", "?q=orders&days=30"),
        ("export", "ci", where, "endpoints.json", "?days=7"),
        ("export", "ci", where, "requests.csv", "?days=all"),
        ("export", "ci", where, "requests.json", "?status=5xx&days=all"),
        ("sign_out", "alice", where, "", ""),
        ("sign_out_everywhere", "ci", where, "", ""),
    }
    rows = noted(client)
    assert set(rows) == expected
    assert rows.count(("sign_in", "alice", where, "", "")) == 2


def test_wrong_keys_are_noted_once_and_then_when_the_client_has_to_wait(
    client_with: MakeClient,
) -> None:
    client = started(client_with(report_keys=KEYS))
    for key in range(8):
        client.get("/lens/report", headers={"X-Lens-Key": f"secret-{key}"})
        client.post("/lens/login", data={"key": f"secret-{key}"}, headers=ORIGIN)
    assert set(noted(client)) == {
        ("wrong_key", "unknown", "testclient", "", "1 wrong key"),
        ("wrong_key", "unknown", "testclient", "", "5 wrong keys; the client has to wait"),
    }


def test_a_flood_from_everywhere_is_a_few_entries_an_hour(database: Database) -> None:
    guesses = WrongKeys(database, "one", 5)
    now_us = round(NOW * 1e6)
    for client in range(30):
        guesses.note(f"10.0.0.{client}", 1, now_us + client)
    rows = sorted(table_rows(database, AUDIT), key=lambda row: row.id)
    assert len(rows) == MAX_WRONG_KEYS
    assert rows[-1].after == "1 wrong key; more of any client are not listed for an hour"
    assert "more" not in rows[-2].after
    guesses.note("10.0.0.1", 5, now_us + 3_600_000_000)
    assert len(table_rows(database, AUDIT)) == MAX_WRONG_KEYS
    guesses.note("10.0.0.1", 10, now_us + 3_600_000_001)
    assert len(table_rows(database, AUDIT)) == MAX_WRONG_KEYS + 1


def test_a_client_that_goes_on_is_noted_at_each_doubling(database: Database) -> None:
    for count in range(1, 101):
        WrongKeys(database, "one", 5).note("10.0.0.7", count, round(NOW * 1e6) + count)
    counts = [row.after.split()[0] for row in table_rows(database, AUDIT)]
    assert sorted(map(int, counts)) == [1, 5, 10, 20, 40, 80]


@pytest.fixture
def database(database_url: str) -> Any:
    found = Database(database_url)
    migrate(found)
    yield found
    found.close()


def test_a_key_in_the_address_is_told_to_nobody(
    client_with: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", logger="fastapi_lens")
    client = started(client_with(report_keys=KEYS, log_sample_rate=1, log_query_values=True))
    for key in (ALICE, "a-wrong-guess"):
        for path in ("/lens/", "/lens/dashboard", "/lens/endpoints/00ab", "/lens/report"):
            client.cookies.clear()
            answer = client.get(path, params={"report_key": key, "q": "x"})
            assert answer.status_code in (303, 403)
            if answer.status_code == 303:
                assert answer.headers["referrer-policy"] == "no-referrer"
                assert answer.headers["cache-control"] == "private, no-store"
            assert key not in answer.text + str(answer.headers)
    at(client, NOW + 1)
    lens = lens_of(client.app)
    assert lens.flusher.flush()
    with lens.database.read() as connection:
        held = "\n".join(connection.connection.driver_connection.iterdump())  # type: ignore[union-attr]
    for key in (ALICE, "a-wrong-guess"):
        assert key not in held + caplog.text
