"""Sessions: their lifetime and their end, in whichever worker they are used."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.support.rows import table_rows
from fastapi_lens import KeyConfig
from fastapi_lens.admin.access.key_store import KeyStore
from fastapi_lens.admin.access.sessions import Lifetime, Session, Sessions
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.records import ended_sessions
from fastapi_lens.storage.records.audit import AuditEntry
from fastapi_lens.storage.schema.migrations import migrate
from fastapi_lens.storage.schema.tables import AUDIT, ENDED_SESSION
from tests.admin.access.test_keys import ALICE, CI, ORIGIN, MakeClient, client_with
from tests.recording.probe import lens_of
from tests.support.pages import csrf_token

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
    token = csrf_token(page)
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
    assert out.headers["set-cookie"].startswith(gone["Cookie"].partition("=")[0] + "=")
    assert "lens_theme" not in out.headers["set-cookie"]
    for client in (here, there):
        assert get(client, gone, "/lens/report").status_code == 403
        assert get(client, other, "/lens/report").status_code == 200
    login = here.get("/lens/login", headers={"Cookie": "lens_theme=dark"})
    assert 'data-theme="dark"' in login.text


def test_a_session_that_was_logged_out_stays_so_whoever_logs_out_and_after_a_restart(
    client_with: MakeClient,
) -> None:
    here, there = (started(client_with(report_keys=KEYS)) for _ in range(2))
    copied = signed_in(here)
    post(here, copied, "/lens/logout")
    for _ in range(12):
        post(there, signed_in(there, CI), "/lens/logout")
    restarted = started(client_with(report_keys=KEYS))
    for client in (here, there, restarted):
        assert get(client, copied, "/lens/report").status_code == 403


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
    assert table_rows(lens_of(client.app).database, ENDED_SESSION) == []


def test_what_signs_the_sessions_of_a_key_is_made_once(
    client_with: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = started(client_with(report_keys=KEYS))
    made, make = list[str](), KeyStore.session_secret

    def noted(self: KeyStore, name: str, salt: Any) -> bytes:
        made.append(name)
        return make(self, name, salt)

    monkeypatch.setattr(KeyStore, "session_secret", noted)
    form = {"key": ALICE}
    with ThreadPoolExecutor(4) as at_once:
        answers = at_once.map(
            lambda _: client.post("/lens/login", data=form, headers=ORIGIN).status_code, range(4)
        )
        assert list(answers) == [303] * 4
    assert made == ["alice"]


@pytest.fixture
def database(database_url: str) -> Any:
    found = Database(database_url)
    migrate(found)
    yield found
    found.close()


def some_sessions(database: Database, app: str = "one") -> Sessions:
    return Sessions(database, app, Lifetime(100, 1_000))


def entry() -> AuditEntry:
    return AuditEntry(at_us=round(NOW * 1e6), actor="alice", client="", action="sign_out")


def begun(book: Sessions, key: str = "alice", now: float = NOW) -> Session:
    return book.begin(key, entry(), now)


def test_sessions_that_end_at_the_same_time_all_end(database: Database) -> None:
    book = some_sessions(database)
    ones = [begun(book) for _ in range(8)]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda one: book.end(one, entry(), NOW), ones))
    assert all(book.is_ended(one) for one in ones)


def test_a_log_out_is_remembered_however_many_of_other_keys_follow(database: Database) -> None:
    book = some_sessions(database)
    gone, other = begun(book), begun(book)
    book.end(gone, entry(), NOW)
    for number in range(210):
        book.end(begun(book, f"key-{number % 3}"), entry(), NOW)
    assert book.is_ended(gone)
    assert not book.is_ended(other)


def test_one_log_out_too_many_of_a_key_ends_all_of_its_sessions_and_no_others(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ended_sessions, "MAX_EACH", 3)
    book = some_sessions(database)
    first, open_one, others = begun(book), begun(book), begun(book, "ci")
    for gone in [first, *(begun(book) for _ in range(2))]:
        book.end(gone, entry(), NOW)
    assert not book.is_ended(open_one)
    book.end(begun(book), entry(), NOW)
    assert book.is_ended(first)
    assert book.is_ended(open_one)
    assert not book.is_ended(others)
    fresh = begun(book)
    assert not book.is_ended(fresh)
    # And again from the beginning, with no row that is not needed.
    assert [row.session for row in table_rows(database, ENDED_SESSION)] == [""]
    notes = [row.after for row in table_rows(database, AUDIT) if row.after]
    assert notes == ["too many log-outs: all sessions of this key have ended"]


def test_a_log_out_is_forgotten_only_when_no_clock_takes_the_session_for_alive(
    database: Database,
) -> None:
    book = some_sessions(database)
    gone = begun(book)
    book.end(gone, entry(), NOW)
    for later in (999, 1_001, 86_400):
        book.end(begun(book), entry(), NOW + later)
        assert book.is_ended(gone)
    book.end(begun(book), entry(), NOW + 1_000 + 86_401)
    kept = {row.session for row in table_rows(database, ENDED_SESSION)}
    assert gone.id not in kept
    assert book.lifetime.left(gone, NOW + 1_000) <= 0


def test_a_longer_session_max_age_revives_no_session(database: Database) -> None:
    gone = begun(some_sessions(database))
    longer = Lifetime(100_000, 100_000)
    assert longer.left(gone, NOW + 999) == 1
    assert longer.left(gone, NOW + 1_000) == 0
    assert Lifetime(100_000, 500).left(gone, NOW + 400) == 100


@pytest.fixture(scope="module")
def in_memory() -> Iterator[tuple[Database, Iterator[int]]]:
    """A database for many examples, and a number for the app of each."""
    found = Database("sqlite://")
    migrate(found)
    yield found, count()
    found.close()


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["begin", "end", "everywhere", "later"]),
            st.sampled_from(["alice", "ci"]),
            st.integers(0, 30),
        ),
        max_size=25,
    )
)
def test_a_session_that_has_ended_stays_so_whatever_follows(
    in_memory: tuple[Database, Iterator[int]], steps: list[tuple[str, str, int]]
) -> None:
    database, numbers = in_memory
    app = f"app-{next(numbers)}"
    here, there = some_sessions(database, app), some_sessions(database, app)
    alive: dict[str, list[Session]] = {"alice": [], "ci": []}
    gone: list[Session] = []
    now = NOW
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ended_sessions, "MAX_EACH", 4)
        for what, key, number in steps:
            if what == "begin":
                alive[key].append(begun(here, key, now))
            elif what == "later":
                now += number * 10_000
            elif what == "everywhere":
                there.end_all(key, entry())
                gone += alive[key]
                alive[key] = []
            elif alive[key]:
                one = alive[key].pop(number % len(alive[key]))
                here.end(one, entry(), now)
                gone.append(one)
                alive[key] = [one for one in alive[key] if not there.is_ended(one)]
            assert all(there.is_ended(one) or there.lifetime.left(one, now) <= 0 for one in gone)
            assert not any(map(there.is_ended, alive["alice"] + alive["ci"]))
