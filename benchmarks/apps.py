"""The applications under measurement, bare: one route, or 200 of nested routers.

The handlers do next to nothing, so that what is added to a request is not lost in it. `typical`
has another one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI

from benchmarks.variants import Variant

ONE = "1 route"
MANY = "200 included routes"
ENDPOINTS = 200
GROUPS = 10


@dataclass(frozen=True, slots=True)
class Shape:
    """Routes for an application.

    Attributes:
        add_to: Adds them.
        paths: One for each route, in the order of the routes.
    """

    add_to: Callable[[FastAPI], None]
    paths: tuple[str, ...]

    @property
    def middle(self) -> str:
        """The path that as many routes lie before as behind."""
        return self.paths[len(self.paths) // 2]


def one_route() -> Shape:
    """One endpoint with a path parameter."""

    def add_to(app: FastAPI) -> None:
        app.add_api_route("/things/{item_id}", _handler(), methods=["GET"])

    return Shape(add_to, ("/things/7",))


def many_routes(endpoints: int = ENDPOINTS) -> Shape:
    """Endpoints in ten routers, included in a router that is included in another.

    Args:
        endpoints: A multiple of ten.
    """
    each = range(endpoints // GROUPS)

    def add_to(app: FastAPI) -> None:
        api, version = APIRouter(prefix="/api"), APIRouter(prefix="/v1")
        for group in range(GROUPS):
            router = APIRouter(prefix=f"/group{group}", tags=[f"group{group}"])
            for index in each:
                router.add_api_route(f"/things{index}/{{item_id}}", _handler(), methods=["GET"])
            version.include_router(router)
        api.include_router(version)
        app.include_router(api)

    paths = [f"/api/v1/group{group}/things{index}/7" for group in range(GROUPS) for index in each]
    return Shape(add_to, tuple(paths))


def build(variant: Variant, shape: Shape, folder: Path) -> FastAPI:
    """An application with what a variant adds.

    Args:
        variant: Variant of the lens, or of another package, to add.
        shape: The routes.
        folder: For the files that the variant writes; made when missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    app = FastAPI(**variant.arguments())
    variant.add_first(app, folder)
    shape.add_to(app)
    variant.add(app, folder)
    return app


def _handler() -> Callable[..., Any]:
    async def read_thing(item_id: int) -> dict[str, int]:
        return {"item_id": item_id}

    return read_thing
