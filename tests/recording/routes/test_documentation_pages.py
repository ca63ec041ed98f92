"""Documentation pages are no endpoints, whoever has written them."""

from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI
from fastapi.openapi import docs
from fastapi.openapi.docs import (
    get_redoc_html,
    get_swagger_ui_html,
    get_swagger_ui_oauth2_redirect_html,
)
from fastapi.openapi.utils import get_openapi
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from tests.recording.probe import Probe

MakeProbe = Callable[..., Probe]
ONLY_X = {("GET", "/x"): {200: 1}}


class Branded(FastAPI):
    """Has pages of its own, at paths of its own."""

    def setup(self) -> None:
        async def schema(request: Request) -> Response:
            return JSONResponse(self.openapi())

        async def page(request: Request) -> Response:
            return HTMLResponse("<h1>Our API</h1>")

        self.add_route("/openapi.json", schema, include_in_schema=False)
        self.add_route("/docs", page, include_in_schema=False)
        self.add_route("/docs/oauth2-redirect", page, include_in_schema=False)
        self.add_api_route("/redoc", lambda: "ours", include_in_schema=False)


def counted(probed: Probe, *pages: str) -> Any:
    for path in (*pages, "/x"):
        assert probed.client.get(path).status_code == 200
    counts = probed.counts()
    assert probed.discovered() == set(counts)
    return counts


def test_pages_of_a_subclass_are_no_endpoints(probe: MakeProbe) -> None:
    app = Branded()
    app.add_api_route("/x", lambda: 1)
    pages = ("/docs", "/openapi.json", "/redoc", "/docs/oauth2-redirect")
    assert counted(probe(app), *pages) == ONLY_X


def test_a_page_of_a_subclass_is_known_as_one_at_the_first_request(probe: MakeProbe) -> None:
    app = Branded()
    app.add_api_route("/x", lambda: 1)
    assert counted(probe(app), "/redoc") == ONLY_X


def test_pages_of_a_mounted_subclass_are_none_either(probe: MakeProbe) -> None:
    app = FastAPI()
    app.add_api_route("/x", lambda: 1)
    app.mount("/v2", Branded())
    assert counted(probe(app), "/docs", "/v2/docs", "/v2/redoc", "/v2/openapi.json") == ONLY_X


def test_self_hosted_pages_as_fastapi_documents_them_are_no_endpoints(probe: MakeProbe) -> None:
    app = FastAPI(docs_url=None, redoc_url=None)

    @app.get("/docs", include_in_schema=False)
    async def custom_swagger_ui_html() -> HTMLResponse:
        return get_swagger_ui_html(openapi_url="/openapi.json", title="x")

    @app.get("/docs/oauth2-redirect", include_in_schema=False)
    async def swagger_ui_redirect() -> HTMLResponse:
        return get_swagger_ui_oauth2_redirect_html()

    @app.get("/help/redoc", include_in_schema=False)
    async def redoc_html() -> HTMLResponse:
        return get_redoc_html(openapi_url="/openapi.json", title="x")

    app.add_api_route("/x", lambda: 1)
    assert counted(probe(app), "/docs", "/docs/oauth2-redirect", "/help/redoc") == ONLY_X


def test_pages_behind_a_login_in_a_router_or_a_decorator_are_none_either(probe: MakeProbe) -> None:
    app, router = FastAPI(openapi_url=None), APIRouter(prefix="/internal")

    def cached(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def inside(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs)

        return inside

    @router.get("/docs")
    @cached
    def page(user: Annotated[str, Depends(lambda: "alice")]) -> HTMLResponse:
        return docs.get_swagger_ui_html(openapi_url="/internal/schema", title="x")

    @router.get("/schema")
    def schema() -> dict[str, Any]:
        return get_openapi(title="x", version="1", routes=app.routes)

    app.include_router(router)
    app.add_api_route("/x", lambda: 1)
    assert counted(probe(app), "/internal/docs", "/internal/schema") == ONLY_X


def documents() -> list[str]:
    return ["an invoice"]


@pytest.mark.parametrize("path", ["/v1/docs", "/docs/{kind}", "/docsets"])
def test_documents_are_endpoints(probe: MakeProbe, path: str) -> None:
    app = FastAPI()
    app.add_api_route(path, documents)
    probed = probe(app)
    assert probed.client.get(path).status_code == 200
    assert probed.counts() == {("GET", path): {200: 1}}


def test_so_are_those_of_an_application_without_a_schema(probe: MakeProbe) -> None:
    app = FastAPI(openapi_url=None)
    app.add_api_route("/docs", documents)
    probed = probe(app)
    probed.get("/docs")
    assert probed.counts() == {("GET", "/docs"): {200: 1}}


def test_so_are_those_that_are_written_and_those_of_another_application(probe: MakeProbe) -> None:
    app = FastAPI()
    app.add_api_route("/docs", documents, methods=["POST"])
    app.mount("/plain", Starlette(routes=[Route("/docs", lambda _: PlainTextResponse("ok"))]))
    probed = probe(app)
    probed.client.post("/docs")
    probed.get("/plain/docs", "/docs")
    assert probed.counts() == {("POST", "/docs"): {200: 1}, ("GET", "/plain/docs"): {200: 1}}


class Gateway:
    """A client of other services, which have descriptions of their own."""

    def get_openapi(self) -> list[str]:
        return ["orders"]

    get_redoc_html = get_openapi


def test_what_only_has_the_name_of_a_maker_of_pages_makes_none(probe: MakeProbe) -> None:
    app, gateway, by_name = FastAPI(), Gateway(), {"get_redoc_html": documents}

    def get_swagger_ui_html() -> list[str]:
        return ["an image of a shop sign"]

    @app.get("/services")
    def services() -> list[str]:
        return gateway.get_openapi()

    @app.get("/signs")
    def signs() -> list[str]:
        return get_swagger_ui_html()

    @app.get("/none")
    def none() -> list[str]:
        return by_name["get_redoc_html"]() if by_name else later.get_redoc_html()

    probed = probe(app)
    probed.get("/services", "/signs", "/none")
    assert probed.counts() == {("GET", path): {200: 1} for path in ("/services", "/signs", "/none")}
    later: Any = Gateway()


def test_a_page_may_import_what_makes_it_or_get_it_from_around_it(probe: MakeProbe) -> None:
    app = FastAPI(openapi_url=None)
    makes = get_redoc_html

    @app.get("/inside")
    def inside() -> HTMLResponse:
        from fastapi.openapi.docs import get_swagger_ui_html  # noqa: PLC0415  As hosts do.

        return get_swagger_ui_html(openapi_url="/schema", title="x")

    def around(get_redoc_html: Callable[..., HTMLResponse]) -> Callable[[], HTMLResponse]:
        def page() -> HTMLResponse:
            return get_redoc_html(openapi_url="/schema", title="x")

        return page

    app.add_api_route("/around", around(makes))
    app.add_api_route("/x", lambda: 1)
    assert counted(probe(app), "/inside", "/around") == ONLY_X


@pytest.mark.parametrize("methods", [["POST"], ["GET", "POST"]])
def test_what_is_asked_to_make_a_client_of_a_schema_is_an_endpoint(
    probe: MakeProbe, methods: list[str]
) -> None:
    app = FastAPI()

    @app.api_route("/sdk", methods=methods)
    def sdk() -> int:
        return len(get_openapi(title="x", version="1", routes=[]))

    probed = probe(app)
    for method in methods:
        assert probed.client.request(method, "/sdk").status_code == 200
    assert probed.counts() == {(method, "/sdk"): {200: 1} for method in methods}


def test_html_that_a_handler_returns_is_an_endpoints(probe: MakeProbe) -> None:
    app = FastAPI(docs_url="/help")
    app.add_api_route("/docs", lambda: HTMLResponse("<h1>Ours</h1>"), name="docs")
    app.add_api_route(
        "/redoc/{page}", lambda page: HTMLResponse(f"<p>{page}"), name="swagger_ui_html"
    )
    probed = probe(app)
    probed.get("/docs", "/redoc/x", "/help")
    assert probed.counts() == {("GET", "/docs"): {200: 1}, ("GET", "/redoc/{page}"): {200: 1}}
