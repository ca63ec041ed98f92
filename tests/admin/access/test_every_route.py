"""No path of the router's own table answers without access: a route that forgets fails here."""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, HTTPException
from fastapi.testclient import TestClient
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from fastapi_lens import KeyConfig, LensConfig, LensMiddleware, lens_admin
from fastapi_lens.admin import router
from tests.recording.probe import lens_of
from tests.support.pages import csrf_token, form_actions

KEY = "the-key-of-the-matrix"
SECRET_PATH = "/only-for-those-who-may-look"
REPORTS = ("/usage", "/usage/top", "/usage/dead")
"""The usage report at `report_path`, outside the router."""

METHODS = ("GET", "POST")
OTHER_METHODS = ("HEAD", "PUT", "PATCH", "DELETE", "OPTIONS")
"""Which no page takes, or which are another one: tried without a key only."""

ORIGIN = {"origin": "http://testserver"}


def is_open(path: str) -> bool:
    """True for a path that needs no session: the login form and the static files."""
    return path == "/login" or path.startswith("/static/")


def paths() -> list[str]:
    """Every path of the table, with something in place of its parameters."""
    patterns = [page.pattern.pattern for page in router.PAGES]
    return [
        re.sub(r"\(\?P<\w+>.*?\)", "00ab", one).strip("^$").replace("\\", "") for one in patterns
    ]


def client(folder: Path, *, key: str = KEY, name: str = "one", **settings: Any) -> TestClient:
    app = FastAPI()
    app.add_api_route(SECRET_PATH, lambda: None)
    config = LensConfig(
        db_path=str(folder / "lens.db"),
        report_key=key,
        app_name=name,
        flush_interval=3600.0,
        login_max_failures=10_000,
        report_path=REPORTS[0],
        **settings,
    )
    app.add_middleware(LensMiddleware, config=config)
    app.include_router(lens_admin)
    made = TestClient(app, follow_redirects=False)
    made.get(SECRET_PATH)
    assert lens_of(app).flusher.flush()
    return made


def cookie(client: TestClient, key: str = KEY) -> str:
    answer = client.post("/lens/login", data={"key": key}, headers=ORIGIN)
    client.cookies.clear()
    value: str = answer.headers["set-cookie"].partition(";")[0]
    return value


def sign_out(client: TestClient, session: str) -> None:
    page = client.get("/lens/", headers={"Cookie": session}).text
    token = csrf_token(page)
    headers = {**ORIGIN, "Cookie": session}
    out = client.post("/lens/logout", data={"csrf_token": token}, headers=headers)
    assert out.headers["location"] == "/lens/login"
    client.cookies.clear()


@pytest.fixture(scope="module")
def credentials(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[TestClient, Any]]:
    """A client, and what opens nothing, by name."""
    folder = tmp_path_factory.mktemp("matrix")
    site = client(folder)
    others = {"other app": client(folder, name="two"), "old key": client(folder, key="old")}
    good, gone = cookie(site), cookie(site)
    for path in ("/lens/report", REPORTS[0]):
        assert SECRET_PATH in site.get(path, headers={"Cookie": good}).text
    sign_out(site, gone)
    middle = len(good) - 10
    yield (
        site,
        {
            "no key": {},
            "wrong key": {"X-Lens-Key": "wrong"},
            "wrong key with a session": {"X-Lens-Key": "wrong", "Cookie": good},
            "wrong bearer": {"Authorization": "Bearer wrong"},
            "empty key": {"X-Lens-Key": ""},
            "empty session": {"Cookie": good.partition("=")[0] + "="},
            "tampered": {
                "Cookie": good[:middle] + ("A" if good[middle] != "A" else "B") + good[middle + 1 :]
            },
            "cut short": {"Cookie": good[:-5]},
            "other app's": {"Cookie": cookie(others["other app"])},
            "signed out": {"Cookie": gone},
            "before the key changed": {"Cookie": cookie(others["old key"], "old")},
        },
    )
    for one in (site, *others.values()):
        lens_of(one.app).stop()


def answering(site: TestClient, refused: Any) -> set[tuple[str, str, str]]:
    """Path, method and credentials of what answers in spite of them."""
    found = [f"/lens{path}" for path in paths() if not is_open(path)]
    cases = [(method, name) for method in METHODS for name in refused]
    cases += [(method, "no key") for method in OTHER_METHODS]
    return {
        (path, method, name)
        for path in (*found, *REPORTS)
        for method, name in cases
        if not refuses(site, path, method, refused[name])
    }


def refuses(site: TestClient, path: str, method: str, headers: dict[str, str]) -> bool:
    answer = site.request(method, path, headers={**ORIGIN, **headers})
    told = answer.text + str(answer.headers)
    if SECRET_PATH in told or KEY in told:
        return False
    if answer.status_code in (303, 307):
        led: str = answer.headers["location"]
        return led.startswith("/lens/login?")
    # What is no route of the host's at all is not found.
    gone = answer.status_code == 404 and path in REPORTS and method not in ("GET", "HEAD")
    return answer.status_code in (403, 405) or gone


@pytest.mark.unmeasured
def test_no_route_answers_any_method_without_access(
    credentials: tuple[TestClient, Any],
) -> None:
    found = paths()
    assert {"/", "/settings", "/endpoints.csv", "/report", "/endpoints/00ab", "/logout"} <= set(
        found
    )
    assert answering(*credentials) == set()


async def forgetful(request: Request) -> Response:
    return PlainTextResponse("the keys of the kingdom")


async def changing(request: Request) -> Response:
    return RedirectResponse("/lens/settings?saved=everything", 303)


async def failing(request: Request) -> Response:
    raise HTTPException(404)


@pytest.mark.unmeasured
def test_a_route_that_forgets_the_check_is_found_out(
    credentials: tuple[TestClient, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    site, refused = credentials
    added = (
        router.answer_at("/forgotten", forgetful),
        router.answer_at("/login-as/{name}", forgetful),
        router.answer_at("/change", changing, "POST"),
        router.answer_at("/missing", failing),
    )
    monkeypatch.setattr(router, "PAGES", (*added, *router.PAGES))
    few = {name: refused[name] for name in ("no key", "tampered")}
    found = {(path, method) for path, method, _ in answering(site, few)}
    assert found == {
        ("/lens/forgotten", "GET"),
        ("/lens/forgotten", "HEAD"),
        ("/lens/login-as/00ab", "GET"),
        ("/lens/login-as/00ab", "HEAD"),
        ("/lens/change", "POST"),
        ("/lens/missing", "GET"),
        ("/lens/missing", "HEAD"),
    }


def test_everything_of_the_admin_is_in_the_table_that_is_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(lens_admin.routes) == 1
    site, found = client(tmp_path), paths()
    monkeypatch.setattr(router, "PAGES", ())
    for path in found:
        answer = site.get(f"/lens{path}", headers={"X-Lens-Key": KEY})
        assert (path, answer.status_code) == (path, 404)
    lens_of(site.app).stop()


OWN_POSTS = {"/lens/logout", "/lens/logout/everywhere"}
"""POST routes that a read-only session may use."""


@pytest.mark.unmeasured
def test_who_may_only_look_is_shown_no_form_and_refused_by_every_post(tmp_path: Path) -> None:
    reader = KeyConfig("who-only-looks", scope="read")
    site = client(tmp_path, report_keys={"reader": reader})
    session = {"Cookie": cookie(site, reader.key)}
    home = site.get("/lens/", headers=session).text
    token = csrf_token(home)
    shown = 0
    for path in (f"/lens{one}" for one in paths()):
        answer = site.get(path, headers=session)
        assert set(form_actions(answer.text)) <= OWN_POSTS, path
        shown += answer.status_code == 200
        if path in OWN_POSTS or is_open(path.removeprefix("/lens")):
            continue
        sent = {**ORIGIN, **session}
        refused = site.post(path, data={"csrf_token": token}, headers=sent)
        assert refused.status_code in (403, 405), path
    assert shown > 8
    lens_of(site.app).stop()


def test_an_expired_session_opens_no_route(tmp_path: Path) -> None:
    site = client(tmp_path)
    good = cookie(site)
    later = time.time() + 30 * 86_400
    lens_of(site.app).clock = lambda: later
    for path in (one for one in paths() if not is_open(one)):
        answer = site.get(f"/lens{path}", headers={"Cookie": good})
        # What takes a POST alone is no page.
        assert answer.status_code in (303, 307, 403, 405), path
        assert SECRET_PATH not in answer.text
    lens_of(site.app).stop()
