from collections.abc import Callable

import pytest
from fastapi import APIRouter, FastAPI

from fastapi_lens import create_lens_admin, lens_admin
from tests.admin.conftest import Site
from tests.support import releases


def test_a_page_that_is_none_is_not_found(site: Site) -> None:
    page = site.get("/lens/reports/of/all/kinds")
    assert page.status_code == 404
    assert "No such page in the lens." in page.text
    assert 'href="/lens/endpoints"' in page.text


def test_a_page_that_is_none_asks_for_the_key_like_all_others(
    make_site: Callable[..., Site],
) -> None:
    page = make_site(report_key="secret").get("/lens/none")
    assert page.status_code == 303
    assert page.headers["location"].startswith("/lens/login?")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [("POST", "/lens/", "GET"), ("POST", "/lens/report", "GET"), ("GET", "/lens/logout", "POST")],
)
def test_another_method_than_that_of_the_page_is_not_allowed(
    site: Site, method: str, path: str, allowed: str
) -> None:
    answer = site.client.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


def test_a_head_is_answered_like_a_get_without_its_body(site: Site) -> None:
    answer = site.client.head("/lens/")
    assert (answer.status_code, answer.content) == (200, b"")


def test_paths_that_only_begin_like_the_admin_belong_to_the_host(
    make_site: Callable[..., Site],
) -> None:
    app = FastAPI()
    app.include_router(lens_admin)
    app.add_api_route("/lenses", lambda: "mine")
    site = make_site(app, include=False)
    assert site.get("/lenses").json() == "mine"


def test_the_admin_is_one_route_so_that_requests_of_the_host_pass_it_quickly() -> None:
    assert len(create_lens_admin().routes) == 1


def test_the_admin_answers_where_it_was_included(make_site: Callable[..., Site]) -> None:
    app = FastAPI(openapi_url=None)
    app.add_api_route("/internal/lens/mine", lambda: "before")
    app.include_router(lens_admin, prefix="/internal")
    app.add_api_route("/{rest:path}", lambda rest: rest)
    site = make_site(app, include=False)
    assert site.get("/internal/lens/mine").json() == "before"
    assert "<html" in site.get("/internal/lens/").text
    assert site.get("/internal/lens/login").headers["location"] == "/internal/lens/"
    assert site.client.head("/internal/lens/report").status_code == 200
    assert site.get("/internal/lensing").json() == "internal/lensing"


def test_routers_of_the_host_stay_as_they_are(make_site: Callable[..., Site]) -> None:
    app, mine, around = FastAPI(openapi_url=None), APIRouter(), APIRouter()
    mine.add_api_route("/mine", lambda: "mine")
    around.include_router(lens_admin)
    around.add_api_route("/yours", lambda: "yours")
    app.include_router(mine)
    app.include_router(around)
    routes = list(app.routes)
    site = make_site(app, include=False)
    assert list(map(id, app.routes)) == list(map(id, routes))
    assert [site.get(path).status_code for path in ("/mine", "/yours", "/lens/")] == [200] * 3


@releases.needs_body_limit
def test_a_limit_that_the_host_put_on_the_admin_stays(make_site: Callable[..., Site]) -> None:
    app = FastAPI(openapi_url=None)
    app.include_router(lens_admin, max_body_size=10)
    site = make_site(app, include=False)
    assert site.client.post("/lens/login", content=b"x" * 11).status_code == 413
