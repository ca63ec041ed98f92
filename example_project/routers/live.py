"""Orders as they change, over a WebSocket, for the screen in the warehouse."""

import asyncio
import contextlib

from fastapi import APIRouter, WebSocket, WebSocketDisconnect, status

from example_project.events import OrderEvent
from example_project.models import OrderStatus
from example_project.shop import CurrentShop

router = APIRouter(tags=["live"])


@router.websocket("/events")
async def follow_orders(websocket: WebSocket, shop: CurrentShop, only: str | None = None) -> None:
    """Follow orders as they get a new status; ``only`` leaves out all but one status."""
    if only is not None and only not in set(OrderStatus):
        await websocket.close(status.WS_1008_POLICY_VIOLATION)
        return
    with shop.events.listen() as queue:
        await websocket.accept()
        sending = asyncio.create_task(_send(websocket, queue, only))
        try:
            while True:
                await websocket.receive_text()
        except WebSocketDisconnect:
            pass
        finally:
            sending.cancel()
            with contextlib.suppress(asyncio.CancelledError, WebSocketDisconnect):
                await sending


async def _send(websocket: WebSocket, queue: asyncio.Queue[OrderEvent], only: str | None) -> None:
    while True:
        event = await queue.get()
        if only is None or event.status == only:
            await websocket.send_json({"order_id": event.order_id, "status": event.status})
