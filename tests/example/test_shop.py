"""The example's endpoints do what they say, with rows in its own database."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from example_project.catalogue import FREE_COUPON
from example_project.credentials import (
    ACCEPTED,
    DECLINED,
    DEMO_PARTNER_KEY,
    PROVIDER_DOWN,
    webhook_signature,
)
from example_project.factory import create_app
from example_project.settings import Settings
from fastapi_lens import LensConfig


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """One shop for all of this module, because a new one for each test takes its time."""
    settings = Settings(tmp_path_factory.mktemp("shop"), latency_scale=0)
    app = create_app(settings, LensConfig(db_path=str(settings.lens_database)))
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def place(client: TestClient, **changes: Any) -> dict[str, Any]:
    wanted = {"customer_id": 1, "lines": [{"sku": "BEA-101", "quantity": 2}], **changes}
    answer = client.post("/v2/orders", json=wanted)
    assert answer.status_code == 201, answer.text
    order: dict[str, Any] = answer.json()
    return order


def pay(client: TestClient, order_id: int, token: str = ACCEPTED) -> int:
    return client.post(f"/v2/orders/{order_id}/payment", json={"token": token}).status_code


def test_an_order_goes_from_the_basket_to_the_refund(client: TestClient) -> None:
    order = place(client, coupon_code="SPRING10")
    assert order["total_cents"] == (2 * 1190 + 490) * 90 // 100
    path = f"/v2/orders/{order['id']}"

    assert pay(client, order["id"]) == 201
    parcel = client.post(f"{path}/shipments", json={"carrier": "post"}).json()
    tracking = client.get(f"/v2/shipments/{parcel['tracking_code']}").json()
    assert tracking["order_id"] == order["id"]
    assert client.get(f"{path}/invoice").json()["total_cents"] == order["total_cents"]

    part = client.post(f"{path}/refunds", json={"reason": "one broken", "amount_cents": 500})
    rest = client.post(f"{path}/refunds", json={"reason": "the other, too"})
    assert part.json()["amount_cents"] + rest.json()["amount_cents"] == order["total_cents"]
    assert len(client.get(f"{path}/refunds").json()) == 2
    assert client.get(path).json()["status"] == "refunded"
    assert client.post(f"{path}/refunds", json={"reason": "again"}).status_code == 409


def test_an_order_takes_from_the_stock_and_its_cancellation_puts_back(client: TestClient) -> None:
    def stock() -> int:
        level: int = client.get("/v2/products/TEA-403").json()["stock"]
        return level

    client.put("/v2/products/TEA-403/inventory", json={"stock": 3})
    lines = [{"sku": "TEA-403", "quantity": 2}]
    order = place(client, lines=lines)
    assert stock() == 1
    refused = client.post("/v2/orders", json={"customer_id": 1, "lines": lines})
    assert refused.status_code == 409
    assert stock() == 1
    assert client.post(f"/v2/orders/{order['id']}/cancel").json()["status"] == "cancelled"
    assert stock() == 3
    assert client.post(f"/v2/orders/{order['id']}/cancel").status_code == 409


def test_the_payment_provider_declines_and_fails(client: TestClient) -> None:
    order_id = place(client)["id"]
    assert pay(client, order_id, DECLINED) == 402
    assert pay(client, order_id, PROVIDER_DOWN) == 503
    assert pay(client, order_id) == 201
    assert pay(client, order_id) == 409


def test_unknown_rows_are_404_and_senseless_requests_422(client: TestClient) -> None:
    for path in ("/v2/orders/999999", "/v2/products/OLD-9999", "/v2/customers/999999"):
        assert client.get(path).status_code == 404, path
    for path in ("/v2/orders/soon", "/v2/search?q=x", "/v2/reports/sales?days=0"):
        assert client.get(path).status_code == 422, path


def test_three_bugs_crash(client: TestClient) -> None:
    free = place(client, coupon_code=FREE_COUPON)
    assert client.get(f"/v2/orders/{free['id']}/invoice").status_code == 500

    latin_1 = {"price_list": ("prices.csv", "sku;Café".encode("latin-1"), "text/csv")}
    assert client.post("/v2/products/import", files=latin_1).status_code == 500

    broken_off = client.get("/v2/orders/export.csv", params={"columns": "id,margin"})
    assert (broken_off.status_code, broken_off.text) == (200, "id,margin\r\n")


def test_the_export_streams_all_rows(client: TestClient) -> None:
    lines = client.get("/v2/orders/export.csv", params={"limit": 250}).text.splitlines()
    assert lines[0] == "id,customer_id,status,total_cents,created_at"
    assert len(lines) == 251


def test_a_price_list_adds_and_changes_products(client: TestClient) -> None:
    rows = "sku,name,category,price_cents\nTEA-406,Teapot,tea,1290\nNEW-1000,New,beans,900\n"
    files = {"price_list": ("prices.csv", rows, "text/csv")}
    answer = client.post("/v2/products/import", files=files)
    assert answer.json() == {"added": 1, "changed": 1}
    assert client.get("/v2/products/TEA-406").json()["price_cents"] == 1290
    short = {"price_list": ("prices.csv", "sku,name\n", "text/csv")}
    assert client.post("/v2/products/import", files=short).status_code == 422


def test_a_picture_comes_back_as_it_was_uploaded(client: TestClient) -> None:
    path = "/v2/products/BEA-101/image"
    assert client.get(path).headers["content-type"] == "image/svg+xml"
    assert client.put(path, files={"image": ("a.png", b"pixels", "image/png")}).status_code == 200
    assert client.get(path).content == b"pixels"
    assert client.put(path, files={"image": ("a.txt", b"words", "text/plain")}).status_code == 415
    large = {"image": ("a.png", bytes(1_000_001), "image/png")}
    assert client.put(path, files=large).status_code == 413


def test_who_follows_orders_hears_of_a_payment(client: TestClient) -> None:
    order_id = place(client)["id"]
    with client.websocket_connect("/v2/orders/events?only=paid") as socket:
        pay(client, order_id)
        assert socket.receive_json() == {"order_id": order_id, "status": "paid"}


def test_who_follows_what_there_is_not_is_refused(client: TestClient) -> None:
    with (
        pytest.raises(WebSocketDisconnect),
        client.websocket_connect("/v2/orders/events?only=nonsense"),
    ):
        pass


def test_partners_need_their_key(client: TestClient) -> None:
    key = {"X-Partner-Key": DEMO_PARTNER_KEY}
    assert client.get("/partner/feed").status_code == 401
    assert {"sku", "in_stock"} <= set(client.get("/partner/feed", headers=key).json()[0])
    wanted = {"reference": "P-1", "lines": [{"sku": "TEA-401", "quantity": 1}]}
    assert client.post("/partner/orders", json=wanted, headers=key).status_code == 201
    order = client.get("/partner/orders/P-1", headers=key).json()
    assert (order["channel"], order["lines"][0]["sku"]) == ("partner", "TEA-401")


def test_a_payment_notice_has_to_be_signed(client: TestClient) -> None:
    order_id = place(client)["id"]
    payment = client.post(f"/v2/orders/{order_id}/payment", json={"token": "tok_card"}).json()
    body = f'{{"provider_reference": "{payment["provider_reference"]}", "event": "settled"}}'
    headers = {"Content-Type": "application/json", "X-Signature": webhook_signature(body.encode())}
    assert client.post("/webhooks/payments", content=body, headers=headers).status_code == 204
    headers["X-Signature"] = "forged"
    assert client.post("/webhooks/payments", content=body, headers=headers).status_code == 401


def test_a_carriers_notice_has_to_be_signed(client: TestClient) -> None:
    body = b'{"tracking_code": "KC0"}'
    headers = {"Content-Type": "application/json", "X-Signature": "forged"}
    assert client.post("/webhooks/parcels", content=body, headers=headers).status_code == 401
    headers["X-Signature"] = webhook_signature(body)
    assert client.post("/webhooks/parcels", content=body, headers=headers).status_code == 404


def test_feeds_and_similar_products_leave_out_what_is_withdrawn(client: TestClient) -> None:
    assert client.delete("/v2/products/TEA-402").status_code == 204
    skus = {product["sku"] for product in client.get("/v2/feeds/products").json()}
    assert "TEA-401" in skus
    assert "TEA-402" not in skus
    similar = {product["sku"] for product in client.get("/v2/products/TEA-401/similar").json()}
    assert similar == {"TEA-403", "TEA-404", "TEA-405", "TEA-406"}


def test_version_1_still_speaks_its_own_words(client: TestClient) -> None:
    order = client.post("/v1/orders", json={"customerId": 1, "sku": "TEA-402", "amount": 2}).json()
    assert order["state"] == "PLACED"
    assert client.get(f"/v1/orders/{order['orderId']}").json() == order
    assert client.get("/v1/orders").json()[0] == order


def test_the_rest_of_the_back_office_works(client: TestClient) -> None:
    new = {"sku": "LIM-1000", "name": "Limited", "category": "beans", "price_cents": 1500}
    assert client.post("/v2/products", json=new).status_code == 201
    assert client.post("/v2/products", json=new).status_code == 409
    assert client.patch("/v2/products/LIM-1000", json={"name": "Rare"}).json()["name"] == "Rare"
    assert client.delete("/v2/products/LIM-1000").status_code == 204
    assert client.get("/v2/search", params={"q": "rare"}).json() == []

    person = {"name": "Kim", "email": "kim@example.org", "country": "NL"}
    customer = client.post("/v2/customers", json=person).json()
    path = f"/v2/customers/{customer['id']}"
    assert client.post("/v2/customers", json=person).status_code == 409
    address = {"kind": "billing", "street": "Quay 7", "city": "Delft", "postal_code": "2611"}
    assert client.post(f"{path}/addresses", json=address | {"country": "NL"}).status_code == 201
    assert client.get(f"{path}/addresses").json()[0]["city"] == "Delft"
    assert client.delete(path).status_code == 204
    assert client.get(path).json()["name"] == "erased"
    assert client.get(f"{path}/addresses").json() == []

    assert client.post("/operations/reindex").status_code == 204
    review = {"customer_id": 1, "stars": 4, "text": "Good."}
    assert client.post("/v2/products/TEA-402/reviews", json=review).status_code == 201
    assert client.get("/v2/products/TEA-402/reviews").json()[0]["text"] == "Good."
    card = client.post("/v2/gift-cards", json={"balance_cents": 2000}).json()
    assert client.get(f"/v2/gift-cards/{card['code']}").json() == card
    assert client.post("/v2/coupons", json={"code": "AUTUMN5", "percent_off": 5}).is_success
    assert client.get("/v2/coupons/AUTUMN5").json()["percent_off"] == 5
    assert client.post("/v2/newsletter/subscribers", json={"email": "a@example.org"}).is_success


def test_reports_add_up_what_was_sold(client: TestClient) -> None:
    before = client.get("/v2/reports/sales").json()[-1:]
    total_cents = place(client)["total_cents"]
    today = client.get("/v2/reports/sales").json()[-1]
    same_day = before if before and before[0]["day"] == today["day"] else [{"revenue_cents": 0}]
    assert today["revenue_cents"] == same_day[0]["revenue_cents"] + total_cents

    year, quarter = int(today["day"][:4]), (int(today["day"][5:7]) + 2) // 3
    rows = client.get(f"/v2/reports/quarterly/{year}/{quarter}").json()
    assert "beans" in {row["category"] for row in rows}
    client.put("/v2/products/GRI-301/inventory", json={"stock": 0})
    assert client.get("/v2/reports/low-stock").json()[0]["sku"] == "GRI-301"
    tax = client.get(f"/v2/reports/tax/{year}/{quarter}").json()
    assert tax["net_cents"] > tax["tax_cents"] > 0


def test_the_shop_and_the_lens_keep_their_tables_apart(settings: Settings) -> None:
    def tables(path: Path) -> set[str]:
        with closing(sqlite3.connect(path)) as connection:
            return {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}

    with TestClient(create_app(settings)) as client:
        assert client.get("/health").json() == {"status": "ok", "products": 36}
    shop, lens = tables(settings.shop_database), tables(settings.lens_database)
    assert {"orders", "products", "customers"} <= shop
    assert "lens_endpoint" in lens
    assert not any(name.startswith("lens_") for name in shop)
    assert not {"orders", "products", "customers"} & lens
