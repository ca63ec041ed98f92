from collections.abc import Callable

import pytest
from fastapi import APIRouter, FastAPI

from tests.admin.conftest import Site
from tests.support.pages import Table, page_text, table

MakeSite = Callable[..., Site]


def groups(text: str) -> Table:
    return table(text, "Groups of endpoints")


@pytest.fixture
def shop(make_site: MakeSite) -> Site:
    """A shop whose cart is in two tags, and whose health is in none."""
    app = FastAPI()
    api = APIRouter(prefix="/api/v1")

    @api.get("/orders", tags=["orders"])
    def orders() -> None: ...

    @api.get("/orders/{order_id}", tags=["orders"])
    def order(order_id: int) -> None: ...

    @api.post("/carts", tags=["carts", "orders"])
    def cart() -> None: ...

    @app.get("/health")
    def health() -> None: ...

    app.include_router(api)
    site = make_site(app, slow_threshold_ms=500.0)
    site.count("GET", "/api/v1/orders", 6)
    site.count("GET", "/api/v1/orders/{order_id}", 3, status=503, duration_ns=900_000_000)
    site.count("POST", "/api/v1/carts", 1, status=404)
    return site


def test_a_row_adds_up_the_endpoints_of_its_tag(shop: Site) -> None:
    text = shop.get("/lens/endpoints?group=tag").text
    found = groups(text)
    assert [row.name or row["Tag"] for row in found.rows] == ["orders", "carts", "No tag"]
    orders = found["orders"]
    assert (orders["Endpoints"], orders["Calls"], orders["5xx"], orders["4xx"]) == (
        *("3", "10", "3", "1"),
    )
    assert orders["p95"].startswith("9")
    assert orders["p95"].endswith("slow")
    assert "3 Active" in orders["Status"]
    health = found["No tag"]
    assert (health["Calls"], health["5xx"], health["p95"], health["Last call"]) == (
        *("0", "–", "–", "never"),
    )
    assert "3 groups of 4 endpoints" in page_text(text)
    assert "An endpoint with several tags counts in each." in page_text(text)
