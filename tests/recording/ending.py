"""An application whose requests end in every way, for server processes to run."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

from fastapi import BackgroundTasks, FastAPI, Request, WebSocket
from pydantic import BaseModel
from starlette.responses import StreamingResponse

from fastapi_lens import LensMiddleware

BEGUN, RELEASE = "begun-{}", "release"
"""Files in the folder that the server runs in."""

NOTICE_SECONDS = 0.2
"""For a server to hear of a client that went before the release."""


class Order(BaseModel):
    number: int


class PanicException(BaseException):
    """As that of Rust extensions."""


app = FastAPI()


def begin(name: str) -> None:
    Path(BEGUN.format(name)).touch()


async def release() -> None:
    while not Path(RELEASE).exists():  # noqa: ASYNC110, ASYNC240  The test is another process.
        await asyncio.sleep(0.02)
    await asyncio.sleep(NOTICE_SECONDS)


@app.get("/async")
async def asynchronous() -> int:
    begin("async")
    await release()
    return 1


@app.get("/half")
async def half() -> int:
    begin("half")
    await release()
    return 1


@app.get("/sync")
def sync() -> int:
    begin("sync")
    while not Path(RELEASE).exists():
        time.sleep(0.02)
    time.sleep(NOTICE_SECONDS)
    return 1


@app.get("/stream")
async def stream() -> StreamingResponse:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"x"
        begin("stream")
        await release()
        yield b"y"

    return StreamingResponse(chunks())


@app.get("/poll")
async def poll(request: Request) -> str:
    begin("poll")
    while not await request.is_disconnected():  # noqa: ASYNC110  As hosts do.
        await asyncio.sleep(0.02)
    return "gone"


@app.post("/model")
async def model(order: Order) -> Order:
    return order


@app.post("/group")
async def group(request: Request) -> int:
    begin("group")
    async with asyncio.TaskGroup() as tasks:
        reading = tasks.create_task(request.body())
    return len(reading.result())


@app.get("/quick")
async def quick() -> int:
    return 1


@app.get("/background")
async def background(tasks: BackgroundTasks) -> int:
    tasks.add_task(release)
    return 1


@app.get("/panic")
def panic() -> None:
    raise PanicException("called Option::unwrap() on a None value")


@app.get("/leaked")
async def leaked() -> None:
    task = asyncio.create_task(asyncio.sleep(10))
    task.cancel()
    await task


@app.get("/exit")
async def leaves() -> None:
    raise SystemExit(3)


@app.get("/panics-inside")
async def panics_inside() -> None:
    raise BaseExceptionGroup("tasks", [PanicException("inside"), ValueError("beside")])


@app.websocket("/echo")
async def echo(socket: WebSocket) -> None:
    await socket.accept()
    while True:
        await socket.send_text(await socket.receive_text())


@app.websocket("/push")
async def push(socket: WebSocket) -> None:
    await socket.accept()
    while True:
        await socket.send_text("x")
        await asyncio.sleep(0.02)


app.add_middleware(LensMiddleware)
