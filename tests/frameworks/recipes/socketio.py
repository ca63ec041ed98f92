"""Socket.IO, mounted: polling and WebSockets, spoken by hand."""

import json
from typing import Any

import socketio
from fastapi import FastAPI
from fastapi.testclient import TestClient

from fastapi_lens import LensConfig, LensMiddleware
from tests.frameworks.recipes.conftest import Recipe, flushed
from tests.recording.probe import calls_in, lens_of

PATH = "/socket.io/"
POLLING = {"EIO": "4", "transport": "polling"}
CONNECT, ORDER, ACCEPTED = "40", '42["order",7]', '42["accepted",7]'


def order_by_polling(client: TestClient) -> list[int]:
    """Place an order; the statuses of the requests that it took."""
    opened = client.get(PATH, params=POLLING)
    session = {**POLLING, "sid": json.loads(opened.text[1:])["sid"]}
    answers = [
        opened,
        client.post(PATH, params=session, content=CONNECT),
        client.get(PATH, params=session),
        client.post(PATH, params=session, content=ORDER),
        client.get(PATH, params=session),
        client.post(PATH, params=session, content="1"),
    ]
    assert answers[4].text == ACCEPTED
    return [each.status_code for each in answers]


def test_each_request_of_a_polling_client_is_a_call_of_the_mount(recipe: Recipe) -> None:
    with recipe.client() as client:
        assert order_by_polling(client) == [200] * 6
        assert client.get(PATH, params={**POLLING, "sid": "unknown"}).status_code == 400
        assert client.get("/orders").json() == []

    assert recipe.counted() == {
        "ANY /socket.io/{path}": {200: 6, 400: 1},
        "GET /orders": {200: 1},
    }


def test_a_websocket_is_one_call_when_it_ends(recipe: Recipe) -> None:
    with recipe.client() as client:
        upgrade = {"upgrade": "websocket"}
        path = f"{PATH}?EIO=4&transport=websocket"
        with client.websocket_connect(path, headers=upgrade) as socket:
            assert socket.receive_text().startswith("0")
            socket.send_text(CONNECT)
            assert socket.receive_text().startswith(CONNECT)
            socket.send_text(ORDER)
            assert socket.receive_text() == ACCEPTED
            assert lens_of(recipe.app).flusher.flush()
            assert recipe.counted() == {}
        assert client.get("/orders").json() == []

    assert recipe.counted() == {
        "ANY /socket.io/{path}": {101: 1},
        "GET /orders": {200: 1},
    }


def test_an_application_inside_is_counted_and_written_at_its_end() -> None:
    app = FastAPI()

    @app.get("/orders")
    def read_orders() -> list[int]:
        return []

    LensMiddleware.setup(app, LensConfig(db_path=":memory:", flush_interval=3600))
    outer: Any = socketio.ASGIApp(socketio.AsyncServer(async_mode="asgi"), app)
    with TestClient(outer) as client:
        assert client.get("/orders").json() == []
        assert client.get(PATH, params=POLLING).status_code == 200

    assert calls_in(flushed(app)) == {"/orders": 1}
