"""Apps with the same endpoints and no living worker: what a changed title leaves behind."""

from collections.abc import Sequence

import pytest

from fastapi_lens.storage.engine.database import Database
from tests.reporting.past import TODAY, Past

PATHS = ("/orders", "/orders/{id}", "/users", "/items")


@pytest.fixture
def past(memory: Database) -> Past:
    past = Past(memory)
    add(past, "orders", PATHS)
    return past


def add(past: Past, app: str, paths: Sequence[str]) -> None:
    for path in paths:
        past.endpoint(path, app=app)


def test_an_app_with_the_same_endpoints_is_a_twin(past: Past) -> None:
    add(past, "Orders API", (*PATHS[:-1], "/another"))
    add(past, "Older Orders API", [path.replace("{id}", "{order_id}") for path in PATHS])
    assert past.evidence().twins == ("Older Orders API", "Orders API")


def test_an_app_that_records_is_none(past: Past) -> None:
    add(past, "Orders API", PATHS)
    past.worker(started=TODAY, app="Orders API")
    assert past.evidence().twins == ()


def test_an_app_that_shares_few_endpoints_is_none(past: Past) -> None:
    add(past, "small", PATHS[:2])
    add(past, "half", (*PATHS[:2], "/one", "/two"))
    add(past, "large", (*PATHS[:3], "/one", "/two", "/three"))
    assert past.evidence().twins == ()
