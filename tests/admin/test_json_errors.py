"""Errors below the admin, as programs and as browsers get them."""

from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from fastapi_lens import LensConfig, LensMiddleware, lens_admin
from tests.recording.probe import lens_of

KEY = {"X-Lens-Key": "a-key-of-the-tests"}
JSON = {"Accept": "application/json"}
HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
REPORTS = (
    "nothing is here; the reports are /lens/report, /lens/report/top, /lens/report/dead, "
    "/lens/report/evidence and /lens/report/callers"
)


@pytest.fixture
def client() -> Iterator[TestClient]:
    app = FastAPI()
    LensMiddleware.setup(app, LensConfig(db_path=":memory:", report_key=KEY["X-Lens-Key"]))
    client = TestClient(app, follow_redirects=False)
    yield client
    lens_of(app).stop()


@pytest.mark.parametrize("path", ["/report/nope", "/report/", "/report/top/x"])
def test_a_path_beside_the_reports_is_a_404_that_names_them(client: TestClient, path: str) -> None:
    answer = client.get(f"/lens{path}", headers=KEY)
    assert (answer.status_code, answer.json()) == (404, {"detail": REPORTS})


@pytest.mark.parametrize("path", ["/nope", "/reports", "/reports/top", "/settings/a/b/c"])
def test_whoever_wants_json_gets_it_for_any_path_that_is_not_there(
    client: TestClient, path: str
) -> None:
    answer = client.get(f"/lens{path}", headers=KEY | JSON)
    assert (answer.status_code, answer.json()) == (404, {"detail": REPORTS})
    page = client.get(f"/lens{path}", headers=KEY | HTML)
    assert (page.status_code, page.headers["content-type"][:9]) == (404, "text/html")


def test_a_browser_is_told_that_the_report_is_one(client: TestClient) -> None:
    page = client.get("/lens/reports", headers=KEY | HTML)
    assert page.status_code == 404
    assert "The report is at /lens/report." in page.text
    assert "The report is at" not in client.get("/lens/nope", headers=KEY | HTML).text


@pytest.mark.parametrize("path", ["/report/nope", "/nope", "/reports"])
def test_a_stranger_learns_nothing_of_what_is_there(client: TestClient, path: str) -> None:
    answer = client.get(f"/lens{path}", headers=JSON)
    assert answer.status_code == 403
    assert set(answer.json()) == {"detail"}


@pytest.mark.parametrize("path", ["/report", "/report/top", "/requests", "/endpoints.json"])
def test_a_method_that_is_not_possible_is_told_as_json(client: TestClient, path: str) -> None:
    answer = client.post(f"/lens{path}", headers=KEY | JSON)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")
    assert answer.json() == {"detail": "POST is not allowed here; use GET"}
    # The router knows no other methods: the application refuses them.
    assert "detail" in client.delete(f"/lens{path}", headers=KEY | JSON).json()


def test_a_browser_gets_no_json_for_a_method_that_is_not_possible(client: TestClient) -> None:
    answer = client.post("/lens/endpoints/x", headers=KEY | HTML)
    assert (answer.status_code, answer.text, answer.headers["allow"]) == (405, "", "GET")


def test_the_router_without_the_middleware_says_what_to_add() -> None:
    app = FastAPI()
    app.include_router(lens_admin)
    client = TestClient(app)
    line = "app.add_middleware(LensMiddleware, config=LensConfig())"
    for path in ("/lens/report", "/lens/report/nope"):
        answer = client.get(path)
        assert answer.status_code == 503
        assert answer.json() == {"detail": f"LensMiddleware is missing on this app; add {line}"}
    page = client.get("/lens/")
    assert page.status_code == 503
    assert line in page.text
