"""Scenarios of clients, and their weights. Never touches endpoints shown as unused."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from example_project.catalogue import CATALOGUE, FREE_COUPON
from example_project.clients import Client
from example_project.credentials import (
    ACCEPTED,
    DECLINED,
    PROVIDER_DOWN,
    webhook_signature,
)
from example_project.shopper import Answer, Shopper

Scenario = Callable[[Shopper], Awaitable[None]]

CREATED = 201
CONFLICT = 409
PNG = b"\x89PNG\r\n\x1a\n" + bytes(600)
WORDS = ("kettle", "press", "dark", "grinder", "decaf", "tea", "filter", "cup", "burrs", "sample")
NAMES = ("Kim Larsen", "Rosa Moreau", "Tom Novak", "Uma Olsen", "Vera Petit", "Wim Quist")


async def browse(shopper: Shopper) -> None:
    """Look around, and now and then at something that is gone."""
    category = shopper.chance.choice(tuple(CATALOGUE))
    await shopper.get("/v2/products", params={"category": category})
    browser = shopper.acting_as(Client.BROWSER)
    if shopper.likely(0.3):
        name = "old-logo.png" if shopper.likely(0.06) else "logo.svg"
        await browser.get(f"/static/{name}")
    for _ in range(shopper.chance.randint(1, 4)):
        sku = "OLD-9999" if shopper.likely(0.03) else shopper.sku()
        await shopper.get(f"/v2/products/{sku}")
        if shopper.likely(0.4):
            await browser.get(f"/v2/products/{sku}/image")
        if shopper.likely(0.25):
            await shopper.get(f"/v2/products/{sku}/reviews")


async def search(shopper: Shopper) -> None:
    """Look for a word, sometimes for too short a one."""
    word = "x" if shopper.likely(0.05) else shopper.chance.choice(WORDS)
    answer = await shopper.get("/v2/search", params={"q": word})
    if answer.is_good and answer.body:
        await shopper.get(f"/v2/products/{answer.body[0]['sku']}")


async def order(shopper: Shopper) -> None:
    """Order, pay, get the parcel, look at the invoice."""
    placed = await _place(shopper, coupon=None)
    if placed is None:
        return
    await shopper.get(f"/v2/orders/{placed}")
    if shopper.likely(0.08):
        await shopper.post(f"/v2/orders/{placed}/cancel")
        return
    if not await _pay(shopper, placed):
        return
    if shopper.likely(0.7):
        await _ship(shopper, placed)
    if shopper.likely(0.5):
        await shopper.get(f"/v2/orders/{placed}/invoice")


async def _place(shopper: Shopper, *, coupon: str | None) -> int | None:
    skus = [shopper.sku() for _ in range(shopper.chance.randint(1, 3))]
    lines = [{"sku": sku, "quantity": shopper.chance.randint(1, 3)} for sku in skus]
    if coupon is not None or shopper.likely(0.2):
        coupon = coupon or shopper.chance.choice(("SPRING10", "FRIENDS20"))
        await shopper.get(f"/v2/coupons/{coupon}")
    wanted = {"customer_id": shopper.customer(), "lines": lines, "coupon_code": coupon}
    answer = await shopper.post("/v2/orders", wanted)
    if answer.status == CONFLICT:
        await restock(shopper, skus)
    if answer.status != CREATED:
        return None
    shopper.memory.orders.append(answer.body["id"])
    return int(answer.body["id"])


async def _pay(shopper: Shopper, order_id: int) -> bool:
    for _ in range(3):
        tokens = (ACCEPTED, DECLINED, PROVIDER_DOWN)
        token = shopper.chance.choices(tokens, (90, 6, 4))[0]
        answer = await shopper.post(f"/v2/orders/{order_id}/payment", {"token": token})
        if answer.status == CREATED:
            shopper.memory.paid.append(order_id)
            await _notify(shopper, answer.body["provider_reference"])
            return True
        if shopper.likely(0.3):
            break
    return False


async def _notify(shopper: Shopper, reference: str) -> None:
    """Send the notice that the payment provider would send."""
    body = json.dumps({"provider_reference": reference, "event": "settled"}).encode()
    signature = "forged" if shopper.likely(0.02) else webhook_signature(body)
    headers = {"X-Signature": signature, "Content-Type": "application/json"}
    provider = shopper.acting_as(Client.PAYMENTS)
    await provider.send("POST", "/webhooks/payments", content=body, headers=headers)


async def _ship(shopper: Shopper, order_id: int) -> None:
    shopper = shopper.acting_as(Client.WAREHOUSE)
    answer = await shopper.post(f"/v2/orders/{order_id}/shipments", {"carrier": "post"})
    if answer.status == CREATED:
        shopper.memory.parcels.append(answer.body["tracking_code"])
    if shopper.likely(0.3):
        await shopper.get(f"/v2/orders/{order_id}/shipments")


async def track(shopper: Shopper) -> None:
    """Ask where the parcel is, sometimes with a typing error; say how it was."""
    parcels = shopper.memory.parcels
    code = shopper.chance.choice(parcels) if parcels and not shopper.likely(0.06) else "KC0"
    await shopper.get(f"/v2/shipments/{code}")
    if shopper.likely(0.15):
        review = {"customer_id": shopper.customer(), "stars": 5, "text": "As good as last time."}
        await shopper.post(f"/v2/products/{shopper.sku()}/reviews", review)


async def refund(shopper: Shopper) -> None:
    """Send something back; who asks twice gets a 409."""
    if not shopper.memory.paid:
        return
    order_id = shopper.memory.paid.popleft()
    await shopper.post(f"/v2/orders/{order_id}/refunds", {"reason": "broken in transit"})
    await shopper.get(f"/v2/orders/{order_id}/refunds")
    if shopper.likely(0.1):
        await shopper.post(f"/v2/orders/{order_id}/refunds", {"reason": "again"})


async def support(shopper: Shopper) -> None:
    """Answer a customer's call."""
    shopper = shopper.acting_as(Client.BACK_OFFICE)
    await shopper.get("/v2/customers")
    customer_id = 999_999 if shopper.likely(0.04) else shopper.customer()
    await shopper.get(f"/v2/customers/{customer_id}")
    await shopper.get(f"/v2/customers/{customer_id}/orders")
    if shopper.likely(0.3):
        await shopper.get(f"/v2/customers/{customer_id}/addresses")
    if shopper.likely(0.2):
        path = f"/v2/customers/{customer_id}"
        await shopper.send("PATCH", path, json={"name": shopper.chance.choice(NAMES)})


async def sign_up(shopper: Shopper) -> None:
    """Open an account; who forgets the @ gets a 422, who has one already a 409."""
    name = shopper.chance.choice(NAMES)
    email = f"{name.replace(' ', '.').lower()}.{shopper.chance.randrange(100_000)}@example.org"
    email = shopper.chance.choices((email, "no-address", "taken@example.org"), (90, 6, 4))[0]
    answer = await shopper.post("/v2/customers", {"name": name, "email": email, "country": "NL"})
    if answer.status != CREATED:
        return
    customer_id = answer.body["id"]
    shopper.memory.customers.append(customer_id)
    address = {"kind": "shipping", "street": "Quay 7", "city": "Delft", "postal_code": "2611"}
    await shopper.post(f"/v2/customers/{customer_id}/addresses", address | {"country": "NL"})


async def restock(shopper: Shopper, skus: list[str] | None = None) -> None:
    """Count the warehouse."""
    shopper = shopper.acting_as(Client.WAREHOUSE)
    for sku in skus or [shopper.sku() for _ in range(4)]:
        level = {"stock": shopper.chance.randint(150, 400)}
        await shopper.send("PUT", f"/v2/products/{sku}/inventory", json=level)


async def back_office(shopper: Shopper) -> None:
    """Look at orders, figures and stock."""
    shopper = shopper.acting_as(Client.BACK_OFFICE)
    status = shopper.chance.choices(("placed", "paid", "shipped", "lost"), (8, 8, 8, 1))[0]
    await shopper.get("/v2/orders", params={"status": status})
    if shopper.likely(0.12):
        await shopper.get("/v2/reports/sales", params={"days": 30})
    if shopper.likely(0.25):
        await shopper.get("/v2/reports/low-stock")
    if shopper.likely(0.25):
        change = {"price_cents": shopper.chance.randrange(590, 3990, 100)}
        await shopper.send("PATCH", f"/v2/products/{shopper.sku()}", json=change)
    if shopper.likely(0.1):
        sku = f"LIM-{shopper.chance.randrange(1000, 2000)}"
        product = {"sku": sku, "name": "Limited roast", "category": "beans", "price_cents": 1490}
        await shopper.post("/v2/products", product)


async def upload(shopper: Shopper) -> None:
    """Send a picture, sometimes of a kind that is not taken."""
    kind = "image/tiff" if shopper.likely(0.1) else "image/png"
    files = {"image": ("photo.png", PNG, kind)}
    shopper = shopper.acting_as(Client.BACK_OFFICE)
    await shopper.send("PUT", f"/v2/products/{shopper.sku()}/image", files=files)


async def import_prices(shopper: Shopper) -> None:
    """Send a supplier's price list; some lack a column, some are in another encoding."""
    rows = "".join(
        f"NEW-{shopper.chance.randrange(1000, 1100)},Café roast,beans,{990 + 10 * number}\n"
        for number in range(5)
    )
    header = "sku,name,category\n" if shopper.likely(0.1) else "sku,name,category,price_cents\n"
    encoding = "latin-1" if shopper.likely(0.25) else "utf-8"
    files = {"price_list": ("prices.csv", (header + rows).encode(encoding), "text/csv")}
    await shopper.acting_as(Client.BACK_OFFICE).send("POST", "/v2/products/import", files=files)


async def export(shopper: Shopper) -> None:
    """Download orders; a column that does not exist breaks the download off."""
    columns = "id,margin" if shopper.likely(0.08) else "id,status,total_cents"
    shopper = shopper.acting_as(Client.ACCOUNTING)
    await shopper.get("/v2/orders/export.csv", params={"columns": columns, "limit": 300})
    if shopper.likely(0.2):
        await shopper.get("/v2/reports/sales", params={"days": 7})


async def free_order(shopper: Shopper) -> None:
    """Order with a coupon that makes it free, and crash the invoice."""
    placed = await _place(shopper, coupon=FREE_COUPON)
    if placed is not None:
        await shopper.get(f"/v2/orders/{placed}/invoice")


async def partner(shopper: Shopper) -> None:
    """Be a partner's system, which sometimes forgets its key."""
    forgets = shopper.likely(0.04)
    shopper = shopper.acting_as(Client.PARTNER_WITHOUT_KEY if forgets else Client.PARTNER)
    if shopper.likely(0.3):
        await shopper.get("/partner/feed")
    sku = shopper.sku()
    answer: Answer = await shopper.get(f"/partner/stock/{sku}")
    if answer.is_good and shopper.likely(0.35):
        reference = f"P-{shopper.chance.randrange(1_000_000)}"
        wanted: dict[str, Any] = {"reference": reference, "lines": [{"sku": sku, "quantity": 1}]}
        await shopper.post("/partner/orders", wanted)


async def old_till(shopper: Shopper) -> None:
    """Be the till that nobody has updated; one of its two endpoints is removed."""
    shopper = shopper.acting_as(Client.TILL)
    await shopper.get("/v1/orders")
    if shopper.likely(0.3):
        await shopper.get(f"/v1/customers/{shopper.customer()}")


async def old_carrier(shopper: Shopper) -> None:
    """Send a notice with a signature that is wrong, as always."""
    notice = {"tracking_code": "KC0"}
    shopper = shopper.acting_as(Client.CARRIER)
    await shopper.send("POST", "/webhooks/parcels", json=notice, headers={"X-Signature": "old"})


async def crawl(shopper: Shopper) -> None:
    """Be the crawler of a search engine."""
    await shopper.acting_as(Client.CRAWLER).get("/v2/feeds/products")


async def scan(shopper: Shopper) -> None:
    """Look for weaknesses."""
    await shopper.acting_as(Client.SCANNER).get("/v1/server-info")


async def mistakes(shopper: Shopper) -> None:
    """Ask for what is not there, or in a way that cannot be understood."""
    await shopper.get("/v2/orders/99999999")
    await shopper.post("/v2/orders", {"customer_id": shopper.customer(), "lines": []})
    await shopper.post(f"/v2/orders/{shopper.chance.choice(shopper.memory.orders)}/cancel")
    await shopper.get("/wp-login.php")


async def check_health(shopper: Shopper) -> None:
    """Be the load balancer."""
    await shopper.acting_as(Client.PROBE).get("/health")


MIX: dict[Scenario, float] = {
    browse: 30,
    search: 6,
    order: 13,
    track: 9,
    refund: 2.5,
    support: 6,
    sign_up: 3,
    restock: 2.5,
    back_office: 6,
    upload: 1,
    import_prices: 0.8,
    export: 1.2,
    free_order: 0.8,
    partner: 8,
    old_till: 2,
    old_carrier: 0.5,
    crawl: 0.4,
    scan: 0.2,
    mistakes: 1,
    check_health: 10,
}
"""Weight of each scenario, relative to the others."""
