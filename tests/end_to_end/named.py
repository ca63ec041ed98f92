"""An application whose callers are named by a function, a key or nothing; its lens is set by the
environment."""

import asyncio
from collections.abc import AsyncIterator

from fastapi import FastAPI, HTTPException
from starlette.responses import StreamingResponse
from starlette.types import Scope

from fastapi_lens import LensConfig, LensMiddleware

app = FastAPI(title="named")


def name_of(scope: Scope) -> str | None:
    """The name that a request gives."""
    return next((value.decode() for name, value in scope["headers"] if name == b"x-name"), None)


@app.get("/fast")
async def fast() -> int:
    return 1


@app.get("/sync")
def sync() -> int:
    return 1


@app.get("/refused")
async def refused() -> None:
    raise HTTPException(403)


@app.get("/crash")
async def crash() -> None:
    raise LookupError


@app.get("/stream")
async def stream() -> StreamingResponse:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"x"
            await asyncio.sleep(0.01)

    return StreamingResponse(parts())


app.add_middleware(LensMiddleware, config=LensConfig(consumer=name_of, callers="key"))
