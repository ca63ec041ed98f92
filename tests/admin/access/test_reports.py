from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from fastapi_lens import ConfigError, LensConfig, LensMiddleware, create_lens_admin, lens_admin
from fastapi_lens.errors import StorageError
from fastapi_lens.runtime.lens import Lens
from tests.recording.probe import lens_of

DAY = 86_400


def application(**settings: Any) -> FastAPI:
    app = FastAPI(title="Shop")
    for path in ("/often", "/seldom", "/never"):
        app.add_api_route(path, lambda: 1)
    app.add_middleware(LensMiddleware, config=LensConfig(**{"db_path": ":memory:", **settings}))
    return app


@pytest.fixture
def client() -> Iterator[TestClient]:
    app = application()
    app.include_router(lens_admin)
    client = TestClient(app)
    for path, calls in (("/often", 5), ("/seldom", 2)):
        for _ in range(calls):
            client.get(path)
    assert lens_of(app).flusher.flush()
    yield client
    lens_of(app).stop()


def paths(answer: Any) -> list[str]:
    assert answer.status_code == 200
    return [one["path"] for one in answer.json()["endpoints"]]


def test_the_report_lists_every_endpoint_most_called_first(client: TestClient) -> None:
    answer = client.get("/lens/report")
    assert paths(answer) == ["/often", "/seldom", "/never"]
    assert answer.json()["filters"] == {"days": None, "status": None}
    assert answer.json()["summary"]["total_requests"] == 7
    assert answer.headers["content-type"] == "application/json"


def test_the_report_can_be_narrowed(client: TestClient) -> None:
    answer = client.get("/lens/report?status=never_called&days=7")
    assert paths(answer) == ["/never"]
    assert answer.json()["filters"] == {"days": 7, "status": "never_called"}


def test_the_top_report_lists_called_endpoints_up_to_its_limit(client: TestClient) -> None:
    assert paths(client.get("/lens/report/top")) == ["/often", "/seldom"]
    assert client.get("/lens/report/top").json()["window_days"] == 7
    assert paths(client.get("/lens/report/top?limit=1&days=all")) == ["/often"]
    assert client.get("/lens/report/top?days=all").json()["window_days"] is None


def test_the_dead_report_lists_what_nobody_calls(client: TestClient) -> None:
    answer = client.get("/lens/report/dead?days=30")
    assert paths(answer) == ["/never"]
    assert answer.json()["dead_endpoint_count"] == 1


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("report?days=0", "days must be a whole number from 1 to 36500"),
        ("report?days=36501", "days must be"),
        ("report?days=1.5", "days must be"),
        ("report?days=", "days must be"),
        ("report?days=all", "days must be"),
        ("report?days=²", "days must be"),
        ("report?days=" + "9" * 5_000, "days must be"),
        ("report?status=alive", "active, cold, dead, never_called"),
        ("report/top?limit=0", "limit must be a whole number from 1 to 100"),
        ("report/top?limit=101", "limit must be"),
        ("report/dead?days=x", "days must be"),
    ],
)
def test_a_bad_parameter_gets_422_and_a_sentence(
    client: TestClient, query: str, words: str
) -> None:
    answer = client.get(f"/lens/{query}")
    assert answer.status_code == 422
    assert words in answer.json()["detail"]


def test_the_reports_answer_at_a_path_of_their_own(tmp_path: Any) -> None:
    app = application(report_path="/internal/usage", db_path=str(tmp_path / "lens.db"))
    app.include_router(lens_admin)
    with TestClient(app) as client:
        client.get("/often")
        assert lens_of(app).flusher.flush()
        assert paths(client.get("/internal/usage/top")) == ["/often"]
        assert paths(client.get("/internal/usage/dead")) == ["/never", "/seldom"]
        assert len(paths(client.get("/internal/usage"))) == 3
        assert client.post("/internal/usage").status_code == 404
        assert client.get("/lens/report").status_code == 200
        assert lens_of(app).flusher.flush()
        assert paths(client.get("/lens/report/top")) == ["/often"]


def test_setup_adds_everything_in_one_line() -> None:
    app = FastAPI()
    app.add_api_route("/x", lambda: 1)
    LensMiddleware.setup(app, LensConfig(db_path=":memory:"), prefix="/admin/lens")
    client = TestClient(app)
    client.get("/x")
    assert lens_of(app).flusher.flush()
    assert paths(client.get("/admin/lens/report")) == ["/x"]
    lens_of(app).stop()


def test_the_admin_works_wherever_it_is_put() -> None:
    app, inner = application(), FastAPI()
    app.include_router(lens_admin, prefix="/internal")
    app.include_router(create_lens_admin("/other"))
    inner.include_router(lens_admin)
    app.mount("/t/{tenant}", inner)
    client = TestClient(app, follow_redirects=False)
    for base in ("/internal/lens", "/other", "/t/acme/lens"):
        assert client.get(base).headers["location"] == f"{base}/"
        assert client.get(f"{base}/report").status_code == 200
        assert client.get(f"{base}/dashboard").headers["location"] == f"{base}/"
        assert f'href="{base}/' in client.get(f"{base}/").text
    behind = TestClient(app, follow_redirects=False, root_path="/proxied")
    assert behind.get("/internal/lens").headers["location"] == "/proxied/internal/lens/"
    lens_of(app).stop()


@pytest.mark.parametrize("prefix", ["lens", "/lens/", "/", ""])
def test_a_prefix_that_cannot_work_is_refused(prefix: str) -> None:
    with pytest.raises(ConfigError, match="prefix"):
        create_lens_admin(prefix)


def test_without_the_middleware_every_page_says_which_line_to_add() -> None:
    app = FastAPI()
    app.include_router(lens_admin)
    client = TestClient(app, headers={"origin": "http://testserver"})
    for answer in (
        client.get("/lens/"),
        client.get("/lens/login"),
        client.post("/lens/logout"),
    ):
        assert answer.status_code == 503
        assert "add_middleware(LensMiddleware" in answer.text
    assert client.get("/lens/report").status_code == 503


@pytest.mark.parametrize("path", ["/lens/", "/lens/report", "/lens/login"])
def test_a_database_that_is_down_gets_an_error_page_with_a_number_and_no_traceback(
    path: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def down(self: Lens) -> None:
        raise StorageError("connection refused")

    monkeypatch.setattr(Lens, "prepare", down)
    app = application()
    app.include_router(lens_admin)
    client = TestClient(app, headers={"origin": "http://testserver"})
    answer = client.get(path)
    assert answer.status_code == 503
    assert "Traceback" not in answer.text
    (record,) = (one for one in caplog.records if "connection refused" in one.getMessage())
    number = record.getMessage().removesuffix(": connection refused").split()[-1]
    assert number in answer.text
    assert record.exc_info is None
    assert client.post("/lens/logout").status_code == 503
    lens_of(app).stop()


@pytest.mark.parametrize("path", ["/lens/", "/lens/report"])
def test_a_fault_in_a_view_gets_an_error_page_and_not_the_hosts(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    lens = lens_of(client.app)

    def fail(**_: object) -> None:
        raise LookupError("ours")

    monkeypatch.setattr(lens.reader, "endpoints", fail)
    answer = client.get(path)
    assert answer.status_code == 500
    assert "LookupError" not in answer.text


def test_the_hosts_schema_does_not_know_the_admin(client: TestClient) -> None:
    assert set(client.get("/openapi.json").json()["paths"]) == {"/often", "/seldom", "/never"}
