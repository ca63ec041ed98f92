"""A site with a past, so that its endpoints have different verdicts."""

from collections.abc import Callable

import pytest
from fastapi import FastAPI

from tests.admin.conftest import Site
from tests.support.past import Past


def shop() -> FastAPI:
    """Six endpoints."""
    app = FastAPI()

    @app.get("/dump")
    def dump() -> None:
        """Never called."""

    @app.post("/merge", tags=["carts"])
    def merge() -> None:
        """No longer called."""

    @app.post("/exports")
    def exports() -> None:
        """Called on every day until lately."""

    @app.get("/orders/{order_id}", tags=["orders"])
    def read_order(order_id: int) -> None:
        """Called today."""

    @app.get("/beta")
    def beta() -> None:
        """New."""

    @app.get("/restore")
    def restore() -> None:
        """Never called, and kept on purpose by some tests."""

    return app


ROUTES = (
    ("GET", "/dump"),
    ("POST", "/merge"),
    ("POST", "/exports"),
    ("GET", "/orders/{order_id}"),
    ("GET", "/beta"),
    ("GET", "/restore"),
)


@pytest.fixture
def past(make_site: Callable[..., Site]) -> tuple[Site, Past]:
    """The site, and its past, to which a test may add."""
    site = make_site(shop(), release="2.0")
    return site, past_of(site)


@pytest.fixture
def shop_site(past: tuple[Site, Past]) -> Site:
    """The site alone."""
    return past[0]


def past_of(site: Site) -> Past:
    """Watched for 800 days, but for five of them."""
    found = Past(site.lens.database, "site", now=site.lens.clock())
    found.observe(800, holes=[(300, 296)], release="2.0")
    for method, path in ROUTES:
        found.be_there(method, path, since=9 if path == "/beta" else 799)
    found.use("POST", "/merge", range(60, 400))
    found.use("POST", "/exports", range(20, 400))
    found.use("GET", "/orders/{order_id}", range(400))
    return found


def key_of(site: Site, path: str) -> str:
    """The key of the endpoint at a path."""
    found = site.lens.reader.evidence(site.lens.clock()).endpoints
    return next(one.endpoint.key for one in found if one.endpoint.path == path)
