"""The host's routes and its garbage collector are the same before, while and after we record."""

import gc
from pathlib import Path

import pytest
from fastapi import APIRouter, FastAPI
from fastapi.testclient import TestClient

from fastapi_lens import LensConfig, LensMiddleware


def app_with_lens(database: Path) -> FastAPI:
    app, shop = FastAPI(), APIRouter(prefix="/shop")
    shop.add_api_route("/orders/{number}", lambda number: number)
    app.include_router(shop)
    LensMiddleware.setup(app, LensConfig(db_path=str(database)))
    app.add_api_route("/later", lambda: "after the admin")
    return app


def collector() -> tuple[object, ...]:
    return gc.get_freeze_count(), gc.isenabled(), gc.get_threshold()


@pytest.mark.parametrize("enabled", [True, False])
def test_the_lens_leaves_routes_and_garbage_collector_as_they_are(
    tmp_path: Path, *, enabled: bool
) -> None:
    app = app_with_lens(tmp_path / "lens.db")
    paths = ("/shop/orders/7", "/later", "/lens/", "/lens/report", "/nowhere")
    was_enabled = gc.isenabled()
    (gc.enable if enabled else gc.disable)()
    try:
        # The objects themselves, which keeps their ids from being given to others.
        routes, before = list(app.routes), collector()
        listed = app.routes
        with TestClient(app) as client:
            answers = [client.get(path).status_code for path in paths]
            while_running = collector()
        after = collector()
    finally:
        (gc.enable if was_enabled else gc.disable)()

    assert answers == [200, 200, 200, 200, 404]
    assert (while_running, after) == (before, before)
    assert app.routes is listed
    assert [id(route) for route in app.routes] == [id(route) for route in routes]
