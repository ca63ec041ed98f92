"""`LensConfig(authorize=…)`: the host's own check decides, whatever it does."""

import asyncio
import json
import logging
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi import FastAPI, HTTPException, Request
from fastapi.testclient import TestClient

from fastapi_lens import Access, LensConfig, LensMiddleware, Scope, lens_admin
from fastapi_lens.admin.access.authorize_hook import Denied, Hook
from fastapi_lens.storage.schema.tables import AUDIT, THROTTLE
from tests.recording.probe import lens_of
from tests.support.pages import csrf_token

ORIGIN = {"origin": "http://testserver"}
FRAGMENT = {"HX-Request": "true", "HX-Request-Type": "partial"}
EVERYTHING = (
    *("/lens/", "/lens/requests", "/lens/settings", "/lens/settings/now", "/lens/requests/new"),
    *("/lens/endpoints.csv", "/lens/endpoints.json", "/lens/requests.csv", "/lens/requests.json"),
    *("/lens/report", "/lens/report/top", "/lens/report/dead", "/usage", "/lens/nothing-here"),
)


def site(folder: Path, hook: Any, **settings: Any) -> TestClient:
    app = FastAPI()
    app.add_api_route("/works", lambda: "yes")
    config = LensConfig(
        authorize=hook,
        db_path=str(folder / "lens.db"),
        app_name="hooked",
        report_path="/usage",
        flush_interval=3600.0,
        **settings,
    )
    app.add_middleware(LensMiddleware, config=config)
    app.include_router(lens_admin)
    client = TestClient(app, follow_redirects=False)
    client.get("/works")
    assert lens_of(app).flusher.flush()
    return client


@pytest.fixture
def hooked(tmp_path: Path) -> Iterator[Any]:
    """Makes clients of applications with a hook."""
    made: list[TestClient] = []

    def make(hook: Any, **settings: Any) -> TestClient:
        made.append(site(tmp_path, hook, **settings))
        return made[-1]

    yield make
    for client in made:
        lens_of(client.app).stop()


def by_header(request: Request) -> Access | Scope | None:
    """People say who they are."""
    name = request.headers.get("x-user")
    if name == "reader":
        return Scope.READ
    return Access(Scope.ADMIN, name) if name else None


async def later(request: Request) -> Access | Scope | None:
    await asyncio.sleep(0)
    return by_header(request)


class Callable:
    async def __call__(self, request: Request) -> Access | Scope | None:
        return by_header(request)


def test_a_hook_decides_about_pages_reports_exports_and_refreshes(hooked: Any) -> None:
    client = hooked(by_header)
    for path in EVERYTHING:
        for more in ({}, FRAGMENT):
            refused = client.get(path, headers=more)
            assert refused.status_code == 403, path
            assert "/works" not in refused.text
            seen = client.get(path, headers={**more, "x-user": "reader"})
            assert seen.status_code in (200, 303, 404), path
    assert client.get("/works").status_code == 200


@pytest.mark.parametrize(
    "hook",
    [by_header, later, Callable(), partial(partial(later)), lambda one: later(one)],  # noqa: PLW0108  Sync, with something to await.
    ids=["sync", "async", "async object", "partial", "lambda"],
)
def test_a_hook_may_be_whatever_can_be_called(hook: Any) -> None:
    def ask(name: bytes) -> Access | Denied:
        scope = {"type": "http", "headers": [(b"x-user", name)]}
        return asyncio.run(Hook(hook).ask(Request(scope)))

    assert ask(b"reader") == Access(Scope.READ)
    assert ask(b"ada") == Access(Scope.ADMIN, "ada")
    assert isinstance(ask(b""), Denied)


def test_forms_need_the_scope_the_origin_and_the_persons_token(hooked: Any) -> None:
    client = hooked(by_header)

    def token(name: str) -> str:
        page = client.get("/lens/settings", headers={"x-user": name}).text
        return csrf_token(page)

    def post(name: str, sent: str, **headers: str) -> int:
        version = {"version": "0", "cold_threshold_days": "3", "dead_threshold_days": "30"}
        form = {"csrf_token": sent, "slow_threshold_ms": "500", **version}
        headers = {**ORIGIN, "x-user": name, **headers}
        status: int = client.post(
            "/lens/settings/thresholds", data=form, headers=headers
        ).status_code
        return status

    adas, bobs = token("ada"), token("bob")
    assert adas != bobs
    assert post("reader", adas) == 403
    assert post("", adas) == 403
    assert post("ada", bobs) == 403
    assert post("ada", "") == 403
    assert post("ada", adas, origin="http://evil.example") == 403
    assert post("ada", adas) == 303
    with lens_of(client.app).database.read() as connection:
        assert connection.execute(sa.select(AUDIT.c.actor)).scalars().all() == ["ada"]


def test_what_a_hook_raises_for_the_client_is_the_answer(hooked: Any) -> None:
    errors = {
        "login": HTTPException(303, headers={"Location": "/login?next=x"}),
        "token": HTTPException(401, "say who you are", {"WWW-Authenticate": "Bearer"}),
        "down": HTTPException(
            503, {"reason": "no text"}, {"Retry-After": "7", "Content-Type": "x"}
        ),
        "success": HTTPException(204, headers={"Location": "/elsewhere"}),
        "nowhere": HTTPException(304),
    }

    def hook(request: Request) -> None:
        raise errors[request.headers["x-case"]]

    client = hooked(hook)

    def ask(case: str, path: str = "/lens/", **headers: str) -> Any:
        return client.get(path, headers={"x-case": case, **headers})

    for path in ("/lens/", "/lens/report"):
        led = ask("login", path)
        assert (led.status_code, led.headers["location"]) == (303, "/login?next=x")
        told = ask("token", path)
        assert (told.status_code, told.headers["www-authenticate"]) == (401, "Bearer")
        assert "ay who you are" in told.text
        down = ask("down", path)
        assert (down.status_code, down.headers["retry-after"]) == (503, "7")
        assert "does not grant you access" in down.text
        assert down.headers["content-type"].startswith(("text/html", "application/json"))
        assert ask("success", path).status_code == 403
        assert ask("nowhere", path).status_code == 403
    fragment = ask("login", **FRAGMENT)
    assert (fragment.status_code, fragment.headers["hx-redirect"]) == (200, "/login?next=x")
    assert ask("token", **FRAGMENT).status_code == 401
    assert "content-security-policy" in ask("token").headers


@pytest.mark.parametrize(
    "location", ["https://sso.example/login?next=/lens/&x=1", "/login", "//sso.example/", "login"]
)
@pytest.mark.parametrize("status", [302, 303, 307])
def test_a_form_that_came_too_late_leads_to_the_login_of_the_host_by_a_page(
    hooked: Any, location: str, status: int
) -> None:
    def hook(request: Request) -> None:
        raise HTTPException(status, headers={"Location": location})

    client = hooked(hook)
    for path in ("/lens/settings/retention", "/lens/settings/danger", "/lens/logout"):
        answer = client.post(path, data={"ttl_days": "3"}, headers=ORIGIN)
        # Not by a redirect, which no browser follows to another site from a form of ours.
        assert answer.status_code == 403
        assert "location" not in answer.headers
        assert answer.headers["refresh"] == f"0; url={location}"
        assert f'href="{location.replace("&", "&amp;")}"' in answer.text
        assert "Nothing was changed" in answer.text
        fragment = client.post(path, headers={**ORIGIN, **FRAGMENT})
        assert fragment.headers["hx-redirect"] == location
    assert client.get("/lens/").headers["location"] == location


@pytest.mark.parametrize("location", ["javascript:alert(1)", "data:text/html,x", "http://["])
def test_a_form_that_came_too_late_leads_to_no_script(hooked: Any, location: str) -> None:
    def hook(request: Request) -> None:
        raise HTTPException(303, headers={"Location": location})

    answer = hooked(hook).post("/lens/settings/retention", headers=ORIGIN)
    assert answer.status_code == 403
    assert "javascript" not in answer.text
    assert "data:" not in answer.text


def broken(request: Request) -> None:
    raise LookupError("the user table is gone")


@pytest.mark.parametrize(
    "hook", [broken, lambda request: "yes", lambda request: True, lambda: Scope.ADMIN]
)
def test_a_hook_that_fails_opens_nothing_and_is_logged_once_a_minute(
    hooked: Any, hook: Any, caplog: pytest.LogCaptureFixture
) -> None:
    client = hooked(hook)
    for path in EVERYTHING:
        answer = client.get(path)
        assert answer.status_code == 403
        assert "its log says why" in answer.text
        assert "user table" not in answer.text
    assert client.post("/lens/settings/retention", headers=ORIGIN).status_code == 403
    assert client.get("/works").status_code == 200
    (record,) = [one for one in caplog.records if one.levelno == logging.ERROR]
    assert record.exc_info is not None
    assert "authorize has failed" in record.message


def test_a_hook_is_complained_of_again_after_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    now = [0.0]
    hook = Hook(broken, clock=lambda: now[0])
    request = Request({"type": "http", "headers": []})
    for now[0] in (0.0, 59.0, 60.0, 61.0):
        assert isinstance(asyncio.run(hook.ask(request)), Denied)
    assert len(caplog.records) == 2


def test_a_sync_hook_does_not_hold_up_the_event_loop() -> None:
    loop_thread = threading.get_ident()
    ran_in: list[int] = []

    def slow(request: Request) -> Scope:
        ran_in.append(threading.get_ident())
        return Scope.READ

    assert asyncio.run(Hook(slow).ask(Request({"type": "http", "headers": []}))) == Access(
        Scope.READ
    )
    assert ran_in != [loop_thread]


def test_a_hook_sees_no_body_so_that_the_form_is_left_for_the_check(
    hooked: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def greedy(request: Request) -> Scope:
        await request.body()
        return Scope.ADMIN

    assert hooked(greedy).post("/lens/settings/retention", headers=ORIGIN).status_code == 403
    assert "RuntimeError" in caplog.text


def test_with_a_hook_there_is_nothing_to_sign_in_with_and_nothing_to_guess(hooked: Any) -> None:
    client = hooked(by_header)
    ada = {"x-user": "ada"}
    for answer in (
        client.get("/lens/login"),
        client.post("/lens/login", data={"key": "guess"}, headers=ORIGIN),
        client.post("/lens/logout", headers=ORIGIN),
        client.get("/lens/report", headers={"X-Lens-Key": "guess"}),
    ):
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers
        assert 'type="password"' not in answer.text
    assert client.get("/lens/login?next=/lens/settings", headers=ada).headers["location"] == (
        "/lens/settings"
    )
    led = client.get("/lens/?report_key=left-over&q=x", headers=ada).headers["location"]
    assert led == "/lens/login?next=%2Flens%2F%3Fq%3Dx"
    assert "/lens/logout" not in client.get("/lens/", headers=ada).text
    with lens_of(client.app).database.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(THROTTLE)).scalar() == 0


def test_a_hook_may_be_named_in_the_environment(
    hooked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LENS_AUTHORIZE", "json:dumps")
    assert LensConfig().authorize is json.dumps


def test_names_fit_the_header_and_the_audit_log() -> None:
    assert Access("read", "a\nb" + "x" * 300).name == "a b" + "x" * 197  # type: ignore[arg-type]
    assert Access(Scope.ADMIN, " ").name == "authorize"
    with pytest.raises(ValueError, match="everything"):
        Access("everything")  # type: ignore[arg-type]
