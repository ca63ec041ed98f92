"""A known script of calls on the example project, and what each of them must be counted as."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import websockets

from benchmarks.support.clients import Answer, Body, Pool
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

    async def run(self) -> None:
        """Send everything."""
        port = urlsplit(self.base_url).port
        assert port is not None
        async with Pool(port, at_once=AT_ONCE) as self._pool:
            skus = [one["sku"] for one in (await self._get("/v2/products", limit=100)).json()]
            order = await self._order(skus[0])
            await asyncio.gather(*self._reads(skus, order["id"]), *self._writes(skus))
        # After a crash the server closes the connection without saying so: use each one once.
        async with Pool(port, at_once=AT_ONCE, keeps=False) as self._pool:
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
                self._call(
                    "PUT",
                    "/v2/products/{sku}/inventory",
                    sku=sku,
                    body=Body.of_json({"stock": 900}),
                ),
                self._call(
                    "PATCH", "/v2/products/{sku}", sku=sku, body=Body.of_json({"is_listed": True})
                ),
                self._call(
                    "POST", "/v2/products/{sku}/reviews", sku=sku, body=Body.of_json(review)
                ),
                self._call(
                    "PUT",
                    "/v2/products/{sku}/image",
                    sku=sku,
                    body=Body.of_file("image", ("a.png", PNG, "image/png")),
                ),
                self._call(
                    "POST",
                    "/v2/newsletter/subscribers",
                    body=Body.of_json({"email": f"a{number}@example.com"}),
                ),
                self._webhook(signed=bool(number % 2)),
            ]
        return calls

    def _faults(self) -> list[Awaitable[Any]]:
        """Every way to fail: unknown, invalid, conflicting, crashing, broken while streaming."""
        price_list = "sku,name,category,price_cents\nTEA-900,Tee,tea,500\n"
        coupon = {"code": "SPRING10", "percent_off": 5}
        calls: list[Awaitable[Any]] = []
        for _ in range(15):
            calls += [
                self._get("/v2/products/{sku}", sku=UNKNOWN_SKU),
                self._get("/v2/products/{sku}", sku="not-a-sku"),
                self._get("/v2/orders/{order_id}", order_id="none"),
                self._get("/static/{path}", path="missing.svg"),
                self._call("POST", "/v2/orders", body=Body.of_json({})),
                self._call("POST", "/v2/coupons", body=Body.of_json(coupon)),
                self._upload(price_list.encode()),
                self._upload("sku,näme\n".encode("latin-1")),
                self._broken_stream(),
            ]
        return calls

    def _no_calls(self) -> list[Awaitable[Any]]:
        """Requests that call no endpoint: 404, 405, the other slash, the lens and the docs."""
        return [
            self._send(method, path, {})
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

    async def _get(self, template: str, **values: Any) -> Answer:
        return await self._call("GET", template, **values)

    async def _call(self, method: str, template: str, **values: Any) -> Answer:
        """Call an endpoint; values that its template does not name go into the query."""
        sent = {name: values.pop(name, None) for name in ("headers", "body")}
        path = template
        for name in [name for name in values if f"{{{name}}}" in template]:
            path = path.replace(f"{{{name}}}", quote(str(values.pop(name))))
        answer = await self._send(method, path, values, **sent)
        assert answer is not None, f"{method} {path}"
        self.counts[method, template, answer.status] += 1
        return answer

    async def _send(
        self, method: str, path: str, query: Mapping[str, Any], **sent: Any
    ) -> Answer | None:
        target = f"{path}?{urlencode(query)}" if query else path
        return await self._pool.send(method, target, **sent)

    async def _order(self, sku: str) -> Mapping[str, Any]:
        order = {"customer_id": 1, "lines": [{"sku": sku, "quantity": 1}]}
        answer = await self._call("POST", "/v2/orders", body=Body.of_json(order))
        made: Mapping[str, Any] = answer.json()
        return made

    async def _upload(self, content: bytes) -> None:
        body = Body.of_file("price_list", ("prices.csv", content, "text/csv"))
        await self._call("POST", "/v2/products/import", body=body)

    async def _webhook(self, *, signed: bool) -> None:
        body = Body(b'{"provider_reference": "unknown", "event": "settled"}', "application/json")
        headers = {"X-Signature": webhook_signature(body.content)} if signed else {}
        await self._call("POST", "/webhooks/payments", body=body, headers=headers)

    async def _broken_stream(self) -> None:
        """The client gets a 200 and then no end: to us that is a 500."""
        path = "/v2/orders/export.csv"
        assert await self._send("GET", path, {"columns": "id,unknown"}) is None
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
        """Number of calls of endpoints."""
        return sum(self.counts.values())


def run(base_url: str) -> Script:
    """Run the script against a server, to its end."""
    script = Script(base_url)
    runner: Callable[[], Awaitable[None]] = script.run
    asyncio.run(runner())  # type: ignore[arg-type]
    return script
