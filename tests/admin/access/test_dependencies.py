"""Dependencies that the host puts before its routes are put before the admin, too."""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Depends, FastAPI, Header, HTTPException, Request, Security
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.security import APIKeyHeader, SecurityScopes
from fastapi.testclient import TestClient
from starlette.responses import HTMLResponse, JSONResponse, Response

from fastapi_lens import LensConfig, LensMiddleware, create_lens_admin, lens_admin
from fastapi_lens.runtime.lens import Lens
from tests.attack.fuzzing import table
from tests.recording.probe import lens_of

PASS = {"x-pass": "staff"}


def staff_only(x_pass: Annotated[str, Header()] = "") -> None:
    if x_pass != "staff":
        raise HTTPException(401, "staff only", headers={"WWW-Authenticate": "Staff"})


GUARD = Depends(staff_only)


def config(**settings: Any) -> LensConfig:
    return LensConfig(**{"db_path": ":memory:", "security_enabled": False, **settings})


def guarded_include() -> FastAPI:
    app = FastAPI()
    app.include_router(lens_admin, dependencies=[GUARD])
    return app


def guarded_app() -> FastAPI:
    app = FastAPI(dependencies=[GUARD])
    app.include_router(lens_admin)
    return app


def guarded_router() -> FastAPI:
    app, inner = FastAPI(), APIRouter(dependencies=[GUARD])
    inner.include_router(lens_admin)
    app.include_router(inner)
    return app


def guarded_outer_router() -> FastAPI:
    app, outer, inner = FastAPI(), APIRouter(), APIRouter()
    inner.include_router(lens_admin)
    outer.include_router(inner, dependencies=[GUARD])
    app.include_router(outer)
    return app


def guarded_later() -> FastAPI:
    app = FastAPI()
    app.router.dependencies.append(GUARD)
    app.include_router(lens_admin)
    return app


def guarded_twice() -> FastAPI:
    app = FastAPI(dependencies=[Depends(lambda: None)])
    app.include_router(lens_admin, dependencies=[GUARD, Depends(lambda: None)])
    return app


def guarded_setup() -> FastAPI:
    return FastAPI(dependencies=[GUARD])


APPS = [
    *(guarded_include, guarded_app, guarded_router, guarded_outer_router, guarded_later),
    *(guarded_twice, guarded_setup),
]
MakeClient = Callable[..., TestClient]


@pytest.fixture
def client_of() -> Iterator[MakeClient]:
    """Makes a client of an application, with a lens around it unless it has one."""
    apps: list[FastAPI] = []

    def make(app: FastAPI, **settings: Any) -> TestClient:
        apps.append(app)
        if not app.user_middleware:
            app.add_middleware(LensMiddleware, config=config(**settings))
        return TestClient(app, follow_redirects=False)

    yield make
    for app in apps:
        if app.middleware_stack is not None:
            lens_of(app).stop()


@pytest.mark.parametrize("make", APPS)
def test_every_page_and_report_is_guarded_as_the_hosts_own_routes_are(
    client_of: MakeClient, make: Callable[[], FastAPI]
) -> None:
    app = make()
    if make is guarded_setup:
        LensMiddleware.setup(app, config(report_path="/usage"))
    client = client_of(app, report_path="/usage")
    paths = [f"/lens{path}".replace("{}", "lens.css") for path in table()]
    for path in [*paths, "/usage", "/usage/top", "/usage/dead", "/lens/nothing"]:
        for method in ("GET", "HEAD", "POST"):
            if method == "POST" and path.startswith("/usage"):
                continue  # The host's, which has no such path.
            answer = client.request(method, path)
            assert (method, path, answer.status_code) == (method, path, 401)
            assert answer.headers["www-authenticate"] == "Staff"
    for path in ("/lens/", "/lens/report", "/lens/static/lens.css", "/usage", "/usage/top?limit=3"):
        assert (path, client.get(path, headers=PASS).status_code) == (path, 200)
        assert client.head(path, headers=PASS).status_code == 200


@pytest.mark.parametrize("prefix", ["/internal", "/in/{tenant}"])
def test_a_guarded_admin_answers_under_any_prefix(client_of: MakeClient, prefix: str) -> None:
    app, inner = FastAPI(), APIRouter(prefix=prefix, dependencies=[GUARD])
    inner.include_router(create_lens_admin("/ops"))
    app.include_router(inner)
    client = client_of(app)
    address = prefix.replace("{tenant}", "acme") + "/ops/"
    assert client.get(address).status_code == 401
    page = client.get(address, headers=PASS)
    assert (page.status_code, f'href="{address}requests' in page.text) == (200, True)


def test_a_mounted_application_guards_its_own_admin(client_of: MakeClient) -> None:
    app, inner = FastAPI(), FastAPI(dependencies=[GUARD])
    inner.include_router(lens_admin)
    app.mount("/inner", inner)
    client = client_of(app, report_path="/usage")
    assert client.get("/inner/lens/").status_code == 401
    assert client.get("/inner/lens/", headers=PASS).status_code == 200
    assert client.get("/usage").status_code == 401
    assert client.get("/usage", headers=PASS).status_code == 200


def test_a_mounted_application_keeps_the_admin_out_of_the_dependencies_of_the_other(
    client_of: MakeClient,
) -> None:
    app, inner = FastAPI(dependencies=[GUARD]), FastAPI()
    inner.include_router(lens_admin)
    app.mount("/internal", inner)
    assert client_of(app).get("/internal/lens/").status_code == 200


def test_a_report_whose_dependencies_nobody_can_run_is_refused(client_of: MakeClient) -> None:
    without_admin, with_parameter = FastAPI(dependencies=[GUARD]), FastAPI()
    with_parameter.include_router(lens_admin, prefix="/{tenant}", dependencies=[GUARD])
    for app in (without_admin, with_parameter):
        answer = client_of(app, report_path="/usage").get("/usage", headers=PASS)
        assert answer.status_code == 403
        assert "include_router" in answer.json()["detail"]
        assert answer.headers["cache-control"] == "private, no-store"


def test_a_report_is_guarded_as_soon_as_the_admin_is(client_of: MakeClient) -> None:
    app = FastAPI()
    client = client_of(app, report_path="/usage")
    assert client.get("/usage").status_code == 200
    app.include_router(lens_admin, dependencies=[GUARD])
    assert client.get("/usage").status_code == 401


def test_a_documentation_page_of_the_host_is_not_taken_for_the_admin(client_of: MakeClient) -> None:
    app = FastAPI(dependencies=[GUARD], docs_url=None)

    @app.get("/docs/{rest:path}", include_in_schema=False)
    def page(rest: str) -> HTMLResponse:
        return get_swagger_ui_html(openapi_url="/openapi.json", title="x")

    app.include_router(lens_admin)
    client = client_of(app, report_path="/usage")
    assert client.get("/usage", headers=PASS).json()["endpoints"] == []
    assert "swagger" in client.get("/docs/", headers=PASS).text


def test_a_lens_around_an_application_guards_its_reports_too() -> None:
    app = guarded_app()
    wrapped = LensMiddleware(app, config=config(report_path="/usage"))
    assert isinstance(wrapped.lens, Lens)
    client = TestClient(wrapped)
    assert [client.get("/usage", headers=sent).status_code for sent in ({}, PASS)] == [401, 200]
    wrapped.lens.stop()


def test_an_override_for_tests_counts_for_the_admin(client_of: MakeClient) -> None:
    for make in (guarded_include, guarded_app, guarded_outer_router):
        app = make()
        client = client_of(app)
        app.dependency_overrides[staff_only] = lambda: None
        assert client.get("/lens/").status_code == 200
        app.dependency_overrides.clear()
        assert client.get("/lens/").status_code == 401


def test_a_key_is_asked_for_after_the_dependencies(client_of: MakeClient) -> None:
    client = client_of(guarded_app(), security_enabled=None, report_key="k")
    for sent, status in (({}, 401), (PASS, 403), (PASS | {"x-lens-key": "k"}, 200)):
        assert client.get("/lens/report", headers=sent).status_code == status


def test_security_scopes_and_yields_work_as_for_any_route(client_of: MakeClient) -> None:
    ended: list[str] = []

    async def scoped(
        needed: SecurityScopes, key: Annotated[str, Security(APIKeyHeader(name="x-pass"))]
    ) -> AsyncIterator[None]:
        if key not in needed.scopes:
            raise HTTPException(403, "not in scope")
        yield
        ended.append(key)

    app = FastAPI()
    app.include_router(lens_admin, dependencies=[Security(scoped, scopes=["staff"])])
    client = client_of(app)
    assert client.get("/lens/", headers={"x-pass": "guest"}).status_code == 403
    assert ended == []
    assert client.get("/lens/", headers=PASS).status_code == 200
    assert ended == ["staff"]


def test_what_a_dependency_raises_goes_to_the_hosts_own_handlers(client_of: MakeClient) -> None:
    class SignInError(Exception):
        pass

    def signed_in(request: Request) -> None:
        raise SignInError(request.url.path)

    app = FastAPI(dependencies=[Depends(signed_in)])

    @app.exception_handler(SignInError)
    def to_sign_in(request: Request, error: SignInError) -> Response:
        return JSONResponse({"back": str(error)}, 307, {"Location": "/sign-in"})

    app.include_router(lens_admin)
    answer = client_of(app).get("/lens/requests")
    assert (answer.status_code, answer.headers["location"]) == (307, "/sign-in")


def test_a_dependency_that_lacks_its_parameter_is_no_success(client_of: MakeClient) -> None:
    def tenant(x_tenant: Annotated[str, Header()]) -> str:
        return x_tenant

    app = FastAPI(dependencies=[Depends(tenant)])
    app.include_router(lens_admin)
    client = client_of(app)
    assert client.get("/lens/").status_code == 422
    assert client.get("/lens/", headers={"x-tenant": "acme"}).status_code == 200


async def reads_the_body(request: Request) -> None:
    await request.body()


async def reads_the_form(request: Request) -> None:
    async with request.form():  # Which closes its files.
        pass


async def reads_the_stream(request: Request) -> None:
    async for _ in request.stream():
        pass


@pytest.mark.parametrize(
    ("reads", "status"), [(reads_the_body, 303), (reads_the_form, 303), (reads_the_stream, 422)]
)
def test_a_form_that_a_dependency_has_read_is_the_admins_too(
    client_of: MakeClient, reads: Callable[..., Any], status: int
) -> None:
    app = FastAPI(dependencies=[Depends(reads)])
    app.include_router(lens_admin)
    client = client_of(app, security_enabled=None, report_key="k")
    answer = client.post("/lens/login", data={"key": "k"}, headers={"origin": "http://testserver"})
    assert answer.status_code == status


def test_a_file_among_what_a_dependency_has_read_is_no_field(client_of: MakeClient) -> None:
    app = FastAPI(dependencies=[Depends(reads_the_form)])
    app.include_router(lens_admin)
    client = client_of(app, security_enabled=None, report_key="k")
    answer = client.post(
        "/lens/login",
        data={"next": "/lens/requests"},
        files={"key": ("k.txt", b"k")},
        headers={"origin": "http://testserver"},
    )
    assert answer.status_code == 422


def test_a_key_in_the_address_is_gone_before_a_dependency_refuses(client_of: MakeClient) -> None:
    left: list[bytes] = []

    class Log:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await self.app(scope, receive, send)
            left.append(scope["query_string"])

    app = guarded_app()
    app.add_middleware(LensMiddleware, config=config(report_path="/usage"))
    app.add_middleware(Log)
    client = client_of(app)
    for path in ("/lens/", "/usage", "/lens/report"):
        assert client.get(f"{path}?report_key=secret&days=7").status_code == 401
    assert left == [b"days=7"] * 3


def test_the_admin_is_in_no_schema_and_no_endpoint_of_it_is_counted(client_of: MakeClient) -> None:
    app = guarded_app()
    app.add_api_route("/own", lambda: None, dependencies=[])
    client = client_of(app)
    assert list(app.openapi()["paths"]) == ["/own"]
    client.get("/lens/", headers=PASS)
    client.get("/lens/")
    client.get("/own", headers=PASS)
    lens = lens_of(app)
    assert lens.flusher.flush()
    found = client.get("/lens/report", headers=PASS).json()["endpoints"]
    assert [(one["path"], one["total_calls"]) for one in found] == [("/own", 1)]


def test_an_admin_without_the_middleware_is_guarded_too() -> None:
    client = TestClient(guarded_include())
    assert client.get("/lens/").status_code == 401
    assert client.get("/lens/", headers=PASS).status_code == 503
