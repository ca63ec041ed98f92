"""Applications for server processes to run; their lens is set by the environment."""

import asyncio
import os
import time
from pathlib import Path

from fastapi import APIRouter, FastAPI

from fastapi_lens import LensMiddleware

BEGUN, RELEASE = "begun-{}", "release"
"""Files in the folder that the server runs in."""

router = APIRouter()


@router.get("/fast/{number}")
async def fast(number: int) -> int:
    return number


@router.get("/sync/{number}")
def sync(number: int) -> int:
    return number


@router.get("/worker")
async def worker() -> int:
    return os.getpid()


@router.get("/held/{number}")
async def held(number: int) -> int:
    begin(number)
    while not released():  # noqa: ASYNC110  The test that releases is another process.
        await asyncio.sleep(0.02)
    return number


@router.get("/held-sync/{number}")
def held_sync(number: int) -> int:
    begin(number)
    while not released():
        time.sleep(0.02)
    return number


def begin(number: int) -> None:
    """Let the test know that this one is under way."""
    Path(BEGUN.format(number)).touch()


def released() -> bool:
    """True once the held requests may end."""
    return Path(RELEASE).exists()


def _with_routes() -> FastAPI:
    made = FastAPI()
    made.include_router(router)
    return made


app = _with_routes()
app.add_middleware(LensMiddleware)

wrapped = LensMiddleware(_with_routes())
"""Its lens is made when this module is loaded, so before a server forks its workers."""

outer = FastAPI()
outer.mount("/mounted", app)
