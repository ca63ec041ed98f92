"""No path of the router's own table answers without access: a route that forgets fails here."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from itsdangerous import TimestampSigner

from fastapi_lens import LensConfig, LensMiddleware, lens_admin
from fastapi_lens.admin import router
from tests.recording.probe import lens_of

KEY = "the-key-of-the-matrix"
SECRET_PATH = "/only-for-those-who-may-look"
OPEN = ("/static/", "/login")
"""What answers everybody: the login form, and the files that it needs."""

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
ORIGIN = {"origin": "http://testserver"}


def paths() -> list[str]:
    """Every path of the table, with something in place of its parameters."""
    patterns = [page.pattern.pattern for page in router._PAGES]
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


@pytest.fixture(scope="module")
def credentials(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[TestClient, Any]]:
    """A client, and what opens nothing, by name."""
    folder = tmp_path_factory.mktemp("matrix")
    site = client(folder)
    others = {"other app": client(folder, name="two"), "old key": client(folder, key="old")}
    good = cookie(site)
    assert SECRET_PATH in site.get("/lens/report", headers={"Cookie": good}).text
    middle = len(good) - 10
    yield (
        site,
        {
            "no key": {},
            "wrong key": {"X-Lens-Key": "wrong"},
            "wrong key with a session": {"X-Lens-Key": "wrong", "Cookie": good},
            "wrong bearer": {"Authorization": "Bearer wrong"},
            "empty key": {"X-Lens-Key": ""},
            "empty session": {"Cookie": "lens_session="},
            "tampered": {
                "Cookie": good[:middle] + ("A" if good[middle] != "A" else "B") + good[middle + 1 :]
            },
            "cut short": {"Cookie": good[:-5]},
            "other app's": {"Cookie": cookie(others["other app"])},
            "before the key changed": {"Cookie": cookie(others["old key"], "old")},
        },
    )
    for one in (site, *others.values()):
        lens_of(one.app).stop()


def test_no_route_answers_any_method_without_access(
    credentials: tuple[TestClient, Any],
) -> None:
    site, refused = credentials
    found = paths()
    assert {"/", "/settings", "/export.csv", "/report", "/endpoints/00ab"} <= set(found)
    for path in (one for one in found if not one.startswith(OPEN)):
        for method in METHODS:
            for name, headers in refused.items():
                answer = site.request(method, f"/lens{path}", headers={**ORIGIN, **headers})
                case = (method, path, name, answer.status_code)
                assert answer.status_code in (303, 307, 403, 405), case
                assert SECRET_PATH not in answer.text, case
                assert KEY not in answer.text + str(answer.headers), case
                if answer.status_code in (303, 307):
                    assert answer.headers["location"].startswith(
                        ("/lens/login", "/lens/") if path in ("", "/logout") else "/lens/login"
                    ), case


def test_an_expired_session_opens_no_route(tmp_path: Path) -> None:
    site = client(tmp_path, session_max_age=1)
    good = cookie(site)
    with pytest.MonkeyPatch.context() as patch:
        now = TimestampSigner.get_timestamp
        patch.setattr(TimestampSigner, "get_timestamp", lambda self: now(self) + 60)
        for path in (one for one in paths() if not one.startswith((*OPEN, "/logout"))):
            answer = site.get(f"/lens{path}", headers={"Cookie": good})
            # What takes a POST alone is no page.
            assert answer.status_code in (303, 307, 403, 405), path
            assert SECRET_PATH not in answer.text
    lens_of(site.app).stop()
