"""The reader of the request log, on each database."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.support.rows import APP, worker
from benchmarks.support.writing import Writer
from fastapi_lens.reporting.log.exception_reader import ExceptionReader
from fastapi_lens.reporting.log.request_log import LogFilter, LogReader
from fastapi_lens.reporting.log.shown_endpoints import ShownEndpoints
from fastapi_lens.reporting.model import id_from_key, key_from_id
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.migrations import migrate
from fastapi_lens.storage.writing.batches import EndpointFacts
from fastapi_lens.storage.writing.log_writer import LogBatch, LogWriter, exception_id
from tests.storage.writing.test_log_writer import AT, exception, request

WRONG = exception_id(7, "shop.WrongError", "app.py:1 in f")
HIDDEN = ("GET", "/hidden")
KEY = key_from_id(7)
CASES: list[tuple[dict[str, Any], list[int]]] = [
    ({}, [6, 4, 3, 2, 1, 0]),
    ({"endpoint": KEY}, [4, 3, 2, 1, 0]),
    ({"endpoint": "no key"}, []),
    ({"statuses": (500, 599)}, [4, 3]),
    ({"statuses": (404, 404)}, [2]),
    ({"method": "POST"}, [3]),
    ({"min_ms": 700.0}, [1]),
    ({"min_ms": 700.1}, []),
    ({"reason": "error"}, [4, 3]),
    ({"text": "%"}, [0]),
    ({"text": "_"}, [1]),
    ({"text": "\\"}, [2]),
    ({"text": "/"}, [6, 4, 3, 2, 1, 0]),
    ({"text": "gone"}, [6]),
    ({"text": "wrongERROR"}, [4]),
    ({"text": "no order"}, [4]),
    ({"text": "'; --"}, []),
    ({"reason": "error", "method": "GET"}, [4]),
]


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = Database(database_url)
    migrate(opened)
    yield opened
    opened.close()


@pytest.fixture
def logged(database: Database) -> Database:
    """Ten requests: one a second, of three endpoints, one of them hidden, one forgotten."""
    facts = [
        EndpointFacts(7, APP, "GET", "/orders/{order_id}"),
        EndpointFacts(8, APP, *HIDDEN),
    ]
    Writer(database, worker()).register(facts, applied=0, now_us=AT)
    rows = [
        request(0, path="/orders/100%"),
        request(1, path="/orders/1_0", duration_us=700_000, reason="slow"),
        request(2, path="/orders/\\x", status=404),
        request(3, method="POST", status=503, reason="error"),
        request(4, status=500, reason="error", exception_id=WRONG),
        request(5, endpoint_id=8, path="/hidden", status=500, exception_id=3),
        request(6, endpoint_id=9, path="/GONE", query=""),
    ]
    kinds = [
        exception(4, id=WRONG, type="shop.WrongError", message="No Order", calls=3),
        exception(5, id=3, endpoint_id=8),
    ]
    LogWriter(database, worker()).write(LogBatch(1, tuple(rows), tuple(kinds)))
    other = worker("w2", "another app")
    Writer(database, other).register([], applied=0, now_us=AT)
    LogWriter(database, other).write(LogBatch(1, (request(50),), (exception(50, id=4),)))
    return database


def is_recorded(method: str, path: str) -> bool:
    return (method, path) != HIDDEN


@pytest.fixture
def reader(logged: Database) -> LogReader:
    return LogReader(logged, ShownEndpoints(lambda: APP, is_recorded))


@pytest.fixture
def exceptions(logged: Database) -> ExceptionReader:
    return ExceptionReader(logged, ShownEndpoints(lambda: APP, is_recorded))


def seconds(reader: LogReader, **wanted: Any) -> list[int]:
    found = reader.requests(LogFilter(**wanted))
    return [round(one.at - AT / 1e6) for one in found]


def test_filters_take_the_requests_that_they_name(reader: LogReader) -> None:
    for wanted, found in CASES:
        assert (wanted, seconds(reader, **wanted)) == (wanted, found)
        assert (wanted, reader.newer(LogFilter(**wanted), after=0)) == (wanted, len(found))


def test_pages_follow_each_other_without_a_gap(reader: LogReader) -> None:
    first = reader.requests(LogFilter(), limit=4)
    second = reader.requests(LogFilter(), before=first[-1].id, limit=4)

    assert [one.key for one in (*first, *second)] == [
        one.key for one in reader.requests(LogFilter())
    ]
    assert reader.newer(LogFilter(), after=first[2].id) == 2
    assert reader.newer(LogFilter(), after=first[0].id) == 0


def test_a_request_is_found_by_its_key_with_its_endpoint_and_its_exception(
    reader: LogReader,
) -> None:
    (listed,) = reader.requests(LogFilter(text="WrongError"))
    one = reader.request(listed.key)

    assert one == listed
    assert (one.endpoint_key, one.endpoint_method, one.template) == (
        *(KEY, "GET", "/orders/{order_id}"),
    )
    assert (one.exception_key, one.message) == (key_from_id(WRONG), "No Order")


def test_what_is_logged_of_a_hidden_endpoint_or_of_another_app_is_not_found(
    reader: LogReader, exceptions: ExceptionReader
) -> None:
    hidden = request(5).id
    assert [reader.request(key_from_id(one)) for one in (hidden, request(50).id)] == [None, None]
    assert reader.request("nonsense") is None
    assert [exceptions.kind(key_from_id(one)) for one in (3, 4)] == [None, None]


def test_an_endpoint_that_is_hidden_from_now_on_is_so_in_the_next_answer(
    logged: Database, reader: LogReader
) -> None:
    hidden = {HIDDEN}
    shown = ShownEndpoints(lambda: APP, lambda *one: one not in hidden)
    asked, exceptions = LogReader(logged, shown), ExceptionReader(logged, shown)
    assert len(seconds(asked)) == 6
    hidden.add(("GET", "/orders/{order_id}"))
    assert seconds(asked) == [6]
    assert seconds(asked, endpoint=KEY) == []
    assert exceptions.kinds(endpoint=KEY) == []
    late = EndpointFacts(9, APP, "GET", "/late", seen_at_us=AT + 1)
    hidden.add(("GET", "/late"))
    Writer(logged, worker("w3")).register([late], applied=0, now_us=AT)
    assert seconds(asked) == []
    assert seconds(reader) == [6, 4, 3, 2, 1, 0]


def test_an_endpoint_that_is_forgotten_leaves_its_requests(reader: LogReader) -> None:
    (one,) = reader.requests(LogFilter(text="gone"))
    assert (one.endpoint_method, one.template, one.exception_key) == ("", "", "")


def test_kinds_of_exceptions_are_found_by_endpoint_and_text(
    exceptions: ExceptionReader,
) -> None:
    (one,) = exceptions.kinds()

    assert (one.type, one.message, one.calls) == ("shop.WrongError", "No Order", 3)
    assert (one.method, one.path, one.endpoint_key) == ("GET", "/orders/{order_id}", KEY)
    assert exceptions.kinds(endpoint=KEY) == exceptions.kinds(text="WRONG") == [one]
    assert exceptions.kinds(endpoint=key_from_id(9)) == exceptions.kinds(text="%") == []
    found = exceptions.kind(one.key)
    assert found is not None
    # A list has no tracebacks, which may be long.
    assert (found.traceback[:5], replace(found, traceback="")) == ("trace", one)


@given(st.integers(0, (1 << 63) - 1))
def test_every_id_has_a_key_that_leads_back(identity: int) -> None:
    assert id_from_key(key_from_id(identity)) == identity


@given(st.text())
def test_a_text_is_a_key_or_leads_nowhere(text: str) -> None:
    assert id_from_key(text) == -1 or key_from_id(id_from_key(text)) == text
