import re
from collections.abc import Callable
from urllib.parse import quote

import pytest
from fastapi import APIRouter, FastAPI

from fastapi_lens.admin.display.formats import last_parts
from tests.admin.conftest import Site
from tests.support.pages import (
    Table,
    addresses,
    field,
    fields,
    figures,
    link,
    links,
    page_text,
    table,
)

MakeSite = Callable[..., Site]
FILE = "tests/admin/pages/endpoints/test_groups.py"


def groups(text: str) -> Table:
    return table(text, "Groups of endpoints")


def names(text: str) -> list[str]:
    return [next(iter(row.values())) for row in groups(text).rows]


@pytest.fixture
def shop(make_site: MakeSite) -> Site:
    """A shop whose cart has two tags, and whose health has none."""
    app = FastAPI()
    api = APIRouter(prefix="/api/v1")

    @api.get("/orders", tags=["orders"])
    def orders() -> None:
        """All orders."""

    @api.get("/orders/{order_id}", tags=["orders"])
    def order(order_id: int) -> None:
        """One order."""

    @api.post("/carts", tags=["carts", "orders"])
    def cart() -> None:
        """One more cart."""

    @app.get("/health")
    def health() -> None:
        """Health check."""

    app.include_router(api)
    site = make_site(app, slow_threshold_ms=500.0)
    site.count("GET", "/api/v1/orders", 6)
    site.count("GET", "/api/v1/orders/{order_id}", 3, status=503, duration_ns=900_000_000)
    site.count("POST", "/api/v1/carts", 1, status=404)
    return site


def test_a_row_adds_up_the_endpoints_of_its_tag(shop: Site) -> None:
    text = shop.get("/lens/endpoints?group=tag").text
    assert names(text) == ["orders", "carts", "No tag"]
    orders, carts, none = groups(text).rows
    assert [orders[name] for name in ("Endpoints", "Calls", "5xx", "4xx")] == ["3", "10", "3", "1"]
    assert re.fullmatch(r"9\d\d slow", orders["p95"])
    assert orders["Status"].startswith("3 Active")
    assert re.fullmatch(r"just now|\d+ s ago", orders["Last call"])
    assert (carts["Calls"], carts["4xx"]) == ("1", "1")
    assert [none[name] for name in ("Calls", "5xx", "4xx", "p95")] == ["0", "–", "–", "–"]
    assert none["Last call"] == "never"
    assert "3 groups of 4 endpoints" in page_text(text)
    assert "An endpoint with several tags counts in each." in page_text(text)
    # The sum above the table counts each endpoint once.
    assert figures(text)["Calls"] == "10"
    assert field(text, "group").value == "tag"


@pytest.mark.parametrize(
    ("group", "name", "href", "matching"),
    [
        ("tag", "orders", "/lens/endpoints?tag=orders&days=30", 3),
        ("tag", "No tag", "/lens/endpoints?without=tag&days=30", 1),
        ("prefix", "/api/v1/orders", "/lens/endpoints?prefix=%2Fapi%2Fv1%2Forders&days=30", 2),
        ("prefix", "/health", "/lens/endpoints?prefix=%2Fhealth&days=30", 1),
    ],
)
def test_a_group_leads_to_the_list_of_its_endpoints(
    shop: Site, group: str, name: str, href: str, matching: int
) -> None:
    text = shop.get(f"/lens/endpoints?group={group}&days=30").text
    assert link(text, name).href == href
    listed = shop.get(href).text
    assert len(table(listed, "Endpoints").rows) == matching
    assert link(listed, "Clear filters").href == "/lens/endpoints?days=30"


def test_paths_and_files_are_groups_too(shop: Site) -> None:
    text = shop.get("/lens/endpoints?group=prefix&sort=path").text
    assert names(text) == ["/api/v1", "/api/v1/orders", "/health"]
    assert "An endpoint counts in each path above it." in page_text(text)
    text = shop.get("/lens/endpoints?group=file").text
    assert names(text) == [FILE]
    assert link(text, FILE).href == f"/lens/endpoints?file={quote(FILE, safe='')}&days=7"
    assert "counts in each" not in page_text(text)


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("path", ["carts", "orders", "No tag"]),
        # The group without a name comes last in both directions.
        ("-path", ["orders", "carts", "No tag"]),
        ("endpoints", ["carts", "No tag", "orders"]),
        ("-status", ["No tag", "carts", "orders"]),
        ("calls", ["No tag", "carts", "orders"]),
        ("-errors_5xx", ["orders", "carts", "No tag"]),
        ("errors_4xx", ["carts", "orders", "No tag"]),
        ("p95", ["carts", "orders", "No tag"]),
        ("last", ["No tag", "carts", "orders"]),
        ("nonsense", ["orders", "carts", "No tag"]),
        # A column of the list that groups do not have.
        ("handler", ["orders", "carts", "No tag"]),
    ],
)
def test_groups_are_sorted_by_any_column(shop: Site, sort: str, order: list[str]) -> None:
    text = shop.get(f"/lens/endpoints?group=tag&sort={sort}").text
    assert names(text) == order
    known = "-calls" if sort in ("nonsense", "handler") else sort
    assert [*groups(text).orders.values()] == [
        "descending" if known.startswith("-") else "ascending"
    ]


def test_headers_sort_and_tabs_filter_within_the_groups(shop: Site) -> None:
    found = addresses(shop.get("/lens/endpoints?group=tag&q=api").text)
    assert "/lens/endpoints?q=api&group=tag&days=7&sort=-endpoints" in found
    assert "/lens/endpoints?q=api&group=tag&days=7&sort=calls" in found
    assert "/lens/endpoints?q=api&status=dead&group=tag&days=7" in found
    # Files have the endpoints one by one.
    assert "/lens/endpoints.csv?q=api&days=7" in found
    text = shop.get("/lens/endpoints?group=tag&sort=-endpoints").text
    assert "/lens/endpoints?group=tag&days=7&sort=endpoints" in addresses(text)
    text = shop.get("/lens/endpoints?group=tag&status=never_called").text
    assert names(text) == ["No tag"]
    assert names(shop.get("/lens/endpoints?group=tag&tag=carts").text) == ["carts"]
    assert "No endpoint matches" in shop.get("/lens/endpoints?group=tag&q=nothing").text


def test_a_percentile_sorts_single_endpoints_and_groups_alike(shop: Site) -> None:
    # The order of the groups is not one of their endpoints, whose histograms are read anyway.
    assert names(shop.get("/lens/endpoints?group=file&sort=-p95").text) == [FILE]


def test_very_many_groups_have_pages(make_site: MakeSite) -> None:
    app = FastAPI()

    def handler() -> None: ...

    for number in range(60):
        app.add_api_route(f"/{number}", handler, tags=[f"tag {number:02}"])
    site = make_site(app)
    text = site.get("/lens/endpoints?group=tag&sort=path").text
    assert (len(names(text)), names(text)[-1]) == (50, "tag 49")
    assert "1–50 of 60 groups of 60 endpoints" in page_text(text)
    assert link(text, "Page 2").href == "/lens/endpoints?group=tag&days=7&sort=path&page=2"
    assert len(names(site.get("/lens/endpoints?group=tag&sort=path&page=9").text)) == 10


def test_a_name_that_no_address_can_hold_is_no_link(make_site: MakeSite) -> None:
    app = FastAPI()

    @app.get("/a", tags=["x" * 201, "<b>"])
    def handler() -> None:
        """With a tag that is too long."""

    text = make_site(app).get("/lens/endpoints?group=tag").text
    assert names(text) == ["<b>", "x" * 201]
    assert link(text, "<b>").href == "/lens/endpoints?tag=%3Cb%3E&days=7"
    assert "x" * 201 not in [one.name for one in links(text)]


def test_each_part_that_is_shown_can_be_left(shop: Site) -> None:
    parts = f"prefix=%2Fapi%2Fv1&file={quote(FILE, safe='')}"
    text = shop.get(f"/lens/endpoints?method=GET&{parts}&page=1&days=30").text
    assert len(table(text, "Endpoints").rows) == 2
    assert link(text, "path /api/v1 : show all").href == (
        f"/lens/endpoints?method=GET&file={quote(FILE, safe='')}&days=30"
    )
    assert link(text, f"file {last_parts(FILE)} : show all").href == (
        "/lens/endpoints?method=GET&prefix=%2Fapi%2Fv1&days=30"
    )
    assert field(text, "prefix").value == "/api/v1"
    assert field(text, "file").value == FILE
    assert link(text, "Overview of these").href == f"/lens/?days=30&{parts}"
    text = shop.get("/lens/endpoints?without=tag").text
    assert link(text, "No tag : show all").href == "/lens/endpoints?days=7"
    assert table(text, "Endpoints").names == ["GET /health"]
    assert "Overview of these" not in text
    # A file is always known here, and each endpoint has a path.
    assert "No endpoint matches" in shop.get("/lens/endpoints?without=file").text
    assert len(table(shop.get("/lens/endpoints?without=prefix").text, "Endpoints").rows) == 4


def test_the_overview_of_a_part_leads_to_the_list_of_it(shop: Site) -> None:
    text = shop.get("/lens/?prefix=/api/v1/orders").text
    assert link(text, "All with 5xx").href == (
        "/lens/endpoints?prefix=%2Fapi%2Fv1%2Forders&days=7&sort=-errors_5xx"
    )


def test_without_groups_no_group_is_chosen(shop: Site) -> None:
    text = shop.get("/lens/endpoints?group=colour").text
    assert field(text, "group").choice == "No groups"
    assert table(text, "Endpoints").names
    assert fields(text, "without")[0].value == ""
