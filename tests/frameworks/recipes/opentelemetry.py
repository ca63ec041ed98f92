"""OpenTelemetry's instrumentation: the routes of spans, and the same calls here."""

import asyncio

from opentelemetry.trace import StatusCode

from tests.frameworks.gone import without_client
from tests.frameworks.recipes.conftest import Recipe
from tests.frameworks.spans import Spans


def test_a_span_has_the_route_that_is_counted(recipe: Recipe) -> None:
    spans = Spans(recipe.module.provider)
    with recipe.client() as client:
        assert client.get("/v1/orders/7").json() == {"order_id": 7, "share": 14}
        assert client.get("/nowhere").status_code == 404
        assert client.get("/lens/login").status_code == 200

    assert spans.named() == [
        ("GET /v1/orders/{order_id}", "/v1/orders/{order_id}", 200),
        ("GET", None, 404),
    ]
    assert recipe.counted() == {"GET /v1/orders/{order_id}": {200: 1}}


def test_an_exception_is_in_the_span_and_counts_as_500(recipe: Recipe) -> None:
    spans = Spans(recipe.module.provider)
    with recipe.client() as client:
        assert client.get("/v1/orders/0").status_code == 500

    (span,) = spans.of_server
    (event,) = span.events
    assert (event.attributes or {})["exception.type"] == "ZeroDivisionError"
    assert span.status.status_code is StatusCode.ERROR
    assert recipe.counted() == {"GET /v1/orders/{order_id}": {500: 1}}


def test_a_client_that_has_gone_is_noticed_behind_its_receive(recipe: Recipe) -> None:
    with recipe.client():
        answered = asyncio.run(without_client(recipe.app, "/v1/orders/7"))

    assert answered == [200]
    assert recipe.counted() == {"GET /v1/orders/{order_id}": {499: 1}}
