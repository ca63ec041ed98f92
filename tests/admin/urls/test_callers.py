"""The state of the pages of callers is in their addresses, and comes back from there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_lens.admin.tables.callers import CALLER_ORDERS, USE_ORDERS
from fastapi_lens.admin.urls.callers import LATEST_FIRST, CallerQuery, CallersQuery
from fastapi_lens.admin.urls.endpoints import Sort

pytestmark = pytest.mark.unit

SORTS = st.builds(
    Sort, st.sampled_from(sorted({*CALLER_ORDERS, *USE_ORDERS, "colour"})), st.booleans()
)
LISTS = st.builds(
    CallersQuery,
    q=st.text(max_size=300),
    noise=st.booleans(),
    sort=SORTS,
    page=st.integers(-5, 10**9),
)
ONES = st.builds(CallerQuery, sort=SORTS, page=st.integers(-5, 10**9))


@given(LISTS, ONES)
def test_every_state_comes_back_from_its_address(every: CallersQuery, one: CallerQuery) -> None:
    assert CallersQuery.parse(every.url("/lens/callers")) == every
    assert CallerQuery.parse(one.url("/lens/callers/00ab")) == one


@given(st.text(max_size=80))
def test_any_text_is_some_state(text: str) -> None:
    every, one = CallersQuery.parse(f"?{text}"), CallerQuery.parse(f"?{text}")
    assert CallersQuery.parse(every.url()) == every
    assert CallerQuery.parse(one.url()) == one


def test_defaults_are_left_out_and_the_order_is_always_the_same() -> None:
    assert CallersQuery().url("/lens/callers") == "/lens/callers"
    query = CallersQuery.parse("?page=2&sort=-calls&noise=1&q=+a++b&x=1")
    assert query.url() == "?q=a+b&noise=1&sort=-calls&page=2"
    assert CallersQuery.parse("?sort=-verdict").sort == LATEST_FIRST
    assert CallerQuery.parse("?sort=days&page=3").url() == "?sort=days&page=3"
    assert CallerQuery.parse("?sort=kind").sort == LATEST_FIRST
