"""An application with two pages of endpoints, and a past for it. Drives no browser."""

from pathlib import Path

from fastapi import FastAPI, Response

from benchmarks.support.rows import called_by, caller, worker
from benchmarks.support.writing import Writer
from fastapi_lens import LensConfig, LensMiddleware, lens_admin
from fastapi_lens.recording.flush.processes import new_id
from fastapi_lens.runtime.lens import Lens
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.identities import endpoint_id
from tests.support.past import Past

DAY = 86_400
KEY = "shop-key-of-the-test"
NAME = "shop"
SHELVES = 52
UNLUCKY = 13
SCRIPT = "<script>alert(1)</script>"
CALLERS = ("billing-service", "web", SCRIPT, "kube-probe", "מערכת חיוב 🚀", "x" * 200)
"""Callers of the deprecated endpoint."""

app = FastAPI(title=NAME)
app.add_middleware(LensMiddleware)
app.include_router(lens_admin)


@app.get("/orders", tags=["orders"])
def list_orders() -> list[str]:
    """All orders."""
    return []


@app.post("/orders", tags=["orders"])
def create_order() -> dict[str, str]:
    """One more order."""
    return {}


@app.get("/orders/{order_id}", tags=["orders"])
def read_order(order_id: int) -> dict[str, int]:
    """One order, unless its number brings bad luck."""
    if order_id == UNLUCKY:
        raise LookupError(f"no order {order_id}")
    return {"id": order_id}


@app.delete("/orders/{order_id}", tags=["orders"], deprecated=True)
def delete_order(order_id: int) -> Response:
    """No order of this kind can be deleted."""
    return Response(status_code=409)


@app.get("/users/<script>alert(1)</script>", tags=["<b>users</b>"])
def hostile() -> None:
    """A path that would be a script, if it were not escaped."""


@app.get("/export", tags=["reports"])
def cold_export() -> None:
    """Used two weeks ago."""


@app.get("/legacy", tags=["reports"])
def dead_legacy() -> None:
    """Used two months ago."""


def shelf(number: int) -> dict[str, int]:
    """One of very many."""
    return {"shelf": number}


for _number in range(SHELVES):
    app.add_api_route(f"/shelves/{_number:02}/{{number}}", shelf, tags=["shelves"])


def lay_down_history(db_path: Path, *, now: float) -> None:
    """Two months of calls up to an hour ago, by the real recorder and writer.

    Orders are called most, then the shelves, each less than the one before; two shelves never.
    """
    time = [now - 60 * DAY]
    lens = Lens(LensConfig(db_path=str(db_path), app_name=NAME), clock=lambda: time[0])
    lens.discover(app)
    for day in range(60):
        time[0] = now - (60 - day) * DAY
        _count(lens, "GET", "/legacy", 2 if day < 1 else 0)
        _count(lens, "GET", "/export", 3 if day < 45 else 0)
        lens.flusher.collect()
    for hour in range(48):
        time[0] = now - (48 - hour) * 3600
        _count(lens, "GET", "/orders", 20)
        _count(lens, "GET", "/orders/{order_id}", 6, milliseconds=900)
        _count(lens, "POST", "/orders", 4, status=503 if hour % 8 == 0 else 201)
        _count(lens, "DELETE", "/orders/{order_id}", 2, status=409)
        lens.flusher.collect()
    for number in range(SHELVES - 2):
        _count(lens, "GET", f"/shelves/{number:02}/{{number}}", SHELVES - number)
    assert lens.flusher.flush()
    time[0] = now
    for name in CALLERS:
        _call_as(lens.database, name, now=now)
    watched = Past(lens.database, NAME, now=now)
    watched.observe(120, holes=[(40, 38)])
    watched.be_there("GET", "/export", since=120)
    watched.be_there("GET", "/legacy", since=120)
    watched.be_there("DELETE", "/orders/{order_id}", since=60)
    lens.stop()


def _call_as(database: Database, name: str, *, now: float) -> None:
    """Calls of a deprecated endpoint by a caller, on several days of the last weeks."""
    who, identity = caller(name, app=NAME), endpoint_id(NAME, "DELETE", "/orders/{order_id}")
    minutes = [int((now - day * DAY) // 60) for day in (40, 33, 20, 12, 4)]
    writer = Writer(database, worker(new_id(), app=NAME, started_at=minutes[0] * 60.0))
    writer.register([], applied=0, now_us=minutes[0] * 60_000_000)
    writer.write(called_by(identity, who, *minutes))


def _count(
    lens: Lens, method: str, path: str, calls: int, *, status: int = 200, milliseconds: float = 12
) -> None:
    for call in range(calls):
        duration_ns = round(milliseconds * (1 + call / 50) * 1e6)
        lens.recorder.count(method=method, path=path, status=status, duration_ns=duration_ns)
