from collections.abc import Callable

import pytest
from fastapi import FastAPI

from fastapi_lens import create_lens_admin, lens_admin
from tests.admin.conftest import Site


def test_a_page_that_is_none_is_not_found(site: Site) -> None:
    page = site.get("/lens/reports/of/all/kinds")
    assert page.status_code == 404
    assert "There is no such page in the lens." in page.text
    assert 'href="/lens/"' in page.text


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
