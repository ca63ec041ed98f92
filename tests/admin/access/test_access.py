import unicodedata
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from fastapi_lens import LensConfig, LensMiddleware, lens_admin
from fastapi_lens.admin.access.authenticator import MAX_NEXT_LENGTH, safe_next
from fastapi_lens.admin.access.key_store import KeyStore
from tests.attack.asgi import Caller, Raw
from tests.recording.probe import lens_of
from tests.support.addresses import ClientAt
from tests.support.pages import csrf_token, form_actions, page_text, title

KEY = "clé-très-secrète"
ORIGIN = {"origin": "http://testserver"}
MakeClient = Callable[..., TestClient]


@pytest.fixture
def client_of() -> Iterator[MakeClient]:
    """Makes a client of an application with a lens under these settings."""
    apps: list[FastAPI] = []

    def make(
        *, address: str = "testclient", base_url: str = "http://testserver", **settings: Any
    ) -> TestClient:
        app = FastAPI()
        app.add_middleware(LensMiddleware, config=LensConfig(**{"db_path": ":memory:", **settings}))
        app.include_router(lens_admin)
        app.add_middleware(ClientAt, address=address)
        apps.append(app)
        return TestClient(app, follow_redirects=False, base_url=base_url)

    yield make
    for app in apps:
        if app.middleware_stack is not None:
            lens_of(app).stop()


def login(client: TestClient, key: str = KEY, **form: str) -> Any:
    return client.post("/lens/login", data={"key": key, **form}, headers=ORIGIN)


REPORTS = ["/lens/report", "/lens/report/top", "/lens/report/dead", "/lens/report?days=0"]


NO_KEYS: list[Any] = [
    {},
    {"X-Lens-Key": ""},
    {"X-Lens-Key": "wrong"},
    {b"X-Lens-Key": b"\xff\xfe"},
    {"Authorization": "Bearer wrong"},
    {"Authorization": "Bearer"},
    {"Authorization": f"Basic {KEY}".encode()},
]
NO_SESSIONS = (
    *("forged", "", "ff.forged", '"', "; ="),
    *(f"{name.encode().hex()}.forged" for name in ("report_key", "nobody")),
)


def test_no_report_without_the_key(client_of: MakeClient) -> None:
    client = client_of(report_key=KEY, login_max_failures=100)
    for path in REPORTS:
        login(client)
        ((cookie, _),) = client.cookies.items()
        client.cookies.clear()
        forged = [{"Cookie": f"{cookie}={value}"} for value in NO_SESSIONS]
        answers = [client.get(path, headers=headers) for headers in [*NO_KEYS, *forged]]
        assert {answer.status_code for answer in answers} == {403}
        assert len({answer.text for answer in answers}) == 1
        assert set(answers[0].json()) == {"detail"}


def test_the_key_opens_the_reports_however_it_is_written(client_of: MakeClient) -> None:
    client = client_of(report_key=KEY)
    for name, value in (
        (b"X-Lens-Key", KEY),
        (b"X-Lens-Key", unicodedata.normalize("NFD", KEY)),
        (b"Authorization", f"Bearer {KEY}"),
        (b"Authorization", f"bearer  {KEY}"),
    ):
        answer = client.get("/lens/report", headers={name: value.encode()})
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "private, no-store"


def test_bytes_that_are_no_text_are_no_key() -> None:
    keys = KeyStore(LensConfig(report_key=KEY).keys)
    assert keys.name_of(KEY.encode()) == "report_key"
    assert keys.name_of(b"\xff\xfe") is None


def test_the_login_names_the_application_and_its_environment(client_of: MakeClient) -> None:
    login_page = client_of(report_key=KEY, app_name="shop", environment="staging").get(
        "/lens/login"
    )
    assert "Sign in to shop (staging)" in page_text(login_page.text)
    assert title(login_page.text) == "Sign in · shop (staging)"
    bare = client_of(report_key=KEY, app_name="shop").get("/lens/login")
    assert title(bare.text) == "Sign in · shop"
    assert "Sign in to shop Key" in page_text(bare.text)


def test_signing_in_opens_pages_and_reports_until_signing_out(client_of: MakeClient) -> None:
    client = client_of(report_key=KEY)
    refused = client.get("/lens/?status=dead")
    assert refused.headers["location"] == "/lens/login?next=%2Flens%2F%3Fstatus%3Ddead"
    assert client.get("/lens/login").status_code == 200
    answer = login(client, next="/lens/?status=dead")
    assert (answer.status_code, answer.headers["location"]) == (303, "/lens/?status=dead")
    cookie = answer.headers["set-cookie"].lower()
    assert all(word in cookie for word in ("httponly", "samesite=lax", "path=/lens"))
    assert "secure" not in cookie
    assert client.get("/lens/").status_code == 200
    assert client.get("/lens/report").status_code == 200
    assert client.get("/lens/login").headers["location"] == "/lens/"
    token = csrf_token(client.get("/lens/").text)
    assert client.post("/lens/logout", headers=ORIGIN).status_code == 403
    forged = {"csrf_token": token}, {"origin": "http://evil.example"}
    assert client.post("/lens/logout", data=forged[0], headers=forged[1]).status_code == 403
    gone = client.post("/lens/logout", data={"csrf_token": token}, headers=ORIGIN)
    assert (gone.status_code, gone.headers["location"]) == (303, "/lens/login")
    assert client.get("/lens/report").status_code == 403


def test_the_session_cookie_is_secure_under_https(client_of: MakeClient) -> None:
    client = client_of(report_key=KEY, base_url="https://testserver")
    answer = client.post("/lens/login", data={"key": KEY}, headers={"origin": "https://testserver"})
    assert "secure" in answer.headers["set-cookie"].lower()


def test_a_wrong_key_gets_the_form_again_with_one_sentence(client_of: MakeClient) -> None:
    answer = login(client_of(report_key=KEY), "guess", next="/lens/?q=1")
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert "/lens/?q=1" in answer.text
    assert "set-cookie" not in answer.headers


def test_a_form_that_is_too_large_is_refused(client_of: MakeClient) -> None:
    client = client_of(report_key=KEY)
    assert login(client, "x" * 20_000).status_code == 422
    many = {f"f{number}": "" for number in range(100)}
    assert login(client, **many).status_code == 422


def test_forms_of_other_sites_are_refused(client_of: MakeClient) -> None:
    client = client_of(report_key=KEY, trusted_origins=["https://trusted.example"])
    for headers, status in (
        ({"sec-fetch-site": "same-origin"}, 303),
        ({"sec-fetch-site": "none"}, 303),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"origin": "http://testserver"}, 303),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({}, 403),
        ({"origin": "https://trusted.example", "sec-fetch-site": "cross-site"}, 303),
    ):
        answer = client.post("/lens/login", data={"key": KEY}, headers=headers)
        assert (headers, answer.status_code) == (headers, status)


def test_changing_the_key_ends_all_sessions(client_of: MakeClient, tmp_path: Any) -> None:
    database = str(tmp_path / "lens.db")
    first = client_of(report_key=KEY, db_path=database)
    assert login(first).status_code == 303
    cookie = {"Cookie": "; ".join(f"{n}={v}" for n, v in first.cookies.items())}
    same = client_of(report_key=KEY, db_path=database)
    assert same.get("/lens/report", headers=cookie).status_code == 200
    changed = client_of(report_key="another", db_path=database)
    assert changed.get("/lens/report", headers=cookie).status_code == 403


def test_a_key_in_the_address_becomes_a_session_and_leaves_the_address(
    client_of: MakeClient,
) -> None:
    client = client_of(report_key=KEY)
    answer = client.get("/lens/dashboard", params={"report_key": KEY, "status": "dead"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/lens/?status=dead")
    assert client.get("/lens/dashboard?status=dead").headers["location"] == "/lens/?status=dead"
    other = client_of(report_key=KEY)
    wrong = other.get("/lens/endpoints/00ab", params={"report_key": "wrong"})
    assert wrong.headers["location"] == "/lens/login?next=%2Flens%2Fendpoints%2F00ab"
    assert "set-cookie" not in wrong.headers


def test_an_expired_session_of_a_fragment_leads_the_whole_page_to_the_form(
    client_of: MakeClient,
) -> None:
    headers = {"HX-Request": "true", "HX-Request-Type": "partial"}
    answer = client_of(report_key=KEY).get("/lens/endpoints/00ab?days=1", headers=headers)
    assert answer.headers["hx-redirect"] == (
        "/lens/login?next=%2Flens%2Fendpoints%2F00ab%3Fdays%3D1"
    )
    assert answer.text == ""


LOCAL = {"address": "127.0.0.1", "base_url": "http://localhost:8000"}


def test_without_a_key_the_lens_answers_its_own_machine(client_of: MakeClient) -> None:
    for place, headers in (
        (LOCAL, {}),
        # Not as the base URL: test clients of older releases know no IPv6.
        (LOCAL | {"address": "::1"}, {"host": "[::1]:8000"}),
        ({"address": "127.0.0.9", "base_url": "http://lens.localhost"}, {}),
        ({}, {}),
    ):
        client = client_of(**place)
        client.headers.update(headers)
        assert client.get("/lens/report").status_code == 200
        assert client.get("/lens/login").headers["location"] == "/lens/"
        led = client.get("/lens/?report_key=left-over&q=x").headers["location"]
        assert led == "/lens/login?next=%2Flens%2F%3Fq%3Dx"
        assert client.get(led).headers["location"] == "/lens/?q=x"


def test_without_a_key_its_own_machine_may_change_things_from_pages_of_the_lens(
    client_of: MakeClient,
) -> None:
    client = client_of(**LOCAL)
    action = form_actions(client.get("/lens/settings").text)[0]
    foreign = {"Origin": "https://evil.example"}
    assert client.post(action, data={}, headers=foreign).status_code == 403
    # Every browser sends one of the two headers with a form.
    assert client.post(action, data={}).status_code == 403
    own = {"Origin": LOCAL["base_url"]}
    assert client.post(action, data={}, headers=own).status_code != 403


@pytest.mark.parametrize(
    ("place", "headers"),
    [
        ({"address": "10.0.0.7", "base_url": "http://localhost"}, {}),
        ({"address": "127.0.0.1", "base_url": "http://rebound.example"}, {}),
        ({"address": "testclient", "base_url": "http://localhost"}, {}),
        ({"address": "nonsense", "base_url": "http://localhost"}, {}),
        (LOCAL, {"X-Forwarded-For": "10.0.0.7"}),
        (LOCAL, {"X-Forwarded-Host": "public.example"}),
        (LOCAL, {"Forwarded": "for=10.0.0.7"}),
        (LOCAL, {"X-Real-IP": "127.0.0.1"}),
    ],
)
def test_without_a_key_others_are_told_what_to_set(
    client_of: MakeClient, place: dict[str, str], headers: dict[str, str]
) -> None:
    client = client_of(**place)
    for path in ("/lens/report", "/lens/", "/lens/login", "/lens/endpoints/00ab"):
        answer = client.get(path, headers=headers)
        assert answer.status_code == 403
        assert "report_key" in answer.text


def test_without_a_key_what_came_through_an_old_nginx_is_refused(client_of: MakeClient) -> None:
    call = Caller(client_of().app)
    for version, status in (("1.0", 403), ("1", 403), ("1.1", 200), ("2", 200)):
        for path in ("/lens/", "/lens/report"):
            assert call(Raw(path=path, http_version=version)).status == status
    call.close()


def test_another_site_reads_neither_pages_nor_reports(client_of: MakeClient) -> None:
    client = client_of(report_key=KEY, report_path="/usage", trusted_origins=["https://a.example"])
    client.headers.update({b"X-Lens-Key": KEY.encode()})
    for path in ("/lens/", "/lens/report", "/usage", "/lens/login", "/lens/nothing"):
        read = client.get(path, headers={"origin": "https://evil.example"})
        assert (read.status_code, "trusted_origins" in read.text) == (403, True)
        trusted = client.get(path, headers={"origin": "https://a.example"})
        assert trusted.status_code in (200, 303, 404)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, "has no report_key"),
        ({"report_keys": {}}, "has no report_key"),
        ({"security_enabled": False}, "is open to everybody"),
        ({"security_enabled": False, "report_key": KEY}, "is open to everybody"),
        ({"report_key": KEY}, ""),
        ({"report_keys": {"alice": KEY}}, ""),
        ({"authorize": lambda _: None}, ""),
        ({"authorize": lambda _: None, "security_enabled": True}, ""),
    ],
)
def test_the_log_says_once_at_the_start_that_nobody_needs_a_key(
    client_of: MakeClient, caplog: pytest.LogCaptureFixture, settings: dict[str, Any], words: str
) -> None:
    client = client_of(**settings)
    for _ in range(3):
        client.get("/lens/")
    told = [one.message for one in caplog.records if one.levelname == "WARNING"]
    assert len(told) == bool(words)
    assert words in "".join(told)


def test_an_open_lens_answers_everybody_and_says_so_once(
    client_of: MakeClient, caplog: pytest.LogCaptureFixture
) -> None:
    client = client_of(security_enabled=False, address="10.0.0.7", base_url="http://public")
    assert client.get("/lens/report").status_code == 200
    assert client.get("/lens/").status_code == 200
    assert [record.message for record in caplog.records if "open to everybody" in record.message]


@given(
    st.text(max_size=60) | st.sampled_from(["//e.com", "/lens/../x", "/lens//e", "/lens/%2e%2e"])
)
def test_the_way_on_after_signing_in_never_leaves_the_admin(target: str) -> None:
    assert safe_next(target, "/lens").startswith("/lens/")
    assert safe_next("/lens/" + target, "/lens").startswith("/lens/")


@pytest.mark.parametrize(
    "target",
    [
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "https://evil.example",
        "javascript:alert(1)",
        "/lens/../../evil",
        "/lens/%2e%2e/x",
        "/lens//evil.example",
        "/lens/\\evil.example",
        "/lensx/",
        "/other/",
        "/lens/\n/x",
        "",
        "/lens/\t",
        "/lens/a b",
        "/lens/\x7f",
        "/lens/%2E%2E/x",
        "/lens/?report_key=of-somebody-else",
        "/lens/" + "x" * (MAX_NEXT_LENGTH - 5),
    ],
)
def test_a_way_on_that_is_not_the_admins_becomes_its_start_page(target: str) -> None:
    assert safe_next(target, "/lens") == "/lens/"


def test_a_way_on_within_the_admin_is_kept() -> None:
    longest = "/api/lens/" + "x" * (MAX_NEXT_LENGTH - 10)
    for target in (
        *("/api/lens/", "/api/lens/endpoints/00ab?days=7", "/api/lens/?q=a%2Fb"),
        *("/api/lens/!", "/api/lens/~", "/api/lens/?q=%2e%2e", "/api/lens/requests/", longest),
    ):
        assert safe_next(target, "/api/lens") == target


@pytest.mark.parametrize(
    ("asked", "back"),
    [
        ("/lens/requests?status=5xx", "/lens/requests?status=5xx"),
        ("/lens/requests/0123456789abcdef", "/lens/requests/0123456789abcdef"),
        ("/lens/exceptions/0123456789abcdef", "/lens/exceptions/0123456789abcdef"),
        ("/lens/settings", "/lens/settings"),
        ("/lens/dashboard?status=dead", "/lens/?status=dead"),
    ],
)
def test_every_page_is_what_one_comes_back_to_after_signing_in(
    client_of: MakeClient, asked: str, back: str
) -> None:
    client = client_of(report_key=KEY)
    led = client.get(asked).headers["location"]
    assert parse_qs(urlsplit(led).query)["next"] == [back]
    asked += f"{'&' if '?' in asked else '?'}report_key={KEY}"
    assert client.get(asked).headers["location"] == back


def test_a_form_that_came_too_late_leads_back_to_its_page(client_of: MakeClient) -> None:
    led = client_of(report_key=KEY).post("/lens/settings/retention").headers["location"]
    assert parse_qs(urlsplit(led).query)["next"] == ["/lens/settings"]
