from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_lens.admin.urls.overview import OverviewQuery
from tests.admin.make import endpoint
from tests.admin.urls.make import periods

pytestmark = pytest.mark.unit

queries = st.builds(
    OverviewQuery,
    window=periods,
    tag=st.text(max_size=300),
    prefix=st.text(max_size=300),
    file=st.text(max_size=300),
)


@given(queries, st.sampled_from(["", "/lens/", "https://host/a/lens/"]))
def test_an_address_gives_back_the_query_that_it_was_made_of(
    query: OverviewQuery, path: str
) -> None:
    assert OverviewQuery.parse(query.url(path)) == query


@given(st.text())
def test_whatever_stands_in_the_address_is_a_query_and_its_form_is_stable(text: str) -> None:
    query = OverviewQuery.parse(f"?{text}")
    assert OverviewQuery.parse(query.url("/")) == query


@pytest.mark.parametrize(
    "query", ["", "?days=7d", "?days=99", "?tag=&prefix=%20&file=", "?days=%00"]
)
def test_what_is_not_offered_is_left_out(query: str) -> None:
    assert OverviewQuery.parse(query).url("/lens/") == "/lens/?days=7"


def test_the_last_value_of_a_parameter_counts() -> None:
    query = OverviewQuery.parse("?days=1&tag=a&tag=b&days=30")
    assert query.url() == "?days=30&tag=b"


def test_each_filter_holds_endpoints_of_its_own() -> None:
    one = replace(endpoint("/v2/orders/{id}", tags=("orders", "v2")), source="shop/orders.py:7")
    everything = OverviewQuery()
    assert not everything.is_filtered
    assert everything.holds(one)
    for query in (
        OverviewQuery(tag="v2"),
        OverviewQuery(prefix="/v2/orders/"),
        OverviewQuery(file="shop/orders.py"),
        OverviewQuery(tag="orders", prefix="/v2", file="shop/orders.py"),
    ):
        assert query.is_filtered
        assert query.holds(one)
    for query in (
        OverviewQuery(prefix="/v2/ord"),
        OverviewQuery(tag="order"),
        OverviewQuery(prefix="/v1"),
        OverviewQuery(file="orders.py"),
        OverviewQuery(tag="orders", prefix="/v1"),
    ):
        assert not query.holds(one)
