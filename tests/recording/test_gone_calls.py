"""Calls of endpoints that an application has removed, through its middleware."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest
import sqlalchemy as sa
from fastapi import APIRouter, FastAPI, HTTPException, WebSocket
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocketDisconnect

from fastapi_lens import lens_admin
from fastapi_lens.recording.log.unrouted_calls import MOST_CALLS
from fastapi_lens.reporting.evidence.gone import Gone, read_gone
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.models import Tier
from fastapi_lens.storage.schema.tables import ENDPOINT
from tests.recording.probe import REQUEST_BODY, Probe, call, http_scope

MakeProbe = Callable[..., Probe]
SHOP, SCANNER = {"user-agent": "shop/1.2"}, {"user-agent": "Mozilla/5.0 zgrab/0.x"}
REMOVED_AT = 1_700_000_000_000_000


def old_app() -> FastAPI:
    """The application before the endpoints were removed."""
    app = FastAPI(title="Orders")
    router = APIRouter(prefix="/v1")

    @app.get("/orders/{order_id}")
    @app.delete("/orders/{order_id}")
    def order(order_id: str) -> None: ...

    @router.get("/exports/{export_id}")
    def export(export_id: str) -> None: ...

    @router.get("/files/{file_path:path}")
    def file(file_path: str) -> None: ...

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
        assert probe.lens.flusher.stop()  # Its thread would flush every second.
        return probe

    def remove(self, *paths: str, method: str = "GET", at: int = REMOVED_AT) -> None:
        """Mark endpoints as removed, as the worker does that finds no other one with them."""
        with (
            closing(Database(f"sqlite:///{self.file}")) as database,
            database.write() as connection,
        ):
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


async def scan(app: Any, paths: Iterable[str], root_path: str = "") -> None:
    """Call paths without a User-Agent."""
    for path in paths:
        await call(app, http_scope(path, root_path=root_path), [REQUEST_BODY])


def gone_of(probe: Probe) -> Mapping[tuple[str, str], Gone]:
    """The calls of each removed endpoint, by method and template, as they are read."""
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


def test_a_removed_method_of_a_path_that_is_left_is_counted_under_that_method(shop: Shop) -> None:
    probe = shop.release(new_app())
    for _ in range(2):
        assert probe.client.delete("/orders/7", headers=SHOP).status_code == 405
    assert probe.client.put("/orders/7", headers=SHOP).status_code == 405

    (found,) = gone_of(probe).items()
    assert found == (("DELETE", "/orders/{order_id}"), Gone(calls=2, days=1, last_day=ANY))


def test_a_removed_websocket_is_counted_when_it_is_refused(shop: Shop) -> None:
    probe = shop.release(new_app())
    with (
        pytest.raises(WebSocketDisconnect),
        probe.client.websocket_connect("/live/lobby", headers=SHOP),
    ):
        pass
    assert {name: gone.calls for name, gone in gone_of(probe).items()} == {
        ("WEBSOCKET", "/live/{room}"): 1
    }


@pytest.mark.parametrize("path", ["/v1/exports/7/", "/v1/exports/caf%C3%A9", "/v1/files/"])
def test_a_path_counts_if_a_router_would_have_led_it_to_the_endpoint(shop: Shop, path: str) -> None:
    probe = shop.release(new_app())
    probe.client.get(path, headers=SHOP)
    assert [gone.calls for gone in gone_of(probe).values()] == [1]


@pytest.mark.parametrize("path", ["/v1/exports", "/v1/exports/7/pages", "/orders/none", "/docs/x"])
def test_a_404_of_a_route_or_of_another_path_is_no_call_of_a_removed_endpoint(
    shop: Shop, path: str
) -> None:
    probe = shop.release(new_app())
    assert probe.client.get(path, headers=SHOP).status_code == 404
    assert gone_of(probe) == {}


def test_a_404_of_the_admin_is_no_call_of_a_removed_endpoint(shop: Shop) -> None:
    old = FastAPI(title="Orders")
    old.get("/{tenant}/{page}")(lambda: None)
    shop.release(old).stop()
    shop.remove("/{tenant}/{page}")
    app = new_app()
    app.include_router(lens_admin)
    probe = shop.release(app, report_key="k" * 16)
    # Redirects to the login.
    probe.client.get("/lens/nothing", headers=SHOP)
    probe.client.get("/lens/report", headers=SHOP)
    probe.client.get("/lens/static/nothing.css", headers=SHOP)
    assert gone_of(probe) == {}


def test_calls_without_a_route_are_counted_as_such_too_where_the_settings_say_so(
    shop: Shop,
) -> None:
    probe = shop.release(new_app(), ignore_unmapped=False)
    probe.client.get("/v1/exports/7", headers=SHOP)
    assert [gone.calls for gone in gone_of(probe).values()] == [1]
    assert probe.counts()["GET", "<unmapped>"] == {404: 1}


@pytest.mark.parametrize("ignore_unmapped", [True, False])
def test_a_path_below_a_mount_or_a_root_path_is_compared_as_templates_are(
    tmp_path: Path, probe: MakeProbe, *, ignore_unmapped: bool
) -> None:
    def app(*paths: str) -> FastAPI:
        inner, outer = FastAPI(), FastAPI(title="Tenants")
        for path in ("/here", *paths):
            inner.get(path)(lambda: None)
        outer.mount("/t/{tenant}", inner)
        return outer

    shop = Shop(tmp_path / "lens.db", probe)
    shop.release(app("/away/{number}")).stop()
    shop.remove("/t/{tenant}/away/{number}")
    after = shop.release(app(), ignore_unmapped=ignore_unmapped)
    asyncio.run(scan(after.app, ["/t/acme/away/1", "/t/acme/away/2", "/t/acme/elsewhere"]))
    asyncio.run(scan(after.app, ["/proxy/t/acme/away/1"], root_path="/proxy"))
    assert {name: gone.calls for name, gone in gone_of(after).items()} == {
        ("GET", "/t/{tenant}/away/{number}"): 3
    }


def test_a_method_that_a_mount_does_not_take_is_counted_under_the_removed_endpoint(
    tmp_path: Path, probe: MakeProbe
) -> None:
    old, new = FastAPI(title="Files"), FastAPI(title="Files")
    old.post("/static/{name}")(lambda: None)
    new.mount("/static", StaticFiles(directory=tmp_path))
    shop = Shop(tmp_path / "lens.db", probe)
    shop.release(old).stop()
    shop.remove("/static/{name}", method="POST")
    after = shop.release(new)
    assert after.client.post("/static/logo.svg", headers=SHOP).status_code == 405
    assert after.client.get("/static/logo.svg", headers=SHOP).status_code == 404
    assert {name: gone.calls for name, gone in gone_of(after).items()} == {
        ("POST", "/static/{name}"): 1
    }


def test_nothing_is_kept_where_no_endpoint_was_removed(tmp_path: Path, probe: MakeProbe) -> None:
    only = Shop(tmp_path / "lens.db", probe).release(new_app())
    only.get("/v1/exports/7")
    assert not only.lens.recorder.unrouted.has_room
    assert only.lens.recorder.unrouted.take() == []


def test_ten_thousand_paths_that_no_route_matched_take_bounded_memory(shop: Shop) -> None:
    probe = shop.release(new_app())
    probe.client.get("/v1/exports/first", headers=SCANNER)
    asyncio.run(scan(probe.app, [f"/v1/exports/{number}" for number in range(10_000)]))
    assert not probe.lens.recorder.unrouted.has_room

    (found,) = gone_of(probe).values()
    assert (found.calls, found.noise_calls) == (MOST_CALLS - 1, 1)
    # There is room again.
    probe.client.get("/v1/exports/last", headers=SHOP)
    (found,) = gone_of(probe).values()
    assert (found.calls, found.noise_calls) == (MOST_CALLS, 1)


def test_a_path_or_method_longer_than_any_endpoints_is_not_kept(shop: Shop) -> None:
    probe = shop.release(new_app())
    probe.client.get(f"/v1/exports/{'7' * 2_000}", headers=SHOP)
    probe.client.request("G" * 65, "/v1/exports/7", headers=SHOP)
    assert probe.lens.recorder.unrouted.take() == []


def test_an_endpoint_that_is_back_is_counted_as_before_and_keeps_what_was_counted(
    shop: Shop,
) -> None:
    probe = shop.release(new_app())
    probe.client.get("/v1/exports/7", headers=SHOP)
    probe.stop()
    shop.remove("/v1/exports/{export_id}", at=0)
    probe = shop.release(old_app())
    probe.client.get("/v1/exports/7", headers=SHOP)

    assert [gone.calls for gone in gone_of(probe).values()] == [1]
    assert probe.counts()["GET", "/v1/exports/{export_id}"] == {200: 1}
