"""An application for a server process whose connections stay open until the client goes."""

import asyncio
from collections.abc import AsyncIterator

from fastapi import FastAPI, WebSocket
from starlette.responses import StreamingResponse
from starlette.websockets import WebSocketDisconnect

from fastapi_lens import LensMiddleware, lens_admin

app = FastAPI(title="held open")
app.add_middleware(LensMiddleware)
app.include_router(lens_admin)


@app.websocket("/talk")
async def talk(socket: WebSocket) -> None:
    await socket.accept()
    try:
        while True:
            await socket.send_text(await socket.receive_text())
    except WebSocketDisconnect:
        pass


@app.get("/events")
async def events() -> StreamingResponse:
    async def endless() -> AsyncIterator[str]:
        while True:
            yield "data: x\n\n"
            await asyncio.sleep(0.05)

    return StreamingResponse(endless(), media_type="text/event-stream")
