"""The metrics for a Prometheus server: access, formats, and the endpoints that are in them."""

from collections.abc import Callable

import pytest
from fastapi import APIRouter, FastAPI, WebSocket
from fastapi.testclient import TestClient

from fastapi_lens import KeyConfig, LensConfig, LensMiddleware, lens_admin
from fastapi_lens.errors import StorageError
from fastapi_lens.reporting.model import Endpoint
from fastapi_lens.runtime.lens import Lens
from fastapi_lens.settings.ignore_rules import Rule
from fastapi_lens.storage.writing.drain import drain_all
from tests.admin.conftest import Site, an_app
from tests.admin.test_ignored import save_rules
from tests.recording.probe import lens_of
from tests.support.prometheus import open_metrics, plain_text

MakeSite = Callable[..., Site]
OPEN = "application/openmetrics-text"
TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPEN_1 = f"{OPEN}; version=1.0.0; charset=utf-8"
PROMETHEUS_3 = (
    f"{OPEN};version=1.0.0;escaping=allow-utf-8;q=0.6,{OPEN};version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
"""The Accept header of a Prometheus server of release 3."""


def calls(text: str) -> dict[tuple[str, str, str], float]:
    """The calls that are not zero: by method, route and class."""
    samples = [sample for family in plain_text(text) for sample in family.samples]
    labels = ("http_request_method", "http_route", "http_response_status_code")
    return {
        (one.labels[labels[0]], one.labels[labels[1]], one.labels[labels[2]]): one.value
        for one in samples
        if one.name == "http_server_requests_total" and one.value
    }


def routes(site: Site) -> set[str]:
    families = plain_text(site.get("/lens/metrics").text)
    return {sample.labels["http_route"] for family in families for sample in family.samples}


def test_both_formats_have_the_same_samples(site: Site) -> None:
    site.count("GET", "/health", 3)
    site.count("GET", "/health", 1, status=503)
    answer = site.get("/lens/metrics", Accept=PROMETHEUS_3)
    samples = [one for family in open_metrics(answer.text) for one in family.samples]
    plain = site.get("/lens/metrics").text
    assert samples == [one for family in plain_text(plain) for one in family.samples]
    assert calls(plain) == {("GET", "/health", "2xx"): 3, ("GET", "/health", "5xx"): 1}


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (PROMETHEUS_3, OPEN_1),
        # Release 2.26.
        (f"{OPEN}; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", TEXT),
        (f"{OPEN};version=1.0.0,{OPEN};version=0.0.1;q=0.75,text/plain;q=0.5,*/*;q=0.1", OPEN_1),
        (OPEN, OPEN_1),
        (f'{OPEN}; version="1.0.0"; charset=utf-8', OPEN_1),
        (f"{OPEN};q=0.4,text/plain;q=0.5", TEXT),
        (f"{OPEN};q=0.4,text/*;q=0.5", TEXT),
        (f"{OPEN};q=0", TEXT),
        (f"{OPEN};q=much", TEXT),
        (f"{OPEN};version=2.0.0", TEXT),
        ("text/html,*/*;q=0.8", TEXT),
        ("", TEXT),
        (";,=;;q", TEXT),
    ],
)
def test_a_client_gets_the_format_that_it_prefers(site: Site, accept: str, expected: str) -> None:
    answer = site.get("/lens/metrics", Accept=accept)
    assert answer.headers["content-type"] == expected
    assert answer.headers["vary"] == "Accept, Accept-Encoding"
    assert answer.text.endswith("# EOF\n") is (expected == OPEN_1)


def test_a_key_of_any_scope_opens_them(make_site: MakeSite) -> None:
    site = make_site(report_keys={"grafana": KeyConfig("only-for-reading", scope="read")})
    for headers in (
        {"X-Lens-Key": "only-for-reading"},
        {"Authorization": "Bearer only-for-reading"},
    ):
        assert site.get("/lens/metrics", **headers).status_code == 200
    for refused in ({}, {"X-Lens-Key": "a-guess"}, {"Authorization": "Bearer "}):
        answer = site.get("/lens/metrics", **refused)
        assert answer.status_code == 403
        assert set(answer.json()) == {"detail"}


def test_other_methods_are_refused(site: Site) -> None:
    assert site.client.head("/lens/metrics").status_code == 200
    answer = site.client.post("/lens/metrics")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")


def test_they_are_below_any_prefix() -> None:
    app = FastAPI()
    app.add_middleware(LensMiddleware, config=LensConfig(db_path=":memory:"))
    internal = APIRouter()
    internal.include_router(lens_admin, prefix="/internal")
    app.include_router(internal, prefix="/api")
    client = TestClient(app, root_path="/behind")
    assert client.get("/behind/api/internal/lens/metrics").status_code == 200
    assert client.get("/api/internal/lens/metrics").status_code == 200
    lens_of(app).stop()


def test_an_ignored_endpoint_is_not_among_them(site: Site) -> None:
    site.count("GET", "/health")
    assert routes(site) == {"/health", "/users", "/users/{user_id}"}
    save_rules(site, Rule(id="a", pattern="/health"))
    assert routes(site) == {"/users", "/users/{user_id}"}


def test_unmapped_requests_and_websockets_are_endpoints_too(make_site: MakeSite) -> None:
    app = an_app()

    @app.websocket("/live")
    async def live(socket: WebSocket) -> None:
        await socket.accept()
        await socket.close()

    site = make_site(app, ignore_unmapped=False)
    with site.client.websocket_connect("/live"):
        pass
    site.get("/wp-login.php")
    assert site.lens.flusher.flush()
    found = calls(site.get("/lens/metrics").text)
    assert found["WEBSOCKET", "/live", "1xx"] == 1
    assert found["GET", "<unmapped>", "4xx"] >= 1
    assert all("wp-login" not in route for _, route, _ in found)


def test_all_workers_answer_the_same(site: Site) -> None:
    site.count("GET", "/health", 2)
    first = site.get("/lens/metrics").text
    other = Lens(site.lens.config, clock=site.lens.clock)
    other.discover(site.client.app)
    try:
        assert other.flusher.flush()
        other.recorder.count(method="GET", path="/health", status=200, duration_ns=1_000)
        assert other.flusher.flush()
        drain_all(site.lens.database)
        assert calls(first) == {("GET", "/health", "2xx"): 2}
        assert calls(site.get("/lens/metrics").text) == {("GET", "/health", "2xx"): 3}
    finally:
        other.stop()


def test_an_unreadable_database_is_a_503_in_json(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*, now: float) -> list[Endpoint]:
        raise StorageError("connection refused")

    monkeypatch.setattr(site.lens.reader, "totals", refuse)
    answer = site.get("/lens/metrics", Accept=PROMETHEUS_3)
    assert (answer.status_code, set(answer.json())) == (503, {"detail"})
