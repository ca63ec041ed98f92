"""How long a session lasts, and what ends it, in whichever worker it is shown."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from fastapi_lens import KeyConfig
from fastapi_lens.admin import sessions
from fastapi_lens.admin.auth import Gate
from fastapi_lens.admin.sessions import Lifetime, Session, Sessions
from fastapi_lens.errors import StorageError
from fastapi_lens.storage.database import Database
from fastapi_lens.storage.migrations import migrate
from fastapi_lens.storage.settings import AuditEntry, read_section
from fastapi_lens.storage.tables import SETTING
from tests.access.test_keys import ALICE, CI, ORIGIN, MakeClient, client_with
from tests.recording.probe import lens_of
from tests.storage.helpers import table_rows

__all__ = ["client_with"]

NOW = 1_775_243_992.0
KEYS = {"alice": ALICE, "ci": KeyConfig(CI, scope="read")}
FRAGMENT = {"HX-Request": "true", "HX-Request-Type": "partial"}


def started(client: TestClient, now: float = NOW) -> TestClient:
    client.get("/nothing")
    at(client, now)
    return client


def at(client: TestClient, now: float) -> None:
    lens_of(client.app).clock = lambda: now


def signed_in(client: TestClient, key: str = ALICE) -> dict[str, str]:
    answer = client.post("/lens/login", data={"key": key}, headers=ORIGIN)
    assert answer.status_code == 303
    client.cookies.clear()
    return cookie_of(answer)


def cookie_of(answer: Any) -> dict[str, str]:
    return {"Cookie": answer.headers["set-cookie"].partition(";")[0]}


def get(client: TestClient, cookie: dict[str, str], path: str = "/lens/", **headers: str) -> Any:
    answer = client.get(path, headers={**cookie, **headers})
    client.cookies.clear()
    return answer


def post(client: TestClient, cookie: dict[str, str], path: str) -> Any:
    page = get(client, cookie).text
    token = page.split('name="csrf_token" value="')[1].split('"')[0]
    answer = client.post(path, data={"csrf_token": token}, headers={**ORIGIN, **cookie})
    client.cookies.clear()
    return answer


def test_a_session_in_use_goes_on_up_to_its_greatest_age(client_with: MakeClient) -> None:
    client = started(client_with(report_keys=KEYS, session_idle_seconds=100, session_max_age=350))
    cookie = first = signed_in(client)
    for seconds in range(60, 350, 60):
        at(client, NOW + seconds)
        answer = get(client, cookie)
        assert answer.status_code == 200
        cookie = cookie_of(answer)
        left = min(100, 350 - seconds)
        assert f"max-age={left};" in answer.headers["set-cookie"].lower()
    assert cookie != first
    assert get(client, first, "/lens/report").status_code == 403
    at(client, NOW + 350)
    assert get(client, cookie).headers["location"].startswith("/lens/login")
    assert get(client, cookie, "/lens/report").status_code == 403


def test_a_session_that_nobody_uses_ends(client_with: MakeClient) -> None:
    client = started(client_with(report_keys=KEYS, session_idle_seconds=100, session_max_age=350))
    cookie = signed_in(client)
    at(client, NOW + 99)
    assert get(client, cookie, "/lens/report").status_code == 200
    at(client, NOW + 100)
    assert get(client, cookie, "/lens/report").status_code == 403


def test_the_cookie_is_written_anew_seldom_and_also_by_refreshes(client_with: MakeClient) -> None:
    client = started(client_with(report_keys=KEYS, session_idle_seconds=100))
    cookie = signed_in(client)
    at(client, NOW + 9)
    assert "set-cookie" not in get(client, cookie).headers
    at(client, NOW + 10)
    refreshed = get(client, cookie, **FRAGMENT)
    assert refreshed.status_code == 200
    same = get(
        client, cookie_of(refreshed), **FRAGMENT, **{"If-None-Match": refreshed.headers["etag"]}
    )
    assert "set-cookie" not in same.headers
    assert "httponly" in refreshed.headers["set-cookie"].lower()


def test_logging_out_ends_the_session_wherever_its_cookie_is(client_with: MakeClient) -> None:
    here, there = (started(client_with(report_keys=KEYS)) for _ in range(2))
    gone, other = signed_in(here), signed_in(there)
    here.cookies.set("lens_theme", "dark")
    out = post(here, gone, "/lens/logout")
    assert (out.status_code, out.headers["location"]) == (303, "/lens/login")
    assert "lens_session=" in out.headers["set-cookie"]
    assert "lens_theme" not in out.headers["set-cookie"]
    for client in (here, there):
        assert get(client, gone, "/lens/report").status_code == 403
        assert get(client, other, "/lens/report").status_code == 200
    login = here.get("/lens/login", headers={"Cookie": "lens_theme=dark"})
    assert 'data-theme="dark"' in login.text


@pytest.mark.unmeasured
def test_logging_out_everywhere_ends_all_sessions_of_the_key_at_once(
    client_with: MakeClient,
) -> None:
    here, there = (started(client_with(report_keys=KEYS)) for _ in range(2))
    mine = [signed_in(client) for client in (here, there, there)]
    readers = signed_in(there, CI)
    forged = here.post("/lens/logout/everywhere", headers={**ORIGIN, **mine[0]})
    assert forged.status_code == 403
    assert get(there, mine[1], "/lens/report").status_code == 200
    out = post(here, mine[0], "/lens/logout/everywhere")
    assert (out.status_code, out.headers["location"]) == (303, "/lens/login?ended=everywhere")
    assert "All sessions of this key have ended." in here.get("/lens/login?ended=everywhere").text
    assert 'role="status" id="lens-said"' not in here.get("/lens/login?ended=<b>").text
    for client in (here, there):
        assert {get(client, one, "/lens/report").status_code for one in mine} == {403}
        assert get(client, readers, "/lens/report").status_code == 200
        assert get(client, signed_in(client), "/lens/report").status_code == 200


def test_who_may_only_look_may_sign_out(client_with: MakeClient) -> None:
    client = started(client_with(report_keys=KEYS))
    for path in ("/lens/logout", "/lens/logout/everywhere"):
        cookie = signed_in(client, CI)
        assert post(client, cookie, path).status_code == 303
        assert get(client, cookie, "/lens/report").status_code == 403


def test_who_needs_no_session_has_nothing_to_sign_out_of(client_with: MakeClient) -> None:
    client = started(client_with())
    for path in ("/lens/logout", "/lens/logout/everywhere"):
        led = client.post(path, headers=ORIGIN).headers["location"]
        assert client.get(led).headers["location"] == "/lens/"
    assert table_rows(lens_of(client.app).database, SETTING) == []


def test_what_signs_the_sessions_of_a_key_is_made_once(client_with: MakeClient) -> None:
    client = started(client_with(report_keys=KEYS))
    signed_in(client)
    gate = lens_of(client.app).attached(Gate, pytest.fail)
    # As two threads may do at once.
    assert gate._made_signer("alice") is gate._made_signer("alice")


@pytest.fixture
def database(tmp_path: Path) -> Any:
    found = Database(f"sqlite:///{tmp_path / 'lens.db'}")
    migrate(found)
    yield found
    found.close()


def some_sessions(database: Database) -> Sessions:
    return Sessions(database, "one", Lifetime(100, 1_000))


def entry() -> AuditEntry:
    return AuditEntry(at_us=round(NOW * 1e6), actor="alice", client="", action="sign_out")


def test_sessions_that_end_at_the_same_time_all_end(database: Database) -> None:
    ones = [Session("alice", f"id-{number}", "", NOW, NOW) for number in range(8)]
    book = some_sessions(database)
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda one: book.end(one, entry(), NOW), ones))
    assert all(book.is_ended(one) for one in ones)


def test_ended_sessions_are_remembered_for_as_long_as_they_could_last_and_not_too_many(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "MAX_ENDED", 3)
    book = some_sessions(database)

    def ended() -> set[str]:
        return set(read_section(database, "one", "sessions").values["ended"])

    for number in range(5):
        book.end(Session("alice", f"id-{number}", "", NOW + number, NOW), entry(), NOW)
    assert ended() == {"id-2", "id-3", "id-4"}
    book.end(Session("alice", "late", "", NOW + 1_000, NOW), entry(), NOW + 1_003)
    assert ended() == {"id-4", "late"}


def test_a_section_that_others_change_again_and_again_is_an_error_and_not_a_loop(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "write_section", lambda *_: False)
    with pytest.raises(StorageError, match="again and again"):
        some_sessions(database).end_all("alice", entry())


@pytest.mark.parametrize("values", ['{"generations": 3, "ended": []}', "{}", "nonsense"])
def test_what_cannot_be_read_ends_no_session(database: Database, values: str) -> None:
    with database.write() as connection:
        row = {"app": "one", "name": "sessions", "value": values, "version": 1}
        connection.execute(SETTING.insert(), row)
    book = some_sessions(database)
    session = book.begin("alice", entry(), NOW)
    assert not book.is_ended(session)
    book.end(session, entry(), NOW)
    assert book.is_ended(session)
