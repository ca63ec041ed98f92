"""The middleware is there more than once: each call is counted once, by one worker."""

import asyncio
import copy
import logging
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket

from benchmarks.support.rows import table_rows
from fastapi_lens import LensConfig, LensMiddleware, create_lens_admin
from fastapi_lens.runtime.lens import Lens
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.tables import WORKER
from tests.recording.probe import REQUEST_BODY, Probe, call, calls_in, http_scope, lens_of

KEY = {"X-Lens-Key": "a-key-of-the-tests"}
MakeConfig = Callable[..., LensConfig]


@pytest.fixture
def config(tmp_path: Path) -> MakeConfig:
    """Settings that write into one file."""

    def make(name: str = "lens", **settings: Any) -> LensConfig:
        values = {"report_key": KEY["X-Lens-Key"], "flush_interval": 3600, **settings}
        return LensConfig(db_path=str(tmp_path / f"{name}.db"), **values)

    return make


def an_app(title: str = "orders", **options: Any) -> FastAPI:
    app = FastAPI(title=title, **options)
    app.add_api_route("/x", lambda: 1)
    return app


def stored_calls(app: FastAPI) -> dict[str, int]:
    lens = lens_of(app)
    assert lens.flusher.flush()
    return calls_in(lens)


def workers(config: LensConfig) -> list[tuple[int, bool]]:
    database = Database(config.url)
    rows = table_rows(database, WORKER)
    database.close()
    return [(row.pid, row.ended_at > 0) for row in rows]


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    found = [one.getMessage() for one in caplog.records if one.name == "fastapi_lens"]
    return [one for one in found if "LensMiddleware" in one and "remove" in one]


def by_setup_and_by_hand(app: FastAPI, config: LensConfig) -> None:
    LensMiddleware.setup(app, config)
    app.add_middleware(LensMiddleware, config=config)


def by_hand_and_by_setup(app: FastAPI, config: LensConfig) -> None:
    app.add_middleware(LensMiddleware, config=config)
    app.add_middleware(GZipMiddleware)
    LensMiddleware.setup(app, config)


def three_times(app: FastAPI, config: LensConfig) -> None:
    for _ in range(3):
        LensMiddleware.setup(app, config)


@pytest.mark.parametrize("wire", [by_setup_and_by_hand, by_hand_and_by_setup, three_times])
def test_each_call_is_counted_once_by_one_worker_with_one_warning(
    config: MakeConfig, caplog: pytest.LogCaptureFixture, wire: Callable[..., None]
) -> None:
    app, settings = an_app(), config()
    wire(app, settings)
    for _ in range(2):
        with TestClient(app, headers=KEY) as client:
            for _ in range(5):
                client.get("/x")
            assert client.get("/lens/report").status_code == 200
    with TestClient(app, headers=KEY) as client:
        assert stored_calls(app) == {"/x": 10}
    assert workers(settings) == [(os.getpid(), True)]
    (warning,) = warnings_in(caplog)
    assert "remove the second setup(app), or the app.add_middleware(LensMiddleware)" in warning


def test_the_settings_of_the_outermost_are_used(config: MakeConfig, tmp_path: Path) -> None:
    app = an_app()
    app.add_middleware(LensMiddleware, config=config("inner"))
    LensMiddleware.setup(app, config("outer"))
    with TestClient(app) as client:
        client.get("/x")
    assert (tmp_path / "outer.db").exists()
    assert not (tmp_path / "inner.db").exists()


def test_a_lens_in_a_mounted_application_leaves_the_calls_to_that_above(
    config: MakeConfig, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    parent, child = an_app("parent"), an_app("child")
    LensMiddleware.setup(child, config("child", report_key="another-key-of-the-tests"))
    LensMiddleware.setup(parent, config("parent"))
    parent.mount("/child", child)
    with TestClient(parent, headers=KEY) as client:
        for _ in range(3):
            client.get("/child/x")
        client.get("/x")
        assert stored_calls(parent) == {"/child/x": 3, "/x": 1}
        # Both admins show what is recorded.
        for prefix in ("/lens", "/child/lens"):
            report = client.get(f"{prefix}/report").json()
            calls = {one["path"]: one["total_calls"] for one in report["endpoints"]}
            assert calls == {"/child/x": 3, "/x": 1}
    assert not (tmp_path / "child.db").exists()
    (warning,) = warnings_in(caplog)
    assert "the application 'child' has a LensMiddleware of its own" in warning


def test_an_application_around_which_a_lens_lies_may_have_one_inside(config: MakeConfig) -> None:
    app = an_app()
    app.add_middleware(LensMiddleware, config=config("inside"))
    around = LensMiddleware(app, config=config("around"))
    with TestClient(around) as client:
        client.get("/x")
    lens = lens_of(around)
    assert calls_in(lens) == {"/x": 1}
    assert not lens_of(app).started


def test_websockets_are_counted_once(config: MakeConfig) -> None:
    async def talk(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.close()

    app = Starlette(routes=[WebSocketRoute("/ws", talk)])
    for _ in range(2):
        app.add_middleware(LensMiddleware, config=config())
    with TestClient(app) as client:
        with client.websocket_connect("/ws"):
            pass
        lens = lens_of(app.middleware_stack)
        assert lens.flusher.flush()
        assert calls_in(lens) == {"/ws": 1}


def rebuilding(**options: Any) -> FastAPI:
    """An application that adds a layer at its start, as an agent does that instruments it."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.user_middleware.insert(0, Middleware(GZipMiddleware))
        app.middleware_stack = app.build_middleware_stack()
        yield

    return an_app(lifespan=lifespan, **options)


@pytest.mark.parametrize("given", [True, False])
def test_a_stack_that_is_built_anew_keeps_the_lens(
    config: MakeConfig, monkeypatch: pytest.MonkeyPatch, *, given: bool
) -> None:
    settings = config()
    monkeypatch.setenv("LENS_DB_PATH", str(settings.db_path))
    app = rebuilding()
    app.add_middleware(LensMiddleware, **({"config": settings} if given else {}))
    for _ in range(2):
        with TestClient(app) as client:
            for _ in range(5):
                client.get("/x")
            assert lens_of(app).started
        assert workers(settings) == [(os.getpid(), True)]
    with TestClient(app) as client:
        client.get("/x")
        assert stored_calls(app) == {"/x": 11}


def test_a_stack_that_is_built_anew_while_requests_come_loses_none(config: MakeConfig) -> None:
    settings = config()
    app = an_app()
    app.add_middleware(LensMiddleware, config=settings)
    with TestClient(app) as client:
        for _ in range(3):
            client.get("/x")
            app.middleware_stack = app.build_middleware_stack()
        client.get("/x")
        assert stored_calls(app) == {"/x": 4}
    assert workers(settings) == [(os.getpid(), True)]


def test_a_request_before_the_lifespan_has_ended_its_start_makes_no_second_worker(
    config: MakeConfig,
) -> None:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.middleware_stack = app.build_middleware_stack()
        await call(app, http_scope("/x"), [REQUEST_BODY])
        yield

    settings = config()
    app = an_app(lifespan=lifespan)
    app.add_middleware(LensMiddleware, config=settings)
    with TestClient(app) as client:
        client.get("/x")
    assert workers(settings) == [(os.getpid(), True)]
    with TestClient(app):
        assert stored_calls(app) == {"/x": 3}


def test_a_copy_of_an_application_has_a_lens_of_its_own(config: MakeConfig) -> None:
    app = an_app()
    LensMiddleware.setup(app, config())
    with TestClient(app) as client:
        client.get("/x")
        other = copy.copy(app)
        other.middleware_stack = None
        other.title = "copy"
        with TestClient(other) as second:
            second.get("/x")
            assert lens_of(other) is not lens_of(app)
            assert stored_calls(other) == {"/x": 1}
        assert stored_calls(app) == {"/x": 1}


def test_two_prefixes_show_one_lens(config: MakeConfig, caplog: pytest.LogCaptureFixture) -> None:
    app = an_app()
    LensMiddleware.setup(app, config())
    app.include_router(create_lens_admin("/ops/lens"))
    with TestClient(app, headers=KEY) as client:
        client.get("/x")
        assert lens_of(app).flusher.flush()
        for prefix in ("/lens", "/ops/lens"):
            assert client.get(f"{prefix}/report").json()["endpoints"][0]["path"] == "/x"
    assert [one for one in caplog.records if one.levelno >= logging.WARNING] == []


def test_a_request_inside_a_request_is_a_call_of_its_own(config: MakeConfig) -> None:
    app = an_app()

    @app.get("/batch")
    async def batch(request: Request) -> int:
        for _ in range(3):
            await call(app, {**request.scope, "path": "/x"}, [REQUEST_BODY])
        return 3

    app.add_middleware(LensMiddleware, config=config())
    app.add_middleware(LensMiddleware, config=config())
    with TestClient(app) as client:
        client.get("/batch")
        assert stored_calls(app) == {"/batch": 1, "/x": 3}


def test_an_application_without_a_state_has_the_lens_of_its_middleware(config: MakeConfig) -> None:
    async def plain(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse("ok")(scope, receive, send)

    probed = Probe(Mount("/", routes=[Route("/x", lambda _: PlainTextResponse("ok"))]))
    probed.get("/x")
    assert isinstance(probed.lens, Lens)
    probed.stop()
    bare = LensMiddleware(plain, config=config())
    sent = asyncio.run(call(bare, http_scope("/x"), [REQUEST_BODY]))
    assert sent[0]["status"] == 200


@dataclass(slots=True)
class Settled:
    """A state that takes no attribute of others."""

    name: str = "orders"


class Strict:
    """A state that refuses what it does not know."""

    def __setattr__(self, name: str, value: object) -> None:
        raise RuntimeError(name)


@pytest.mark.parametrize("state", [Settled(), {}, None, (), Strict(), "text", object()])
def test_the_state_of_an_application_is_its_own(state: Any, config: MakeConfig) -> None:
    app = an_app()
    app.state = state
    LensMiddleware.setup(app, config())
    with TestClient(app) as client:
        assert client.get("/x").json() == 1
        app.middleware_stack = app.build_middleware_stack()
        assert client.get("/x").json() == 1
        assert stored_calls(app) == {"/x": 2}
    assert app.state is state
    assert workers(config()) == [(os.getpid(), True)]


def test_nothing_is_added_to_the_state_of_an_application(config: MakeConfig) -> None:
    app = an_app()
    LensMiddleware.setup(app, config())
    with TestClient(app) as client:
        client.get("/x")
    assert vars(app.state)["_state"] == {}


class Unhashable(FastAPI):
    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return self is other


def test_an_application_that_cannot_be_hashed_is_recorded(config: MakeConfig) -> None:
    app = Unhashable()
    app.add_api_route("/x", lambda: 1)
    LensMiddleware.setup(app, config())
    with TestClient(app) as client:
        assert client.get("/x").json() == 1
        assert stored_calls(app) == {"/x": 1}


@pytest.fixture(autouse=True)
def no_lens_runs_on(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Stop what a test has started without a lifespan."""
    made: list[Lens] = []

    def make(config: LensConfig) -> Lens:
        made.append(Lens(config))
        return made[-1]

    monkeypatch.setattr("fastapi_lens.middleware.Lens", make)
    yield
    for lens in made:
        lens.stop()
