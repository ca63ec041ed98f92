"""No form of another site changes anything, and no link does."""

from collections.abc import Iterator

import pytest

from benchmarks.support.rows import table_rows
from fastapi_lens.admin import router
from fastapi_lens.storage.schema.tables import SETTING
from tests.attack.asgi import Answer, Header, Raw
from tests.attack.fuzzing import table
from tests.attack.target import FORM, KEY, ORIGIN, Target, build
from tests.support.pages import csrf_token

HOST: Header = (b"host", b"testserver")
OWN: Header = (b"origin", ORIGIN.encode())

FOREIGN: dict[str, list[Header]] = {
    "no origin": [],
    "another site": [(b"origin", b"https://evil.example")],
    "a frame without an origin": [(b"origin", b"null")],
    "an origin that is no address": [(b"origin", b"http://[")],
    "an empty origin": [(b"origin", b"")],
    "a name that begins alike": [(b"origin", b"http://testserver.evil.example")],
    "a name that ends alike": [(b"origin", b"http://eviltestserver")],
    "a name in front of the host": [(b"origin", b"http://testserver@evil.example")],
    "another port": [(b"origin", b"http://testserver:8080")],
    "a neighbouring name": [OWN, (b"sec-fetch-site", b"same-site")],
    "another site, as the browser says": [OWN, (b"sec-fetch-site", b"cross-site")],
    "what no browser says": [OWN, (b"sec-fetch-site", b"same-origin, none")],
}


@pytest.fixture
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    found = build(tmp_path_factory.mktemp("forged"))
    yield found
    found.close()


def posts() -> list[str]:
    """Every path of the table that takes a form."""
    taking = [page.methods for page in router.PAGES]
    paths = [f"/lens{path}" for path in table()]
    found = [path for path, methods in zip(paths, taking, strict=True) if "POST" in methods]
    return [
        path.replace("{}", name)
        for path in found
        for name in (("retention", "thresholds", "rules") if "{}" in path else ("",))
    ]


def post(target: Target, path: str, *headers: Header, token: str) -> Answer:
    form = f"csrf_token={token}&version=0&ttl_days=3&key={KEY}&confirm=fuzzed"
    return target.call(Raw("POST", path, headers=(HOST, FORM, *headers), body=(form.encode(),)))


def test_forms_of_other_sites_are_refused_by_every_page(target: Target) -> None:
    session = target.good["session"]
    assert {"/lens/settings/retention", "/lens/logout", "/lens/login"} <= set(posts())
    for path in posts():
        for name, headers in FOREIGN.items():
            answer = post(target, path, session, *headers, token=target.token)
            assert (path, name, answer.status) == (path, name, 403)
            assert not answer.header("set-cookie")
    assert table_rows(target.lens.database, SETTING) == []


def test_a_form_without_the_sessions_own_token_is_refused_by_every_page(target: Target) -> None:
    session = target.good["session"]
    login = Raw("POST", "/lens/login", headers=(HOST, OWN, FORM), body=(f"key={KEY}".encode(),))
    other = target.call(login).header("set-cookie").partition(";")[0].encode()
    page = target.call(Raw(path="/lens/", headers=(HOST, (b"cookie", other)))).text
    foreign = csrf_token(page)
    for path in (one for one in posts() if one != "/lens/login"):
        for token in ("", "0" * 32, target.token[:-1], target.token.upper(), foreign, "é"):
            assert (path, post(target, path, session, OWN, token=token).status) == (path, 403)
    assert table_rows(target.lens.database, SETTING) == []


def test_a_site_that_rebinds_its_name_gets_no_form_through_either(target: Target) -> None:
    rebound: Header = (b"host", b"rebound.example")
    origin: Header = (b"origin", b"http://rebound.example")
    for path in (one for one in posts() if one != "/lens/login"):
        answer = target.call(Raw("POST", path, headers=(rebound, FORM, origin)))
        # The browser keeps the session's cookie to the name that it was given to.
        assert answer.status in (303, 403)
    assert table_rows(target.lens.database, SETTING) == []


def test_the_same_form_of_our_own_page_goes_through(target: Target) -> None:
    session = target.good["session"]
    answer = post(target, "/lens/settings/retention", session, OWN, token=target.token)
    assert answer.status == 303
    (row,) = table_rows(target.lens.database, SETTING)
    assert "3" in row.value


def test_no_link_changes_a_setting_or_ends_a_session(target: Target) -> None:
    session = target.good["session"]
    query = f"csrf_token={target.token}&version=0&ttl_days=3&confirm=fuzzed".encode()
    for path in (f"/lens{one}".replace("{}", "retention") for one in table()):
        for method in ("GET", "HEAD"):
            answer = target.call(Raw(method, path, query, headers=(HOST, OWN, session)))
            assert not answer.header("set-cookie"), path
    assert table_rows(target.lens.database, SETTING) == []
    assert target.call(Raw(path="/lens/", headers=(HOST, session))).status == 200
