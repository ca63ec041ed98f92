"""Calls of endpoints that an application has removed, through its middleware."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi import APIRouter, FastAPI, HTTPException, WebSocket
from starlette.websockets import WebSocketDisconnect

from fastapi_lens import lens_admin
from fastapi_lens.recording.log.unrouted_calls import MOST_CALLS
from fastapi_lens.reporting.gone import Gone, read_gone
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.models import Tier
from fastapi_lens.storage.schema.tables import ENDPOINT
from tests.recording.probe import Probe

MakeProbe = Callable[..., Probe]
SHOP, SCANNER = {"user-agent": "shop/1.2"}, {"user-agent": "Mozilla/5.0 zgrab/0.x"}
REMOVED_AT = 1_700_000_000_000_000


def old_app() -> FastAPI:
    """The application before the endpoints were removed."""
    app = FastAPI(title="Orders")
    router = APIRouter(prefix="/v1")

    @app.get("/orders/{order_id}")
    @app.delete("/orders/{order_id}")
    @router.get("/exports/{export_id}")
    @router.get("/files/{file_path:path}")
    def read() -> None: ...

    @app.websocket("/live/{room}")
    async def live(socket: WebSocket) -> None: ...

    app.include_router(router)
    return app


def new_app(**options: Any) -> FastAPI:
    """The same with what is left: reading an order."""
    app = FastAPI(title="Orders", **options)

    @app.get("/orders/{order_id}")
    def read(order_id: str) -> None:
        if order_id == "none":
            raise HTTPException(404)

    return app


@dataclass
class Shop:
    """The database of an application, some of whose endpoints were removed by a release."""

    file: Path
    make: MakeProbe

    def release(self, app: Any, **settings: Any) -> Probe:
        """Start an application whose lens knows its removed endpoints."""
        probe = self.make(app, db_path=self.file, **settings)
        probe.get("/orders/1")
        assert probe.lens.flusher.flush()
        return probe

    def remove(self, *paths: str, method: str = "GET", at: int = REMOVED_AT) -> None:
        """Mark endpoints as removed, as the worker does that finds no other one with them."""
        with Database(f"sqlite:///{self.file}").write() as connection:
            removed = sa.update(ENDPOINT).where(
                ENDPOINT.c.path.in_(paths), ENDPOINT.c.method == method
            )
            assert connection.execute(removed.values(removed_at=at)).rowcount == len(paths)


@pytest.fixture
def shop(tmp_path: Path, probe: MakeProbe) -> Shop:
    shop = Shop(tmp_path / "lens.db", probe)
    before = shop.release(old_app())
    before.stop()
    shop.remove("/v1/exports/{export_id}", "/v1/files/{file_path}")
    shop.remove("/orders/{order_id}", method="DELETE")
    shop.remove("/live/{room}", method="WEBSOCKET")
    return shop


def gone_of(probe: Probe) -> Mapping[tuple[str, str], Gone]:
    """What is read about each removed endpoint, by method and template."""
    assert probe.lens.flusher.flush()
    database, today = probe.lens.database, int(probe.lens.clock() // Tier.DAY)
    with database.read() as connection:
        names = {
            row.id: (row.method, row.path)
            for row in connection.execute(
                sa.select(ENDPOINT.c.id, ENDPOINT.c.method, ENDPOINT.c.path)
            )
        }
        found = read_gone(connection, probe.lens.app_name, since_day=today - 30, today=today)
    return {names[identity]: gone for identity, gone in found.items()}


def test_calls_of_a_removed_endpoint_are_counted_under_it_and_scanners_apart(shop: Shop) -> None:
    probe = shop.release(new_app())
    today = int(probe.lens.clock() // Tier.DAY)
    for _ in range(3):
        assert probe.client.get("/v1/exports/7", headers=SHOP).status_code == 404
    probe.client.get("/v1/exports/8", headers=SCANNER)
    probe.client.get("/v1/exports/8")  # The test client of Starlette.
    probe.client.get("/v1/exports/8", headers={"user-agent": ""})
    probe.client.get("/v1/files/2026/march.pdf", headers=SHOP)

    assert gone_of(probe) == {
        ("GET", "/v1/exports/{export_id}"): Gone(
            calls=4, noise_calls=2, days=1, last_day=today, noise_last_day=today
        ),
        ("GET", "/v1/files/{file_path}"): Gone(calls=1, days=1, last_day=today),
    }
