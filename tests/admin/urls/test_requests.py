"""The addresses of the request log's pages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_lens.admin.urls.exceptions import ExceptionsQuery
from fastapi_lens.admin.urls.period import Period, WindowChoice
from fastapi_lens.admin.urls.requests import REASONS, RequestsQuery
from fastapi_lens.reporting.log.request_log import LogFilter
from fastapi_lens.reporting.model import key_from_id
from tests.admin.make import NOW
from tests.admin.urls.make import periods

pytestmark = pytest.mark.unit

KEYS = st.one_of(st.just(""), st.integers(0, (1 << 63) - 1).map(key_from_id), st.text(max_size=20))
QUERIES = st.builds(
    RequestsQuery,
    q=st.text(max_size=250),
    endpoint=KEYS,
    status=st.one_of(st.sampled_from(["", "5xx", "404", "2XX"]), st.text(max_size=4)),
    method=st.one_of(st.sampled_from(["", "get", "M-SEARCH"]), st.text(max_size=20)),
    min_ms=st.integers(-10, 10**12),
    reason=st.sampled_from(["", *REASONS, "other"]),
    before=KEYS,
    window=periods,
)


@given(QUERIES)
def test_every_view_has_an_address_that_leads_back_to_it(query: RequestsQuery) -> None:
    assert RequestsQuery.parse(query.url()) == query
    assert RequestsQuery.parse(query.url("/lens/requests")) == query


@given(st.builds(ExceptionsQuery, q=st.text(max_size=250), endpoint=KEYS))
def test_every_list_of_exceptions_has_an_address_that_leads_back_to_it(
    query: ExceptionsQuery,
) -> None:
    assert ExceptionsQuery.parse(query.url()) == query


@given(st.text())
def test_no_address_is_an_error(text: str) -> None:
    RequestsQuery.parse(f"?{text}")
    ExceptionsQuery.parse(f"?{text}")


@pytest.mark.parametrize(
    "text",
    [
        "status=6x",
        "status=abc",
        "min_ms=-5",
        "min_ms=1e3",
        "before=zz",
        "reason=no",
        "method=G%20T",
    ],
)
def test_what_makes_no_sense_is_left_out(text: str) -> None:
    assert RequestsQuery.parse(f"?{text}") == RequestsQuery()


def test_a_view_is_the_filter_that_its_address_says() -> None:
    key = key_from_id(7)
    text = f"?q=a+b&endpoint={key}&status=5xx&method=get&min_ms=500&reason=slow&before={key}&days=1"
    query = RequestsQuery.parse(text)

    assert query.wanted(NOW) == LogFilter(
        endpoint=key,
        statuses=(500, 599),
        method="GET",
        min_ms=500,
        text="a b",
        reason="slow",
        since=int(NOW) - 86_400,
    )
    assert RequestsQuery(status="404").wanted(NOW).statuses == (404, 404)
    part = RequestsQuery(window=Period(part=(0, 60))).wanted(NOW)
    assert (part.since, part.until) == (0, 60)
    assert query.with_window(Period(WindowChoice.ALL)).wanted(NOW).since is None
    assert query.is_filtered
    assert not RequestsQuery(before=key).is_filtered
    assert query.newest().older(key) == query


def test_a_caller_is_in_the_address_after_the_endpoint() -> None:
    key = "00000000000000ff"
    query = RequestsQuery.parse(f"?caller={key}&q=a&endpoint={key}")
    assert query.url() == f"?q=a&endpoint={key}&caller={key}&days=7"
    assert query.wanted(NOW).caller == key
    assert query.is_filtered
    # The id of all callers beyond the limit, which is also that of requests without one.
    assert RequestsQuery.parse("?caller=0000000000000000").caller == ""
