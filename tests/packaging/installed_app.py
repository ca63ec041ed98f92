"""An application with the lens, called from inside an environment that has only the wheel.

Not imported by tests: `test_wheel.py` runs it with the installed Python, isolated from the
checkout, and reads the JSON that it prints. Calls the application as a server would, because
nothing but the package's own dependencies may be needed.
"""

import asyncio
import json
import re
import sys
from pathlib import Path
from typing import Any

from fastapi import FastAPI

import fastapi_lens
from fastapi_lens import LensConfig, LensMiddleware, lens_admin

KEY = "a key that only this file knows"
PATIENCE = 50
"""Looks at the page, a tenth of a second apart."""

app = FastAPI(title="installed")


@app.get("/orders/{order_id}")
async def read_order(order_id: int) -> dict[str, int]:
    return {"order_id": order_id}


async def get(path: str, **headers: str) -> tuple[int, str, bytes]:
    """Status, content type and body of one GET."""
    sent: list[dict[str, Any]] = []
    path, _, query = path.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.replace("_", "-").encode(), v.encode()) for name, v in headers.items()],
        "client": ("203.0.113.7", 4711),
        "server": ("127.0.0.1", 80),
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)  # type: ignore[arg-type]
    received = dict(sent[0]["headers"])
    body = b"".join(message.get("body", b"") for message in sent[1:])
    return sent[0]["status"], received.get(b"content-type", b"").decode(), body


def shows_endpoint(page: str) -> bool:
    """True when the page's text names the application's own endpoint."""
    return "/orders/{order_id}" in re.sub("<[^>]+>", "", page)


async def main() -> None:
    """Look at the admin as a browser with the key would, and print what came."""
    events: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
    running = asyncio.ensure_future(app(scope, events.get, answers.put))  # type: ignore[arg-type]
    await events.put({"type": "lifespan.startup"})
    started = await answers.get()

    await get("/orders/7")
    without_key, _, _ = await get("/lens/report")
    # The endpoints become known in the background, soon after the start.
    for _ in range(PATIENCE):
        status, kind, body = await get("/lens/", x_lens_key=KEY)
        page = body.decode()
        if shows_endpoint(page):
            break
        await asyncio.sleep(0.1)
    links = re.findall(r'<(?:link|script)\b[^>]*?(?:href|src)="(/lens/[^"]+)"', page)
    assets = {link: [*(await get(link))[:2], len((await get(link))[2])] for link in links}

    await events.put({"type": "lifespan.shutdown"})
    stopped = await answers.get()
    await running
    result = {
        "package": str(Path(fastapi_lens.__file__).parent),
        "lifespan": [started["type"], stopped["type"]],
        "without_key": without_key,
        "page": [status, kind],
        "shows_endpoint": shows_endpoint(page),
        "assets": assets,
    }
    sys.stdout.write(json.dumps(result))


app.add_middleware(LensMiddleware, config=LensConfig(report_key=KEY, db_path="installed.db"))
app.include_router(lens_admin)

if __name__ == "__main__":
    asyncio.run(main())
