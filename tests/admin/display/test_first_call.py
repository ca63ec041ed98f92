"""The first call that the list of endpoints proposes reaches the application and is counted."""

import shlex
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from enum import Enum
from functools import partial
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from fastapi import APIRouter, Body, Depends, FastAPI, Header, Query, WebSocket
from fastapi.testclient import TestClient
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Host, Mount, Route

from fastapi_lens import LensConfig, LensMiddleware, create_lens_admin, lens_admin
from fastapi_lens.settings.ignore_rules import Rule
from tests.admin.conftest import Site
from tests.admin.test_ignored import save_rules
from tests.recording.probe import lens_of
from tests.support.pages import part

MakeSite = Callable[..., Site]


class Size(Enum):
    """Of a shirt."""

    SMALL = "small size"
    LARGE = "large size"


def plain() -> None:
    """Answers nothing."""


def proposed(text: str) -> str:
    """The address of the command of a page, as a shell splits it."""
    command, address = shlex.split(part(text, "lens-curl") or "")
    assert command == "curl"
    return address


def counted(site: Site) -> list[str]:
    """The endpoints that have calls."""
    assert site.lens.flusher.flush()
    found = site.get("/lens/endpoints.json").json()["endpoints"]
    return [f"{one['method']} {one['path']}" for one in found if one["total_calls"]]


def called(site: Site, *, status: int = 200) -> list[str]:
    """The endpoints that the proposed call is counted for."""
    answer = site.client.get(proposed(site.get().text))
    assert answer.status_code == status, answer.text
    return counted(site)


def an_app(*paths: str, handler: Callable[..., Any] = plain) -> FastAPI:
    """An application without documentation, whose endpoints are all answered by one function."""
    app = FastAPI(openapi_url=None)
    for path in paths:
        app.add_api_route(path, handler)
    return app


def test_a_get_without_parameters_comes_first(make_site: MakeSite) -> None:
    site = make_site(an_app("/things/{thing_id}", "/much/longer/path", "/short"))
    assert proposed(site.get().text) == "http://testserver/short"
    assert called(site) == ["GET /short"]


@pytest.mark.parametrize(
    ("path", "annotation", "address"),
    [
        ("/n/{it}", int, "/n/1"),
        ("/n/{it:int}", int, "/n/1"),
        ("/n/{it}", UUID, "/n/00000000-0000-4000-8000-000000000000"),
        ("/n/{it:uuid}", UUID, "/n/00000000-0000-4000-8000-000000000000"),
        ("/n/{it}", str, "/n/1"),
        ("/n/{it:path}", str, "/n/1"),
        ("/n/{it}/x", Decimal, "/n/1/x"),
        ("/n/{it:float}", float, "/n/1"),
        ("/n/{it}", bool, "/n/true"),
        ("/n/{it}", date, "/n/2026-01-31"),
        ("/n/{it}", Size, "/n/small%20size"),
        ("/n/{it}", Literal["a", "b"], "/n/a"),
        ("/n/{it}", Annotated[Size, "documented"], "/n/small%20size"),
        ("/n/{it}", "Annotated[int, 'as text']", "/n/1"),
        ("/n/{it}", Any, "/n/1"),
    ],
)
def test_a_parameter_of_the_path_gets_a_value_of_its_type(
    make_site: MakeSite, path: str, annotation: Any, address: str
) -> None:
    def read(it: Any) -> None:
        """Reads something."""

    read.__annotations__["it"] = annotation
    site = make_site(an_app(path, handler=read))
    assert proposed(site.get().text) == f"http://testserver{address}"
    template = path.partition(":")[0] + "}" if ":" in path else path
    assert called(site) == [f"GET {template}"]


def test_the_query_has_what_it_needs_and_nothing_else(make_site: MakeSite) -> None:
    def search(  # noqa: PLR0917  As many as a handler of an application may have.
        text: str,
        size: Annotated[Size, Query(alias="s")],
        limit: Annotated[int, Query()],
        old: int = Query(...),
        odd: Literal[1, 2] | None = None,
        page: int = 1,
        sort: str = Query("name"),
        trace: str | None = Header(None),
        user: None = Depends(plain),
    ) -> None:
        """Finds something."""

    site = make_site(an_app("/search", handler=search))
    address = "http://testserver/search?text=1&s=small+size&limit=1&old=1"
    assert proposed(site.get().text) == address
    assert part(site.get().text, "lens-curl") == f"curl '{address}'"
    assert called(site) == ["GET /search"]


def test_a_call_without_parameters_is_preferred_to_one_with_a_query(make_site: MakeSite) -> None:
    def search(text: str) -> None:
        """Finds something."""

    app = an_app("/search", handler=search)
    app.add_api_route("/a-longer-path", plain)
    assert called(make_site(app)) == ["GET /a-longer-path"]


def test_a_path_with_characters_of_the_shell_is_quoted(make_site: MakeSite) -> None:
    site = make_site(an_app("/it's $HOME;{name}/<b>ü"))
    assert called(site) == ["GET /it's $HOME;{name}/<b>ü"]


def test_an_application_behind_a_proxy_is_called_below_its_root_path(make_site: MakeSite) -> None:
    app = an_app()
    router = APIRouter()
    router.add_api_route("/things/{number}", plain)
    app.include_router(router, prefix="/v2")
    site = make_site(app, root_path="/api")
    assert proposed(site.get("/lens/endpoints").text) == "http://testserver/api/v2/things/1"
    assert called(site) == ["GET /v2/things/{number}"]


def test_the_prefix_of_the_admin_is_not_that_of_the_application(make_site: MakeSite) -> None:
    app = an_app("/health")
    app.include_router(create_lens_admin(prefix="/internal/lens"), prefix="/t/{tenant}")
    site = make_site(app, include=False)
    text = site.get("/t/acme/internal/lens/endpoints").text
    assert proposed(text) == "http://testserver/health"


def lens_in(app: FastAPI, client: TestClient, path: str) -> str:
    """The proposed address of an application that is mounted, or has a mounted one."""
    client.get("/nothing-here")
    client.get(path)
    lens = lens_of(app)
    assert lens.flusher.flush()
    address = proposed(client.get(f"{path}/endpoints").text)
    assert client.get(address).status_code == 200
    assert lens.flusher.flush()
    rows = client.get(f"{path}/endpoints.json").json()["endpoints"]
    assert [one["path"] for one in rows if one["total_calls"]]
    lens.stop()
    return address


def test_a_mounted_application_is_called_where_it_is_mounted() -> None:
    inner = an_app("/health")
    inner.add_middleware(LensMiddleware, config=LensConfig(db_path=":memory:"))
    inner.include_router(lens_admin)
    outer = FastAPI()
    outer.mount("/sub", inner)
    address = lens_in(inner, TestClient(outer), "/sub/lens")
    assert address == "http://testserver/sub/health"


def test_an_admin_in_a_mounted_application_knows_the_paths_of_the_outer_one() -> None:
    inner = an_app("/health")
    inner.include_router(lens_admin)
    outer = an_app()
    outer.mount("/sub", inner)
    outer.add_middleware(LensMiddleware, config=LensConfig(db_path=":memory:"))
    address = lens_in(outer, TestClient(outer), "/sub/lens")
    assert address == "http://testserver/sub/health"


def test_where_nothing_is_a_get_the_endpoint_is_named(make_site: MakeSite) -> None:
    app = FastAPI(openapi_url=None)
    app.add_api_route("/longer/path", plain, methods=["POST"])
    app.add_api_route("/things", plain, methods=["DELETE"])
    text = make_site(app).get().text
    assert part(text, "lens-curl") is None
    assert part(text, "lens-call") == "Call DELETE /things, with your client or a test."


def test_what_is_not_counted_is_not_proposed(make_site: MakeSite) -> None:
    app = an_app("/a", "/b", "/c/long", "/d/longer")
    app.mount("/static", PlainTextResponse("a file"))
    site = make_site(app, exclude_paths=["/a"])
    save_rules(site, Rule(id="b", pattern="/b"), Rule(id="c", pattern="/c/**", statuses=(4,)))
    assert called(site) == ["GET /d/longer"]


def test_an_application_of_which_nothing_is_counted_says_so(make_site: MakeSite) -> None:
    site = make_site(an_app("/a"))
    save_rules(site, Rule(id="a", pattern="/**", statuses=(5,)))
    words = "No endpoint is counted: each of them is excluded or ignored."
    assert part(site.get().text, "lens-call") == words


def test_a_path_that_another_route_answers_is_not_proposed(make_site: MakeSite) -> None:
    async def nothing(request: Request) -> Response:
        return PlainTextResponse("nothing", 404)

    class OnlyPost(HTTPEndpoint):
        """Takes no GET."""

        async def post(self, request: Request) -> Response:
            return PlainTextResponse("taken")

    app = FastAPI(openapi_url=None)
    app.router.routes.extend(
        [
            Mount("/m", app=Starlette(routes=[Route("/deep/down", nothing, methods=["POST"])])),
            Host("api.example.org", app=Starlette(routes=[Route("/h", nothing)])),
            Route("/p", OnlyPost),
        ]
    )

    @app.websocket("/w")
    async def talk(socket: WebSocket) -> None:
        """A conversation."""

    # In the shadow of the mount and of the route.
    for path in ("/m/a", "/p", "/things/new", "/things/{name}"):
        app.add_api_route(path, plain)
    assert called(make_site(app)) == ["GET /things/new"]


def test_a_handler_whose_parameters_cannot_be_read_is_called_with_plain_values(
    make_site: MakeSite,
) -> None:
    app = FastAPI(openapi_url=None)

    async def one(request: Request) -> Response:
        return PlainTextResponse(request.path_params["name"])

    one.__annotations__["request"] = "NoSuchType"
    app.router.routes.append(Route("/of/{name}", partial(one)))
    assert called(make_site(app)) == ["GET /of/{name}"]


def test_a_body_is_not_a_part_of_the_address(make_site: MakeSite) -> None:
    def odd(words: Annotated[str, Body()]) -> None:
        """Wants a body with a GET."""

    # It is counted, as each answer of an endpoint is.
    assert called(make_site(an_app("/odd", handler=odd)), status=422) == ["GET /odd"]
