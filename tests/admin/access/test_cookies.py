"""Each app's session has a cookie of its own, whatever else a browser has for the host."""

import re
from http.cookies import Morsel, SimpleCookie
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from hypothesis import example, given
from hypothesis import strategies as st

from fastapi_lens import lens_admin
from fastapi_lens.admin.access.cookies import MAX_VALUES, path_of
from tests.admin.access.test_keys import ALICE, CI, KEYS, MakeClient, client_with, session
from tests.support.pages import csrf_token

__all__ = ["client_with"]


def cookies_set(answer: Any) -> list[Morsel[str]]:
    found: SimpleCookie = SimpleCookie()
    for header in answer.headers.get_list("set-cookie"):
        found.load(header)
    return list(found.values())


def sign_in(client: TestClient, path: str = "/lens/login", key: str = ALICE) -> Morsel[str]:
    origin = str(client.base_url).rstrip("/")
    answer = client.post(path, data={"key": key}, headers={"origin": origin})
    assert answer.status_code == 303
    client.cookies.clear()
    (found,) = cookies_set(answer)
    return found


def test_two_apps_on_one_host_keep_their_sessions(client_with: MakeClient, tmp_path: Any) -> None:
    mine = session(client_with(report_keys=KEYS), ALICE)["Cookie"]
    apps = {
        "another name": client_with(report_keys=KEYS, app_name="two"),
        "the same name in another database": client_with(
            report_keys=KEYS, db_path=str(tmp_path / "other.db")
        ),
    }
    for what, other in apps.items():
        theirs = session(other, ALICE)["Cookie"]
        assert theirs.partition("=")[0] != mine.partition("=")[0], what
        both = {"Cookie": f"{mine}; {theirs}"}
        assert other.get("/lens/report", headers=both).status_code == 200
        assert other.get("/lens/report", headers={"Cookie": mine}).status_code == 403
    another_worker = client_with(report_keys=KEYS)
    assert another_worker.get("/lens/report", headers={"Cookie": mine}).status_code == 200


def test_a_session_is_found_among_cookies_of_the_same_name(client_with: MakeClient) -> None:
    client = client_with(report_keys=KEYS)
    name, _, mine = session(client, ALICE)["Cookie"].partition("=")
    reader = session(client, CI)["Cookie"].partition("=")[2]
    for others in (
        *([f"{name}=forged"], [f"{name}="], [f"{name}={mine[:-1]}"], ["a", "=", ";", f"x{name}=1"]),
        [f"{name}={number}" for number in range(MAX_VALUES - 1)],
        [f"{name}=same"] * 50,
    ):
        for sent in ([*others, f"{name}={mine}"], [f"{name}={mine}", *others]):
            headers = {"Cookie": "; ".join(sent)}
            assert client.get("/lens/report", headers=headers).status_code == 200, others
        # HTTP/2 may send each by itself.
        crumbs = [("Cookie", one) for one in [*others, f'{name}="{mine}"']]
        assert client.get("/lens/report", headers=crumbs).status_code == 200, others
    # The browser names the longer path first: that of the admin before that of the whole site.
    page = client.get("/lens/", headers={"Cookie": f"{name}={mine}; {name}={reader}"})
    assert "alice" in page.text
    assert "read only" not in page.text


def test_only_so_many_cookies_of_a_name_are_looked_at(client_with: MakeClient) -> None:
    client = client_with(report_keys=KEYS)
    mine = session(client, ALICE)["Cookie"]
    name = mine.partition("=")[0]
    many = "; ".join([*(f"{name}={number}" for number in range(MAX_VALUES)), mine])
    assert client.get("/lens/report", headers={"Cookie": many}).status_code == 403


def under(client_with: MakeClient, prefix: str, base_url: str, **settings: Any) -> TestClient:
    """A client of an application that has the admin under one more prefix, too."""
    client = client_with(report_keys=KEYS, **settings)
    app: Any = client.app
    app.include_router(lens_admin, prefix=prefix)
    return TestClient(app, base_url=base_url, follow_redirects=False)


@pytest.mark.parametrize(
    ("asked", "path"),
    [
        ("/lens", "/lens"),
        ("/t/orders-2.0_x~y/lens", "/t/orders-2.0_x~y/lens"),
        ("/t/a%3Bmax-age=0%3Bdomain=evil/lens", "/t"),
        ("/t/caf%C3%A9/lens", "/t"),
        ("/t/a%2Cb/lens", "/t"),
        ("/t/%22quoted%22/lens", "/t"),
        ("/t/a%20b/lens", "/t"),
        ("/t/a%0D%0Ab/lens", "/t"),
        ("/t/a@b/lens", "/t"),
    ],
)
def test_the_cookie_is_for_the_admins_path_as_far_as_it_can_be_written_in_one_way_only(
    client_with: MakeClient, asked: str, path: str
) -> None:
    client = under(client_with, "/t/{tenant}", "http://testserver")
    made = sign_in(client, f"{asked}/login")
    assert made["path"] == path
    assert (made["domain"], made["max-age"]) == ("", "86400")
    cookie = {"Cookie": f"{made.key}={made.value}"}
    page = client.get(f"{asked}/", headers=cookie)
    assert page.status_code == 200
    token = csrf_token(page.text)
    out = client.post(
        f"{asked}/logout",
        data={"csrf_token": token},
        headers={"origin": "http://testserver", **cookie},
    )
    (gone,) = cookies_set(out)
    assert (gone.key, gone["path"], gone["max-age"]) == (made.key, path, "0")


@pytest.mark.parametrize(
    ("asked", "begins", "path"),
    [("/lens", "__Secure-", "/lens"), ("/%C3%A9/lens", "__Host-", "/")],
)
def test_under_https_nobody_else_can_set_or_keep_the_cookie(
    client_with: MakeClient, asked: str, begins: str, path: str
) -> None:
    client = under(client_with, "/{tenant}", "https://testserver")
    made = sign_in(client, f"{asked}/login")
    assert made.key.startswith(begins)
    assert (made["secure"], made["path"]) == (True, path)
    cookie = {"Cookie": f"{made.key}={made.value}"}
    page = client.get(f"{asked}/", headers=cookie)
    token = csrf_token(page.text)
    # What a site without encryption could have set is no session here.
    plain = made.key.removeprefix(begins)
    assert (
        client.get("/lens/report", headers={"Cookie": f"{plain}={made.value}"}).status_code == 403
    )
    out = client.post(
        f"{asked}/logout",
        data={"csrf_token": token},
        headers={"origin": "https://testserver", **cookie},
    )
    (gone,) = cookies_set(out)
    assert (gone.key, gone["path"], gone["secure"], gone["max-age"]) == (made.key, path, True, "0")


def test_the_cookie_is_for_the_path_that_the_client_uses(client_with: MakeClient) -> None:
    inner: Any = client_with(report_keys=KEYS).app
    outer = FastAPI()
    outer.mount("/api", inner)
    mounted = TestClient(outer, follow_redirects=False)
    assert sign_in(mounted, "/api/lens/login")["path"] == "/api/lens"
    stripped = TestClient(inner, root_path="/orders", follow_redirects=False)
    assert sign_in(stripped)["path"] == "/orders/lens"


@example("0\n")  # `$` in a regular expression also stands before a line break at the end.
@given(st.text(max_size=40))
def test_no_path_of_a_cookie_says_anything_else(base: str) -> None:
    path = path_of("/" + base)
    assert re.fullmatch(r"(/[A-Za-z0-9._~-]+)+|/", path)
    assert ("/" + base + "/").startswith(path.rstrip("/") + "/")
