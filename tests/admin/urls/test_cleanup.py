"""The state of the cleanup page is in its address, and comes back from there."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_lens.admin.tables.cleanup import ORDERS
from fastapi_lens.admin.urls.cleanup import DEFAULT_SORT, TABS, CleanupQuery
from fastapi_lens.admin.urls.endpoints import Sort

pytestmark = pytest.mark.unit

KEYS = st.integers(0, (1 << 63) - 1).map(lambda one: f"{one:016x}")
QUERIES = st.builds(
    CleanupQuery,
    q=st.text(max_size=20),
    tab=st.sampled_from(("", *TABS)) | st.text(max_size=5),
    tag=st.text(max_size=10),
    prefix=st.text("/a \x00", max_size=10),
    file=st.text(max_size=10),
    sort=st.builds(Sort, st.sampled_from((*ORDERS, "colour")), st.booleans()),
    page=st.integers(-5, 10**9),
    chosen=st.lists(KEYS | st.text(max_size=3), max_size=60).map(tuple),
)


@given(QUERIES)
def test_every_state_comes_back_from_its_address(query: CleanupQuery) -> None:
    assert CleanupQuery.parse(query.url("/lens/cleanup")) == query


@given(st.text(max_size=80))
def test_any_text_is_some_state(text: str) -> None:
    query = CleanupQuery.parse(f"?{text}")
    assert CleanupQuery.parse(query.url()) == query


def test_defaults_are_left_out_and_the_order_is_always_the_same() -> None:
    assert CleanupQuery().url("/lens/cleanup") == "/lens/cleanup"
    query = CleanupQuery.parse("?page=3&e=00000000000000ff&sort=-last&verdict=wait&q=+a++b&x=1")
    assert query.url() == "?q=a+b&verdict=wait&sort=-last&page=3&e=00000000000000ff"
    assert query.is_filtered
    part = CleanupQuery.parse("?file=a.py&prefix=/v2/&tag=t&sort=last")
    assert part.url() == "?tag=t&prefix=%2Fv2&file=a.py&sort=last"
    assert part.is_narrowed


def test_a_click_on_a_header_sorts_and_the_next_one_reverses() -> None:
    query = CleanupQuery(page=3, chosen=("00000000000000ff",)).with_sort("last")
    assert (query.sort, query.page) == (Sort("last", descending=False), 1)
    assert query.with_sort("last").sort == Sort("last", descending=True)
    assert CleanupQuery.parse("?sort=colour").sort == DEFAULT_SORT


def test_other_views_begin_on_their_first_page_with_nothing_chosen() -> None:
    query = CleanupQuery(q="a", tab="wait", page=3, chosen=("00000000000000ff",))
    assert query.with_tab("kept") == CleanupQuery(q="a", tab="kept")
    assert query.with_page(2) == CleanupQuery(q="a", tab="wait", page=2)
    assert query.with_existing_page(1).page == 1
    assert query.without_filters() == CleanupQuery()
    part = CleanupQuery(q="a", prefix="/v2", file="a.py", tag="t", sort=Sort("last", True))  # noqa: FBT003
    assert part.without_filters() == CleanupQuery(sort=part.sort)
    assert query.with_chosen(()).chosen == ()
