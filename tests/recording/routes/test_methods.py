"""Methods: a declared one is an endpoint's own; all others are counted as one."""

import csv
import io
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from fastapi_lens import LensConfig, LensMiddleware
from fastapi_lens.recording.routes import class_methods
from fastapi_lens.text.methods import MAX_METHOD_LENGTH, is_method_name, method_name
from tests.recording.probe import Probe, calls_in, lens_of

MakeProbe = Callable[..., Probe]
LONG = "UPDATEREDIRECTREF"
ENDLESS = "BREW" * 75
KEY = {"X-Lens-Key": "a-key-of-the-tests"}


def answer(request: Request) -> Response:
    return PlainTextResponse("ok")


class Folder(HTTPEndpoint):
    """A resource of WebDAV, which also has functions that are no methods."""

    async def dispatch(self) -> None:
        handler = getattr(self, self.scope["method"].lower(), self.method_not_allowed)
        response = await handler(Request(self.scope, self.receive))
        await response(self.scope, self.receive, self.send)

    async def get(self, request: Request) -> Response:
        return PlainTextResponse("ok")

    async def propfind(self, request: Request) -> Response:
        return PlainTextResponse("ok")

    async def brew(self, request: Request) -> Response:
        return PlainTextResponse("ok")

    def update(self, request: Request, values: dict[str, str]) -> None:
        """Change some properties."""


def discovered(probed: Probe) -> set[tuple[str, str]]:
    probed.get("/no/such/path")  # Which starts the lens.
    return probed.discovered()


def send(probed: Probe, *calls: str) -> list[int]:
    found = [call.split(" ", 1) for call in calls]
    return [probed.client.request(method, path).status_code for method, path in found]


@pytest.mark.parametrize("method", ["PROPFIND", "REPORT", LONG, "M-SEARCH", "X.Y!Z", "_OTHER"])
def test_a_declared_method_is_an_endpoints_own(probe: MakeProbe, method: str) -> None:
    app = FastAPI()
    app.add_api_route("/dav/{path:path}", lambda path: path, methods=[method])
    probed = probe(app)
    assert discovered(probed) == {(method, "/dav/{path}")}
    assert send(probed, f"{method} /dav/a", f"{method} /dav/b/c") == [200, 200]
    assert probed.counts() == {(method, "/dav/{path}"): {200: 2}}
    assert discovered(probed) == {(method, "/dav/{path}")}


def test_methods_of_one_route_of_routers_and_of_mounts_are_endpoints_each(probe: MakeProbe) -> None:
    app, router = FastAPI(), APIRouter()
    router.add_api_route("/files", lambda: 1, methods=["purge", "Link", "GET"])
    app.include_router(router, prefix="/v1")
    app.mount("/dav", Starlette(routes=[Route("/{name}", answer, methods=["LOCK", "UNLOCK"])]))
    probed = probe(app)
    declared = {
        *(("PURGE", "/v1/files"), ("LINK", "/v1/files"), ("GET", "/v1/files")),
        *(("LOCK", "/dav/{name}"), ("UNLOCK", "/dav/{name}")),
    }
    assert discovered(probed) == declared
    for method, path in declared:
        assert send(probed, f"{method} {path}") == [200]
    assert probed.counts() == {one: {200: 1} for one in declared}


def test_a_method_that_no_route_declares_is_never_an_endpoint(probe: MakeProbe) -> None:
    app = FastAPI()
    app.add_api_route("/x", lambda: 1, methods=["PROPFIND"])
    app.mount("/any", PlainTextResponse("ok"))
    probed = probe(app, ignore_unmapped=False)
    for number in range(50):
        send(probed, f"M{number} /x", f"M{number} /any/x", f"M{number} /nowhere")
    assert probed.counts() == {
        ("ANY", "/any/{path}"): {200: 50},
        ("_OTHER", "<unmapped>"): {404: 50},
    }
    assert len(probed.lens.recorder.cache) == 0


def test_the_methods_of_a_class_are_endpoints_also_those_of_its_own(probe: MakeProbe) -> None:
    app = FastAPI()
    app.router.routes.append(Route("/folder", Folder))
    probed = probe(app)
    known = {("GET", "/folder"), ("PROPFIND", "/folder")}
    assert discovered(probed) == known
    statuses = send(probed, "PROPFIND /folder", "BREW /folder", "POST /folder")
    assert statuses == [200, 200, 405]
    assert probed.counts() == {("PROPFIND", "/folder"): {200: 1}, ("BREW", "/folder"): {200: 1}}
    assert discovered(probed) == known | {("BREW", "/folder")}


def test_a_class_answers_the_standard_methods_only_where_starlette_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Plain(HTTPEndpoint):
        async def get(self, request: Request) -> Response:
            return PlainTextResponse("ok")

        async def propfind(self, request: Request) -> Response:
            return PlainTextResponse("ok")

    monkeypatch.setattr(class_methods, "KNOWS_ITS_VERBS", True)
    assert class_methods.verbs_of(Plain) == ("GET",)
    monkeypatch.setattr(class_methods, "KNOWS_ITS_VERBS", False)
    assert class_methods.verbs_of(Plain) == ("GET", "PROPFIND")


def test_a_method_of_any_length_is_counted_under_a_name_that_can_be_stored(
    probe: MakeProbe,
) -> None:
    app = FastAPI()
    app.add_api_route("/tea", lambda: 1, methods=[ENDLESS, ENDLESS + "X"])
    probed = probe(app)
    names = {method_name(ENDLESS), method_name(ENDLESS + "X")}
    assert discovered(probed) == {(name, "/tea") for name in names}
    send(probed, f"{ENDLESS} /tea", f"{ENDLESS} /tea", f"{ENDLESS}X /tea")
    assert probed.counts() == {
        (method_name(ENDLESS), "/tea"): {200: 2},
        (method_name(ENDLESS + "X"), "/tea"): {200: 1},
    }


@given(st.text(min_size=1))
def test_every_name_of_a_method_fits_the_columns(declared: str) -> None:
    assert is_method_name(method_name(declared))
    assert len(method_name(declared)) <= MAX_METHOD_LENGTH
    assert method_name(method_name(declared)) == method_name(declared)


@given(st.text(min_size=1), st.text(min_size=1))
def test_different_methods_have_different_names(one: str, other: str) -> None:
    assert (method_name(one) == method_name(other)) <= (one.upper() == other.upper())


@pytest.mark.parametrize("method", [LONG, ENDLESS, "NUL\0", "TÉA", "\ud800"])
def test_an_odd_method_never_keeps_other_endpoints_from_being_recorded(
    database_url: str, method: str
) -> None:
    app = FastAPI()
    app.add_api_route("/orders", lambda: 1)
    app.add_api_route("/odd", lambda: 1, methods=[method])
    app.add_middleware(LensMiddleware, config=LensConfig(database_url=database_url))
    with TestClient(app) as client:
        for _ in range(5):
            client.get("/orders")
        lens = lens_of(app)
        assert lens.flusher.flush()
        assert calls_in(lens) == {"/orders": 5}


@pytest.fixture
def dav() -> Iterator[TestClient]:
    app = FastAPI(title="dav")
    app.add_api_route("/dav", lambda: 1, methods=["PROPFIND", LONG])
    app.add_api_route("/dav", lambda: 1, methods=["GET"])
    config = LensConfig(
        db_path=":memory:",
        report_key=KEY["X-Lens-Key"],
        flush_interval=3600,
        log_sample_rate=1.0,
        log_slowest=0,
    )
    LensMiddleware.setup(app, config)
    with TestClient(app, headers=KEY) as client:
        for method in ("PROPFIND", LONG, "GET"):
            client.request(method, "/dav")
        assert lens_of(app).flusher.flush()
        yield client


def test_pages_and_files_take_such_methods(dav: TestClient) -> None:
    page = dav.get("/lens/", params={"method": LONG})
    assert page.status_code == 200
    assert f'value="{LONG}" checked' in page.text
    exported = dav.get("/lens/endpoints.json", params={"method": LONG}).json()
    assert [one["method"] for one in exported["endpoints"]] == [LONG]
    rows = list(csv.DictReader(io.StringIO(dav.get("/lens/endpoints.csv?method=PROPFIND").text)))
    assert [row["method"] for row in rows] == ["PROPFIND"]


def test_the_request_log_keeps_and_finds_such_methods(dav: TestClient) -> None:
    found = dav.get("/lens/requests.json", params={"method": LONG}).json()
    assert [one["method"] for one in found["requests"]] == [LONG]
    page = dav.get("/lens/requests").text
    assert f'<option value="{LONG}"' in page


def test_rules_and_exclusions_take_such_methods(dav: TestClient, probe: MakeProbe) -> None:
    page: Any = dav.get("/lens/settings").text
    assert f'name="method.{LONG}"' in page
    app = FastAPI()
    app.add_api_route("/dav", lambda: 1, methods=["PROPFIND", "GET"])
    probed = probe(app, exclude_methods=["propfind"])
    send(probed, "PROPFIND /dav", "GET /dav")
    assert probed.counts() == {("GET", "/dav"): {200: 1}}
    assert discovered(probed) == {("GET", "/dav")}


def test_a_method_that_is_counted_by_a_cut_name_is_excluded_by_its_own(probe: MakeProbe) -> None:
    app = FastAPI()
    app.add_api_route("/x", lambda: 1, methods=[ENDLESS, "GET"])
    probed = probe(app, exclude_methods=[ENDLESS.lower()])
    probed.client.request(ENDLESS, "/x")
    probed.get("/x")
    assert probed.counts() == {("GET", "/x"): {200: 1}}
    assert probed.discovered() == {("GET", "/x")}
