from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_lens.admin.display.filter_and_sort import (
    filter_and_sort,
    ordered,
)
from fastapi_lens.admin.display.paging import PAGE_SIZE, page_numbers
from fastapi_lens.admin.tables.endpoints import ORDERS
from fastapi_lens.admin.urls.endpoints import EndpointsQuery, Sort
from fastapi_lens.reporting.model import Endpoint
from fastapi_lens.settings.status import Status
from tests.admin.make import NOW, endpoint, usage

used = st.integers(0, 50).flatmap(
    lambda calls: st.builds(
        usage,
        st.just(calls),
        errors_4xx=st.integers(0, calls // 2),
        errors_5xx=st.integers(0, calls // 2),
        ms=st.floats(1, 2_000),
    )
)
endpoint_lists = st.lists(
    st.builds(
        endpoint,
        st.sampled_from(["/users", "/users/{id}", "/orders", "/Orders/old", "/"]),
        method=st.sampled_from(["GET", "POST", "DELETE", "PROPFIND"]),
        status=st.sampled_from(Status),
        tags=st.lists(st.sampled_from(["users", "orders", "x y"]), max_size=2).map(tuple),
        used=used,
        last_called_at=st.floats(0, NOW),
    ),
    max_size=130,
    unique_by=lambda one: (one.method, one.path),
) | st.integers(0, 130).map(lambda count: [endpoint(f"/n/{n}") for n in range(count)])
sorts = st.builds(Sort, st.sampled_from(sorted(ORDERS)), descending=st.booleans())
queries = st.builds(
    EndpointsQuery,
    q=st.sampled_from(["", "users", "USERS get", "views", "%", "_", "nothing", "x y"]),
    status=st.none() | st.sampled_from(Status),
    methods=st.lists(st.sampled_from(["GET", "POST", "HEAD"]), max_size=2).map(tuple),
    tag=st.sampled_from(["", "users", "x y", "gone"]),
    sort=sorts,
    page=st.integers(1, 5),
)


@pytest.mark.unmeasured
@given(endpoint_lists, queries)
def test_each_tab_counts_what_it_would_show(
    endpoints: list[Endpoint], query: EndpointsQuery
) -> None:
    listing = filter_and_sort(endpoints, query)
    for status, count in listing.counts.items():
        assert len(filter_and_sort(endpoints, query.with_status(status)).matching) == count
    assert listing.counts[None] == sum(
        count for status, count in listing.counts.items() if status is not None
    )


@pytest.mark.unmeasured
@given(endpoint_lists, queries)
def test_all_pages_together_are_all_that_matches_once_and_in_order(
    endpoints: list[Endpoint], query: EndpointsQuery
) -> None:
    first = filter_and_sort(endpoints, query.with_page(1))
    rows = [
        row
        for page in range(1, first.pages + 1)
        for row in filter_and_sort(endpoints, query.with_page(page)).rows
    ]
    assert rows == list(first.matching)
    assert all(row in endpoints for row in rows)
    assert len(set(map(id, rows))) == len(rows)


@given(endpoint_lists, queries)
def test_a_page_that_does_not_exist_is_the_last_one(
    endpoints: list[Endpoint], query: EndpointsQuery
) -> None:
    listing = filter_and_sort(endpoints, query.with_page(99))
    assert listing.query.page == listing.pages
    assert listing.last == len(listing.matching)
    assert len(listing.rows) <= PAGE_SIZE
    assert bool(listing.rows) == bool(listing.matching) == (listing.first > 0)


@pytest.mark.unmeasured
@given(endpoint_lists, sorts)
def test_the_order_depends_on_nothing_but_the_endpoints(
    endpoints: list[Endpoint], sort: Sort
) -> None:
    assert ordered(endpoints, sort) == ordered(endpoints[::-1], sort)


@given(endpoint_lists, sorts)
def test_rows_without_anything_to_compare_come_last_both_ways(
    endpoints: list[Endpoint], sort: Sort
) -> None:
    for direction in (sort, sort.reversed()):
        empty = [not sort.order.is_comparable(row) for row in ordered(endpoints, direction)]
        assert empty == sorted(empty)


@pytest.mark.unmeasured
@given(endpoint_lists)
def test_calls_fall_and_equal_ones_stand_by_path(endpoints: list[Endpoint]) -> None:
    rows = ordered(endpoints, Sort("calls", descending=True))
    for above, below in pairwise(rows):
        assert above.usage.calls >= below.usage.calls
        if above.usage.calls == below.usage.calls:
            assert (above.path, above.method) < (below.path, below.method)


def test_what_was_never_called_is_older_than_every_call() -> None:
    never = endpoint("/a", status=Status.NEVER_CALLED)
    old, new = endpoint("/b", last_called_at=1.0), endpoint("/c", last_called_at=2.0)
    assert ordered([new, never, old], Sort("last", descending=False)) == [never, old, new]
    assert ordered([new, never, old], Sort("last", descending=True)) == [new, old, never]


def test_statuses_are_sorted_from_alive_to_never_called() -> None:
    rows = [endpoint(f"/{status}", status=status) for status in reversed(Status)]
    found = ordered(rows, Sort("status", descending=False))
    assert [row.status for row in found] == list(Status)


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("user", {"/users", "/orders/{user_id}"}),
        ("USER delete", {"/users"}),
        ("views.orders", {"/orders", "/orders/{user_id}"}),
        ("billing", {"/orders"}),
        ("s/{", {"/orders/{user_id}"}),
        ("us%", set()),
        ("u_er", set()),
    ],
)
def test_every_word_is_searched_for_in_path_method_tag_and_handler(q: str, found: set[str]) -> None:
    endpoints = [
        endpoint("/users", method="DELETE"),
        endpoint("/orders", tags=("billing",)),
        endpoint("/orders/{user_id}"),
    ]
    assert {row.path for row in filter_and_sort(endpoints, EndpointsQuery(q=q)).matching} == found


def test_what_is_chosen_can_be_seen_and_taken_back_also_when_it_is_gone() -> None:
    endpoints = [endpoint(method="PUT", tags=("b", "a")), endpoint(method="PROPFIND")]
    listing = filter_and_sort(endpoints, EndpointsQuery(methods=("GET", "X"), tag="gone"))
    assert listing.methods == ["GET", "PUT", "PROPFIND", "X"]
    assert listing.tags == ["a", "b", "gone"]
    assert listing.catalogue == 2
    assert listing.total.calls == 0


def test_the_total_is_of_all_pages() -> None:
    endpoints = [endpoint(f"/{n}", used=usage(2, errors_5xx=1)) for n in range(PAGE_SIZE + 5)]
    listing = filter_and_sort(endpoints, EndpointsQuery())
    assert len(listing.rows) == PAGE_SIZE
    assert (listing.total.calls, listing.total.errors_5xx) == (110, 55)
    assert (listing.first, listing.last, listing.pages) == (1, 50, 2)


def test_the_p95_of_all_is_without_websockets_that_stay_open_for_long() -> None:
    timed = endpoint("/a", used=usage(3, ms=10))
    open_for_long = replace(endpoint("/w", used=usage(5, ms=60_000)), kind="websocket")
    listing = filter_and_sort([timed, open_for_long], EndpointsQuery())
    assert (listing.total.calls, listing.timed.calls) == (8, 3)
    assert listing.timed.percentiles_ms[1] == pytest.approx(10, rel=0.02)


@pytest.mark.parametrize(
    ("current", "pages", "numbers"),
    [
        (1, 1, [1]),
        (1, 2, [1, 2]),
        (1, 9, [1, 2, 3, None, 9]),
        (4, 9, [1, 2, 3, 4, 5, 6, None, 9]),
        (5, 9, [1, 2, 3, 4, 5, 6, 7, 8, 9]),
        (50, 100, [1, None, 48, 49, 50, 51, 52, None, 100]),
        (100, 100, [1, None, 98, 99, 100]),
    ],
)
def test_pages_are_linked_around_the_present_one(
    current: int, pages: int, numbers: list[int | None]
) -> None:
    assert page_numbers(current, pages) == numbers
