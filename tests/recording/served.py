"""An application for server processes to run; its lens is set by the environment."""

import asyncio

from fastapi import FastAPI

from fastapi_lens import LensMiddleware

app = FastAPI()
app.add_middleware(LensMiddleware)


@app.get("/fast/{number}")
async def fast(number: int) -> int:
    return number


@app.get("/sync/{number}")
def sync(number: int) -> int:
    return number


@app.get("/slow/{number}")
async def slow(number: int) -> int:
    await asyncio.sleep(0.5)
    return number


outer = FastAPI()
outer.mount("/mounted", app)
