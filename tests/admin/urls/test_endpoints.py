import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_lens.admin.tables.endpoints import CHOICES, ORDERS
from fastapi_lens.admin.tables.groups import ORDERS as GROUP_ORDERS
from fastapi_lens.admin.urls.endpoint import EndpointQuery
from fastapi_lens.admin.urls.endpoints import DEFAULT_SORT, EndpointsQuery, Sort
from fastapi_lens.admin.urls.period import Period, WindowChoice
from fastapi_lens.reporting.parts import PartKind
from fastapi_lens.settings.status import Status
from tests.admin.urls.make import periods

pytestmark = pytest.mark.unit

queries = st.builds(
    EndpointsQuery,
    q=st.text(max_size=300),
    status=st.none() | st.sampled_from(Status),
    methods=st.lists(st.sampled_from(["GET", "post", "_OTHER", "PROPFIND", "no good"])).map(tuple),
    tag=st.text(max_size=300),
    prefix=st.text(max_size=300) | st.text("/a ", max_size=6),
    file=st.text(max_size=300),
    without=st.none() | st.sampled_from(PartKind),
    group=st.none() | st.sampled_from(PartKind),
    chart=st.booleans(),
    caller=st.integers(0, (1 << 63) - 1).map(lambda one: f"{one:016x}") | st.text(max_size=3),
    window=periods,
    sort=st.builds(Sort, st.sampled_from([*ORDERS, *GROUP_ORDERS]), descending=st.booleans()),
    page=st.integers(),
    ignored=st.booleans(),
    deprecated=st.booleans(),
    columns=st.lists(st.sampled_from([*CHOICES, "path", "gone"])).map(tuple),
)


@given(queries, st.sampled_from(["", "/lens/", "https://host/a/lens/"]))
def test_an_address_gives_back_the_query_that_it_was_made_of(
    query: EndpointsQuery, path: str
) -> None:
    assert EndpointsQuery.parse(query.url(path)) == query


@given(periods)
def test_the_address_of_one_endpoint_gives_back_its_query(period: Period) -> None:
    query = EndpointQuery(window=period)
    assert EndpointQuery.parse(query.url("/lens/endpoints/00ab")) == query


@given(st.text())
def test_whatever_stands_in_the_address_is_a_query_and_its_form_is_stable(text: str) -> None:
    query = EndpointsQuery.parse(f"?{text}")
    assert EndpointsQuery.parse(query.url("/")) == query
    own = EndpointQuery.parse(f"?{text}")
    assert EndpointQuery.parse(own.url("/")) == own


@pytest.mark.parametrize(
    "garbage",
    [
        "status=alive",
        "days=0",
        "days=-7",
        "days=365",
        "days=",
        "sort=name",
        "sort=--calls",
        "sort=-",
        "page=0",
        "page=-1",
        "page=x",
        "page=٣",
        "page=99999999999999999999",
        "method=",
        "method=GET;DROP",
        "method=%3Cscript%3E",
        "unknown=1",
        "deprecated=yes",
        "cols=",
        "cols=path.gone",
        "cols=%00..,",
        "q=",
        "q=%20%20",
        "&&=&",
        "&".join(f"q{n}=1" for n in range(200)),
    ],
)
def test_garbage_falls_back_to_the_default(garbage: str) -> None:
    assert EndpointsQuery.parse(f"?{garbage}") == EndpointsQuery()


def test_defaults_are_left_out_of_the_address_but_for_the_period() -> None:
    assert EndpointsQuery().url("/lens/") == "/lens/?days=7"
    assert EndpointsQuery(page=2).url("/lens/") == "/lens/?days=7&page=2"
    every = EndpointsQuery(
        q="  a   b ",
        status=Status.NEVER_CALLED,
        methods=("POST", "GET", "get"),
        tag="users",
        window=Period(WindowChoice.DAY),
        sort=Sort("p95", descending=True),
        page=3,
        deprecated=True,
        columns=("p95", "calls"),
    )
    assert every.url() == (
        "?q=a+b&status=never_called&method=GET&method=POST&tag=users&days=1&sort=-p95&page=3"
        "&deprecated=1&cols=calls.p95"
    )


def test_every_other_choice_leads_to_the_first_page() -> None:
    query = EndpointsQuery(
        q="x", tag="t", methods=("GET",), status=Status.DEAD, deprecated=True, page=4
    )
    assert query.with_status(None).url() == "?q=x&method=GET&tag=t&days=7&deprecated=1"
    assert query.with_window(Period(WindowChoice.HOUR)).page == 1
    assert query.with_sort(DEFAULT_SORT.reversed()).url().endswith("&sort=calls&deprecated=1")
    assert query.with_page(9).page == 9
    assert query.without_filters() == EndpointsQuery()
    assert query.is_filtered
    assert EndpointsQuery(deprecated=True).is_filtered
    assert not EndpointsQuery(window=Period(WindowChoice.ALL), columns=("calls",)).is_filtered


def test_a_column_is_sorted_first_as_it_is_asked_for_most() -> None:
    assert str(Sort.first_of("path")) == "path"
    assert str(Sort.first_of("p99")) == "-p99"


def test_the_column_of_both_errors_is_that_of_5xx_today() -> None:
    assert EndpointsQuery.parse("?sort=-errors").url() == "?days=7&sort=-errors_5xx"
    assert EndpointsQuery.parse("?sort=errors").url() == "?days=7&sort=errors_5xx"


def test_columns_are_written_in_the_order_of_the_table() -> None:
    query = EndpointsQuery.parse("?cols=p95,calls&cols=status.p95")
    assert query.url() == "?days=7&cols=status.calls.p95"
    assert query.with_page(2).with_status(Status.DEAD).columns == ("status", "calls", "p95")
