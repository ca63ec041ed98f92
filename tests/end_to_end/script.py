"""A known script of calls on the example project, and what each of them must be counted as."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import httpx2
import websockets

from example_project.credentials import DEMO_PARTNER_KEY, webhook_signature

Counts = Counter[tuple[str, str, int]]
"""Calls by method, path template and status code."""

SKU, UNKNOWN_SKU = "COF-101", "XXX-999"
PNG = b"\x89PNG\r\n\x1a\n"
AT_ONCE = 12
PARTNER = {"X-Partner-Key": DEMO_PARTNER_KEY}


class Script:
    """Calls the example and keeps count of what it has sent and got.

    Args:
        base_url: Of the running example, without a slash at the end.
    """

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self.counts: Counts = Counter()
        self._gate = asyncio.Semaphore(AT_ONCE)

    async def run(self) -> None:
        """Send everything."""
        async with httpx2.AsyncClient(base_url=self.base_url, timeout=60) as self._client:
            skus = [one["sku"] for one in (await self._get("/v2/products", limit=100)).json()]
            order = await self._order(skus[0])
            await asyncio.gather(*self._reads(skus, order["id"]), *self._writes(skus))
        # After a crash the server closes the connection without saying so: use each one once.
        once = httpx2.Limits(max_keepalive_connections=0)
        async with httpx2.AsyncClient(
            base_url=self.base_url, timeout=60, limits=once
        ) as self._client:
            await asyncio.gather(*self._faults(), *self._no_calls())
        await asyncio.gather(*(self._socket(only) for only in ("", "?only=paid", "?only=no")))

    def _reads(self, skus: list[str], order_id: int) -> list[Awaitable[Any]]:
        calls: list[Awaitable[Any]] = []
        for number in range(70):
            sku = skus[number % len(skus)]
            calls += [
                self._get("/health"),
                self._get("/v2/products", limit=5),
                self._get("/v2/products/{sku}", sku=sku),
                self._get("/v2/products/{sku}/reviews", sku=sku),
                self._get("/v2/products/{sku}/image", sku=sku),
                self._get("/v2/search", q="coffee"),
                self._get("/v2/customers", limit=3),
                self._get("/v2/customers/{customer_id}", customer_id=number + 1),
                self._get("/v2/customers/{customer_id}/orders", customer_id=number + 1),
                self._get("/v2/customers/{customer_id}/addresses", customer_id=number + 1),
                self._get("/v2/orders", limit=2),
                self._get("/v2/orders/{order_id}", order_id=number + 1),
                self._get("/v2/orders/{order_id}/refunds", order_id=order_id),
                self._get("/v2/orders/{order_id}/shipments", order_id=order_id),
                self._get("/v2/orders/{order_id}/invoice", order_id=order_id),
                self._get("/v2/coupons/{code}", code="SPRING10"),
                self._get("/v2/reports/low-stock"),
                self._get("/v1/orders"),
                self._get("/v1/orders/{order_id}", order_id=number + 1),
                self._get("/partner/feed", headers=PARTNER),
                self._get("/partner/stock/{sku}", sku=sku, headers=PARTNER),
                self._get("/partner/stock/{sku}", sku=sku),
                self._get("/static/{path}", path="logo.svg"),
                self._call("GET", "/v2/orders/export.csv", limit=50),
            ]
        calls += [self._get("/v2/reports/sales", days=30) for _ in range(6)]
        return calls

    def _writes(self, skus: list[str]) -> list[Awaitable[Any]]:
        calls: list[Awaitable[Any]] = []
        for number in range(50):
            sku = skus[number % len(skus)]
            review = {"customer_id": number + 1, "stars": 4, "text": "Fine."}
            calls += [
                self._order(sku),
                self._call("PUT", "/v2/products/{sku}/inventory", sku=sku, json={"stock": 900}),
                self._call("PATCH", "/v2/products/{sku}", sku=sku, json={"is_listed": True}),
                self._call("POST", "/v2/products/{sku}/reviews", sku=sku, json=review),
                self._call(
                    "PUT",
                    "/v2/products/{sku}/image",
                    sku=sku,
                    files={"image": ("a.png", PNG, "image/png")},
                ),
                self._call(
                    "POST", "/v2/newsletter/subscribers", json={"email": f"a{number}@example.com"}
                ),
                self._webhook(signed=bool(number % 2)),
            ]
        return calls

    def _faults(self) -> list[Awaitable[Any]]:
        """Every way to fail: unknown, invalid, conflicting, crashing, broken while streaming."""
        price_list = "sku,name,category,price_cents\nTEA-900,Tee,tea,500\n"
        calls: list[Awaitable[Any]] = []
        for _ in range(15):
            calls += [
                self._get("/v2/products/{sku}", sku=UNKNOWN_SKU),
                self._get("/v2/products/{sku}", sku="not-a-sku"),
                self._get("/v2/orders/{order_id}", order_id="none"),
                self._get("/static/{path}", path="missing.svg"),
                self._call("POST", "/v2/orders", json={}),
                self._call("POST", "/v2/coupons", json={"code": "SPRING10", "percent_off": 5}),
                self._upload(price_list.encode()),
                self._upload("sku,näme\n".encode("latin-1")),
                self._broken_stream(),
            ]
        return calls

    def _no_calls(self) -> list[Awaitable[Any]]:
        """What is no call of an endpoint: 404, 405, the other slash, the lens and the docs."""
        return [
            self._send(method, path)
            for method, path in (
                ("GET", "/nothing"),
                ("GET", "/v2/nothing"),
                ("GET", "/partner/nothing"),
                ("GET", "/health/"),
                ("DELETE", "/health"),
                ("HEAD", "/health"),
                ("BREW", "/health"),
                ("GET", "/openapi.json"),
                ("GET", "/lens/login"),
            )
            for _ in range(5)
        ]

    async def _get(self, template: str, **values: Any) -> httpx2.Response:
        return await self._call("GET", template, **values)

    async def _call(self, method: str, template: str, **values: Any) -> httpx2.Response:
        """Call an endpoint; values that its template does not name go into the query."""
        sent = {name: values.pop(name, None) for name in ("headers", "json", "files", "content")}
        path = template
        for name in [name for name in values if f"{{{name}}}" in template]:
            path = path.replace(f"{{{name}}}", str(values.pop(name)))
        answer = await self._send(method, path, params=values or None, **sent)
        self.counts[method, template, answer.status_code] += 1
        return answer

    async def _send(self, method: str, path: str, **sent: Any) -> httpx2.Response:
        async with self._gate:
            return await self._client.request(method, path, **sent)

    async def _order(self, sku: str) -> Mapping[str, Any]:
        lines = [{"sku": sku, "quantity": 1}]
        answer = await self._call("POST", "/v2/orders", json={"customer_id": 1, "lines": lines})
        order: Mapping[str, Any] = answer.json()
        return order

    async def _upload(self, content: bytes) -> None:
        files = {"price_list": ("prices.csv", content, "text/csv")}
        await self._call("POST", "/v2/products/import", files=files)

    async def _webhook(self, *, signed: bool) -> None:
        body = b'{"provider_reference": "unknown", "event": "settled"}'
        headers = {"Content-Type": "application/json"}
        if signed:
            headers["X-Signature"] = webhook_signature(body)
        await self._call("POST", "/webhooks/payments", content=body, headers=headers)

    async def _broken_stream(self) -> None:
        """The client gets a 200 and then no end: to us that is a 500."""
        path = "/v2/orders/export.csv"
        with contextlib.suppress(httpx2.RemoteProtocolError, httpx2.ReadError):
            await self._send("GET", path, params={"columns": "id,unknown"})
        self.counts["GET", path, 500] += 1

    async def _socket(self, query: str) -> None:
        for _ in range(4):
            await self._connect(query)

    async def _connect(self, query: str) -> None:
        url = self.base_url.replace("http", "ws", 1) + "/v2/orders/events" + query
        status = 101
        try:
            async with websockets.connect(url) as socket:
                await socket.close()
        except websockets.InvalidStatus as error:
            status = error.response.status_code
        self.counts["WEBSOCKET", "/v2/orders/events", status] += 1

    @property
    def total(self) -> int:
        """How many calls of endpoints there were."""
        return sum(self.counts.values())


def run(base_url: str) -> Script:
    """Run the script against a server, to its end."""
    script = Script(base_url)
    runner: Callable[[], Awaitable[None]] = script.run
    asyncio.run(runner())  # type: ignore[arg-type]
    return script
