"""slowapi: refusals of the decorator reach an endpoint, those of the middleware do not."""

from collections.abc import Iterator

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.testclient import TestClient
from slowapi import Limiter
from slowapi.middleware import SlowAPIMiddleware
from slowapi.util import get_remote_address

from tests.frameworks.recipes.conftest import Recipe


@pytest.fixture(autouse=True)
def unused_limits(recipe: Recipe) -> Iterator[None]:
    """Limits that nobody has used."""
    yield
    recipe.module.limiter.reset()


def test_a_refusal_of_the_decorator_counts_for_the_endpoint(recipe: Recipe) -> None:
    with recipe.client() as client:
        statuses = [client.get("/orders").status_code for _ in range(4)]

    assert statuses == [200, 200, 429, 429]
    assert recipe.counted() == {"GET /orders": {200: 2, 429: 2}}


def test_a_refusal_of_the_middleware_is_not_counted(recipe: Recipe) -> None:
    with recipe.client() as client:
        statuses = [client.get("/customers").status_code for _ in range(7)]

    assert statuses == [200] * 5 + [429] * 2
    assert recipe.counted() == {"GET /customers": {200: 5}}


def test_default_limits_miss_included_routers_also_without_the_lens() -> None:
    router = APIRouter()

    @router.get("/customers")
    def read_customers() -> list[str]:
        return []

    app = FastAPI()
    app.state.limiter = Limiter(key_func=get_remote_address, default_limits=["5/minute"])
    app.add_middleware(SlowAPIMiddleware)
    app.include_router(router)
    with TestClient(app) as client:
        assert {client.get("/customers").status_code for _ in range(7)} == {200}


def test_the_admin_is_not_limited(recipe: Recipe) -> None:
    with recipe.client() as client:
        statuses = {client.get("/lens/login").status_code for _ in range(20)}

    assert statuses == {200}
