"""Gives requests the address of a client."""

from typing import Any


class ClientAt:
    """An application that is called from an address; TestClient(client=…) needs Starlette 0.44."""

    def __init__(self, app: Any, address: str) -> None:
        self.app, self.address = app, address

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        scope["client"] = (self.address, 5000)
        await self.app(scope, receive, send)
