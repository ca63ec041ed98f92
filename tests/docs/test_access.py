"""The examples of docs/access.md run as they stand there."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from fastapi import Request
from fastapi.testclient import TestClient

from tests.recording.probe import lens_of

DOCUMENT = (Path(__file__).parents[2] / "docs" / "access.md").read_text(encoding="utf-8")


def example(name: str) -> dict[str, Any]:
    found = re.search(rf"<!-- example: {name} -->\n```python\n(.*?)```", DOCUMENT, re.DOTALL)
    assert found is not None
    namespace: dict[str, Any] = {"__name__": name}
    exec(compile(found[1], "access.md", "exec"), namespace)  # noqa: S102  Our own document.
    return namespace


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("LENS_DB_PATH", ":memory:")
    made: list[dict[str, Any]] = []

    def start(name: str) -> dict[str, Any]:
        made.append(example(name))
        return made[-1]

    yield start
    for namespace in made:
        lens_of(namespace["app"]).stop()


def test_a_dependency_guards_the_admin_before_the_key_does(run: Any) -> None:
    client = TestClient(run("dependencies")["app"], follow_redirects=False)
    office, key = {"X-Office": "yes"}, {"X-Lens-Key": "choose-a-secret"}
    for sent, status in (({}, 404), (key, 404), (office, 403), (office | key, 200)):
        assert client.get("/lens/report", headers=sent).status_code == status


def test_users_with_a_jwt_look_by_their_role(run: Any) -> None:
    names = run("jwt")
    client = TestClient(names["app"], follow_redirects=False)

    def token(**claims: object) -> str:
        return jwt.encode(claims, names["SECRET"], algorithm="HS256")

    ops, developer = token(sub="ada", role="ops"), token(sub="bob", role="developer")
    guest, expired = token(sub="eve", role="guest"), token(sub="ada", role="ops", exp=1)
    for sent, status in (
        ({}, 403),
        ({"Authorization": f"Bearer {ops}"}, 200),
        ({"Authorization": f"Bearer {developer}"}, 200),
        ({"Authorization": f"Bearer {guest}"}, 403),
        ({"Authorization": f"Bearer {expired}"}, 403),
        ({"Authorization": "Bearer nonsense"}, 403),
        ({"Cookie": f"access_token={developer}"}, 200),
    ):
        for path in ("/lens/report", "/lens/", "/lens/endpoints.csv"):
            assert client.get(path, headers=sent).status_code == status, (path, sent)
    sent = {"Origin": "http://testserver", "Cookie": f"access_token={developer}"}
    refused = client.post("/lens/settings/thresholds", headers=sent)
    assert refused.status_code == 403
    assert "is read-only" in refused.text


def test_users_of_a_session_are_sent_to_the_applications_login_and_come_back(run: Any) -> None:
    app = run("session")["app"]

    def log_in(request: Request, user_id: int) -> None:
        request.session["user_id"] = user_id

    app.add_api_route("/login", log_in, methods=["POST"])
    client = TestClient(app, follow_redirects=False)
    led = client.get("/lens/settings")
    assert (led.status_code, led.headers["location"]) == (303, "/login?next=%2Flens%2Fsettings")
    client.post("/login?user_id=8")
    assert client.get("/lens/settings").status_code == 403
    client.post("/login?user_id=7")
    assert client.get("/lens/settings").status_code == 200
    assert client.get("/lens/report").status_code == 200
