import inspect

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from fastapi_lens.recording.routes.first_call import Call, first_call, root_of

pytestmark = pytest.mark.unit


def answer(_request: Request) -> PlainTextResponse:
    return PlainTextResponse("fine")


def test_an_admin_that_is_in_no_route_has_no_root() -> None:
    assert root_of(Starlette(), "/api/lens") == ""


def test_mounts_and_routes_that_only_begin_alike_do_not_answer() -> None:
    routes = [Mount("/m", routes=[]), Route("/m{name}/more", answer), Route("/mx", answer)]
    assert first_call(Starlette(routes=routes), lambda _, path: path == "/mx") == Call(
        "GET", "/mx", "/mx"
    )


def test_a_decorated_builtin_has_no_signature_and_gets_a_plain_value() -> None:
    def decorated(name: str) -> str:
        raise NotImplementedError

    vars(decorated).update(__signature__=inspect.signature(decorated), __wrapped__=dict)
    app = FastAPI()
    app.get("/things/{name}")(decorated)
    assert first_call(app, lambda _method, _path: True) == Call(
        "GET", "/things/{name}", "/things/1"
    )
