"""A small shop whose templates a root path must not change, for tests and for a server."""

from fastapi import APIRouter, FastAPI
from starlette.requests import Request
from starlette.responses import PlainTextResponse

from fastapi_lens import LensConfig, LensMiddleware


def plain(request: Request) -> PlainTextResponse:
    return PlainTextResponse("ok")


def shop() -> FastAPI:
    """An application with an included router, a mount and one function behind two routes."""
    app, router, inner = FastAPI(), APIRouter(), FastAPI()
    router.add_api_route("/users/{user_id}", lambda user_id: user_id)
    inner.add_api_route("/ping", lambda: 1)
    app.include_router(router, prefix="/v1")
    app.mount("/t/{tenant}", inner)
    app.add_route("/a/{x}", plain)
    app.add_route("/b/{x}", plain)
    return app


app = shop()
app.add_middleware(LensMiddleware, config=LensConfig(app_name="rooted"))
