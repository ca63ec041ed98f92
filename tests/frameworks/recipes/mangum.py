"""Mangum: events of API Gateway, with and without lifespan events."""

from typing import Any

from mangum import Mangum

from tests.frameworks.recipes.conftest import Recipe
from tests.recording.probe import lens_of


def event(path: str) -> dict[str, Any]:
    """A GET request as the HTTP API of API Gateway hands it to a function."""
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"host": "orders.example"},
        "requestContext": {
            "http": {
                "method": "GET",
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1",
                "userAgent": "curl/8",
            }
        },
        "isBase64Encoded": False,
    }


def test_each_call_is_written_before_the_function_returns(recipe: Recipe) -> None:
    counted = []
    for order in ("1", "2", "none"):
        recipe.module.handler(event(f"/orders/{order}"), None)
        lens = lens_of(recipe.app)
        assert (lens.flusher.pending_calls, lens.recorder.waiting_calls) == (0, 0)
        counted.append(recipe.counted())

    name = "GET /orders/{order_id}"
    assert counted == [{name: {200: 1}}, {name: {200: 2}}, {name: {200: 2, 422: 1}}]
    assert not lens_of(recipe.app).started


def test_without_lifespan_events_calls_are_written_a_second_later(recipe: Recipe) -> None:
    handler = Mangum(recipe.app, lifespan="off")
    for _ in range(3):
        answered = handler(event("/orders/7"), None)

    assert (answered["statusCode"], answered["body"]) == (200, '{"order_id":7}')
    lens = lens_of(recipe.app)
    try:
        assert lens.flusher.interval == 1
        assert lens.flusher.flush()
        assert recipe.counted() == {"GET /orders/{order_id}": {200: 3}}
    finally:
        lens.stop()
