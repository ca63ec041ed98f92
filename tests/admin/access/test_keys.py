import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from fastapi_lens import ConfigError, KeyConfig, LensConfig, LensMiddleware, lens_admin
from fastapi_lens.admin import router
from fastapi_lens.admin.access.key_store import KeyStore
from fastapi_lens.admin.context import Context
from fastapi_lens.config.keys import HashedKey, Scope, hash_key
from tests.recording.probe import lens_of

ALICE, CI = "alices-own-key", "the-key-of-ci"
HASHED = hash_key("a-hashed-key", b"0123456789abcdef")
KEYS: dict[str, str | KeyConfig] = {
    "alice": ALICE,
    "ci": KeyConfig(CI, scope="read"),
    "bob": HASHED,
}
ORIGIN = {"origin": "http://testserver"}
MakeClient = Callable[..., TestClient]


@pytest.fixture
def client_with(tmp_path: Path) -> Iterator[MakeClient]:
    """Makes clients of applications that share a database."""
    apps: list[FastAPI] = []

    def make(**settings: Any) -> TestClient:
        app = FastAPI()
        config = LensConfig(
            **{
                "db_path": str(tmp_path / "lens.db"),
                "app_name": "one",
                "flush_interval": 3600.0,
                **settings,
            }
        )
        app.add_middleware(LensMiddleware, config=config)
        app.include_router(lens_admin)
        apps.append(app)
        return TestClient(app, follow_redirects=False)

    yield make
    for app in apps:
        if app.middleware_stack is not None:
            lens_of(app).stop()


def session(client: TestClient, key: str) -> dict[str, str]:
    answer = client.post("/lens/login", data={"key": key}, headers=ORIGIN)
    assert answer.status_code == 303
    client.cookies.clear()
    return {"Cookie": answer.headers["set-cookie"].partition(";")[0]}


def test_every_key_opens_the_reports_by_header_and_by_session(client_with: MakeClient) -> None:
    client = client_with(report_keys=KEYS, report_key="the-single-one")
    for key in (ALICE, CI, "a-hashed-key", "the-single-one"):
        for headers in ({"X-Lens-Key": key}, session(client, key)):
            assert client.get("/lens/report", headers=headers).status_code == 200
    for key in ("alice", HASHED, "a-hashed-key ", ALICE + CI):
        assert client.get("/lens/report", headers={"X-Lens-Key": key}).status_code == 403


def test_removing_or_changing_a_key_ends_its_sessions_and_no_others(
    client_with: MakeClient,
) -> None:
    client = client_with(report_keys=KEYS)
    sessions = {name: session(client, key) for name, key in (("alice", ALICE), ("ci", CI))}
    changed = client_with(report_keys={**KEYS, "alice": "another-key"})
    removed = client_with(report_keys={"ci": KEYS["ci"]})
    for now in (changed, removed):
        assert now.get("/lens/report", headers=sessions["alice"]).status_code == 403
        assert now.get("/lens/report", headers=sessions["ci"]).status_code == 200


def test_a_session_opens_no_other_app_of_the_database(client_with: MakeClient) -> None:
    cookie = session(client_with(report_keys=KEYS), ALICE)
    other = client_with(report_keys=KEYS, app_name="two")
    assert other.get("/lens/report", headers=cookie).status_code == 403


def test_a_key_that_may_only_read_changes_nothing(
    client_with: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, Scope, bool, str]] = []

    def change(context: Context) -> Response:
        seen.append((context.actor, context.scope, context.may_change, context.author.client))
        return HTMLResponse(context.csrf_token)

    page = router.page("/change", change, "GET", "POST")
    monkeypatch.setattr(router, "PAGES", (page, *router.PAGES))
    client = client_with(report_keys=KEYS)
    for key, status in ((ALICE, 200), (CI, 403)):
        for headers in ({"X-Lens-Key": key}, session(client, key)):
            shown = client.get("/lens/change", headers=headers)
            assert shown.status_code == 200
            form, sent = {"csrf_token": shown.text}, {**ORIGIN, **headers}
            assert client.post("/lens/change", data=form, headers=sent).status_code == status
    assert {one for one in seen if one[1] is Scope.READ} == {
        ("ci", Scope.READ, False, "testclient")
    }
    assert ("alice", Scope.ADMIN, True, "testclient") in seen


def test_a_visit_of_nobody_with_an_address_has_none() -> None:
    request = Request({"type": "http", "client": None, "headers": []})
    lens: Any = None
    context = Context(request, lens, "", "", signed_in=False, scope=Scope.READ, actor="x", now=0)
    assert context.author.client == ""


def test_a_hashed_key_costs_one_scrypt_in_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    keys = KeyStore(LensConfig(report_keys=KEYS).keys)
    tried: list[bytes] = []
    matches = HashedKey.matches

    def counted(self: HashedKey, key: bytes) -> bool:
        tried.append(key)
        return matches(self, key)

    monkeypatch.setattr(HashedKey, "matches", counted)
    assert keys.name_of(ALICE) == "alice"
    assert keys.name_of(b"") is None
    assert tried == []
    for _ in range(3):
        assert keys.name_of("a-hashed-key") == "bob"
    assert len(tried) == 1
    assert keys.name_of("wrong") is None
    assert len(tried) == 1


def test_a_configuration_shows_no_key() -> None:
    shown = repr(LensConfig(report_key="the-single-one", report_keys=KEYS)) + repr(KEYS["ci"])
    assert not any(key in shown for key in (ALICE, CI, HASHED, "the-single-one"))
    assert hash(LensConfig(report_keys=KEYS)) == hash(LensConfig(report_keys=KEYS))


BAD: list[tuple[Any, str]] = [
    (["x"], "keys by name"),
    ({"": "x"}, "not readable text"),
    ({7: "x"}, "not readable text"),
    ({"a\n": "x"}, "not readable text"),
    ({"a" * 65: "x"}, "too long"),
    ({"report_key": "x"}, "taken"),
    ({"a": " "}, "empty"),
    ({"a": 7}, "needs text or KeyConfig"),
    ({"a": {"key": 7}}, "needs text or KeyConfig"),
    ({"a": {"key": "x", "scoop": "read"}}, "needs text or KeyConfig"),
    ({"a": {"key": "x", "scope": "write"}}, "neither read nor admin"),
    ({"a": "same", "b": KeyConfig("same")}, "same key for 'a' and 'b'"),
    ({"a": "scrypt$1"}, "hash-key"),
    ({"a": HASHED.replace("16384", "1024")}, "hash-key"),
    ({"a": HASHED.replace("$8$", "$800$")}, "hash-key"),
]


@pytest.mark.parametrize(("keys", "words"), BAD)
def test_keys_that_cannot_work_are_refused_by_name(keys: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=r"LensConfig\.report_keys") as caught:
        LensConfig(report_keys=keys)
    assert words in str(caught.value)
    assert "scrypt$" not in str(caught.value)


UNSENDABLE = {
    "line break at the end": ("secret\n", "begins or ends"),
    "line break of Windows": ("secret\r\n", "begins or ends"),
    "space before": (" secret", "begins or ends"),
    "tab after": ("secret\t", "begins or ends"),
    "no-break space after": ("secret\xa0", "begins or ends"),
    "byte order mark": ("\ufeffsecret", "begins or ends"),
    "zero width space after": ("secret\u200b", "begins or ends"),
    "line break within": ("sec\nret", "no header can send"),
    "line separator": ("sec\u2028ret", "no header can send"),
    "null": ("sec\0ret", "no header can send"),
    "escape": ("sec\x1bret", "no header can send"),
    "next line": ("sec\x85ret", "no header can send"),
    "delete": ("sec\x7fret", "no header can send"),
    "bytes that are not UTF-8": ("sec\udce9ret", "no header can send"),
}


@pytest.mark.parametrize(("key", "words"), UNSENDABLE.values(), ids=UNSENDABLE)
def test_a_key_that_nobody_could_send_is_refused_at_the_start_by_name(
    monkeypatch: pytest.MonkeyPatch, key: str, words: str
) -> None:
    settings: list[dict[str, Any]] = [
        {"report_key": key},
        {"report_keys": {"alice": key}},
        {"report_keys": {"alice": {"key": key, "scope": "read"}}},
        {"report_keys": {"alice": KeyConfig(key)}},
    ]
    for setting in settings:
        with pytest.raises(ConfigError, match=r"LensConfig\.report_key") as caught:
            LensConfig(**setting)
        assert words in str(caught.value)
        assert ("'alice'" in str(caught.value)) == ("report_keys" in setting)
    if "\0" in key:
        return  # No environment holds it.
    monkeypatch.setenv("LENS_REPORT_KEY", key)
    with pytest.raises(ConfigError, match=words):
        LensConfig()
    monkeypatch.delenv("LENS_REPORT_KEY")
    monkeypatch.setenv("LENS_REPORT_KEYS", json.dumps({"ci": key}))
    with pytest.raises(ConfigError, match=words):
        LensConfig()


def test_a_hash_may_come_from_a_file_with_a_line_break_at_its_end(client_with: MakeClient) -> None:
    client = client_with(report_key=HASHED + "\n")
    assert client.get("/lens/report", headers={"X-Lens-Key": "a-hashed-key"}).status_code == 200


@pytest.mark.parametrize("key", ["clé", "pass phrase", "ключ", "鍵", "ÿþ", "👩‍💻", "a;b=c,d"])
def test_a_key_of_any_letters_opens_in_each_way_and_coding(
    client_with: MakeClient, key: str
) -> None:
    client = client_with(report_key=key)
    sent = [key.encode()]
    with contextlib.suppress(UnicodeEncodeError):
        sent.append(key.encode("latin-1"))
    for header in sent:
        for name, value in ((b"X-Lens-Key", header), (b"Authorization", b"Bearer " + header)):
            answer = client.get("/lens/report", headers=[(name, value)])
            assert answer.status_code == 200, header
    assert client.get("/lens/report", headers=session(client, key)).status_code == 200
    assert client.get("/lens/", params={"report_key": key}).headers["location"] == "/lens/"


def test_the_single_key_is_held_to_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="same key for 'report_key' and 'alice'"):
        LensConfig(report_key=ALICE, report_keys=KEYS)
    with pytest.raises(ConfigError, match=r"LensConfig\.report_key holds a hashed key"):
        LensConfig(report_key="scrypt$x")
    monkeypatch.setenv("LENS_REPORT_KEYS", "alice=secret")
    with pytest.raises(ConfigError, match=r"JSON in the environment") as caught:
        LensConfig()
    assert "secret" not in str(caught.value)
