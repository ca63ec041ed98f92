"""Sentry: the names of transactions and the events of exceptions, and the same calls here."""

from collections.abc import Iterator
from typing import Any

import pytest
import sentry_sdk
from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport

from tests.frameworks.recipes.conftest import Recipe


class Sent(Transport):
    """Keeps what would be sent."""

    def __init__(self) -> None:
        super().__init__()
        self.items: list[Any] = []

    def capture_envelope(self, envelope: Envelope) -> None:
        self.items += [item.payload.json for item in envelope.items if item.payload.json]

    def of(self, kind: str) -> list[Any]:
        """The transactions or the events without a type: errors."""
        return [item for item in self.items if item.get("type", "event") == kind]


@pytest.fixture(scope="module", autouse=True)
def dsn() -> Iterator[None]:
    """The variable that the recipe names."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SENTRY_DSN", "http://key@127.0.0.1:9/1")
        yield


@pytest.fixture
def sent(recipe: Recipe) -> Sent:
    client: Any = sentry_sdk.get_client()
    kept = client.transport = Sent()
    return kept


def test_transactions_have_the_names_of_the_endpoints(recipe: Recipe, sent: Sent) -> None:
    with recipe.client() as client:
        assert client.get("/v1/orders/7").json() == {"order_id": 7, "share": 14}
        client.get("/v1/orders/8")

    named = [(item["transaction"], item["contexts"]["response"]) for item in sent.of("transaction")]
    assert named == [("/v1/orders/{order_id}", {"status_code": 200})] * 2
    assert recipe.counted() == {"GET /v1/orders/{order_id}": {200: 2}}


def test_an_exception_is_one_event_there_and_one_500_here(recipe: Recipe, sent: Sent) -> None:
    with recipe.client() as client:
        assert client.get("/v1/orders/0").status_code == 500

    (event,) = sent.of("event")
    assert event["transaction"] == "/v1/orders/{order_id}"
    (raised,) = event["exception"]["values"]
    assert raised["type"] == "ZeroDivisionError"
    assert raised["mechanism"]["handled"] is False
    assert recipe.counted() == {"GET /v1/orders/{order_id}": {500: 1}}
    (kept,) = recipe.rows("SELECT * FROM lens_failure")
    assert "ZeroDivisionError" in str(kept)
