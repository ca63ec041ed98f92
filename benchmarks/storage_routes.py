"""The endpoints of the storage benchmark. Imports no lens, so that every lens can serve them."""

from fastapi import FastAPI

APP = "storage benchmark"
BUSY = 500
"""Endpoints that are called all the time."""

UNUSED = 20
"""More endpoints: half of them were last called long ago, the others never."""

AREAS = 25


def paths() -> list[str]:
    """The path templates of all endpoints, each with GET; those that are unused come last."""
    return [
        f"/v1/area{number % AREAS}/thing{number // AREAS}/{{thing_id}}"
        for number in range(BUSY + UNUSED)
    ]


def add_routes(app: FastAPI) -> None:
    """All of them, and handlers that do next to nothing."""
    for path in paths():
        app.add_api_route(path, _thing, methods=["GET"])


async def _thing(thing_id: str) -> dict[str, str]:
    return {"thing": thing_id}
