import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fastapi_lens.admin.tables.endpoints import CHOICES, ORDERS
from fastapi_lens.admin.urls.endpoint import EndpointQuery
from fastapi_lens.admin.urls.endpoints import DEFAULT_SORT, EndpointsQuery, Sort
from fastapi_lens.admin.urls.window import WindowChoice
from fastapi_lens.reporting.model import Window
from fastapi_lens.settings.status import Status

pytestmark = pytest.mark.unit

queries = st.builds(
    EndpointsQuery,
    q=st.text(max_size=300),
    status=st.none() | st.sampled_from(Status),
    methods=st.lists(st.sampled_from(["GET", "post", "_OTHER", "PROPFIND", "no good"])).map(tuple),
    tag=st.text(max_size=300),
    caller=st.integers(0, (1 << 63) - 1).map(lambda one: f"{one:016x}") | st.text(max_size=3),
    window=st.sampled_from(WindowChoice),
    sort=st.builds(Sort, st.sampled_from(sorted(ORDERS)), descending=st.booleans()),
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


MOMENTS = st.integers(-100, 5_000_000_000)


@given(st.sampled_from(WindowChoice), st.none() | st.tuples(MOMENTS, MOMENTS))
@example(WindowChoice.DAY, (0, 1))
def test_the_address_of_one_endpoint_gives_back_its_query(
    window: WindowChoice, part: tuple[int, int] | None
) -> None:
    query = EndpointQuery(window=window, part=part)
    if query.part is not None and part is not None:
        start, end = query.part
        assert (start % 60, end % 60) == (0, 0)
        assert start <= part[0] < part[1] <= end
        assert query.shown == Window.between(start, end)
        minutes = f"?days={window}&from={start // 60}&to={end // 60}"
        assert EndpointQuery.parse(minutes) == query
    else:
        assert query.shown == window.window
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
        "from=2026-04-03T14:00Z",
        "from=2026-04-03T14:00Z&to=2026-04-03T14:00Z",
        "from=2026-04-03T14:00Z&to=2026-04-03T13:00Z",
        "from=1960-04-03T14:00Z&to=2026-04-03T13:00Z",
        "from=0&to=999999999",
        "from=2026-13-03T14:00Z&to=2026-14-03T13:00Z",
        "from=-1&to=1.5",
    ],
)
def test_a_part_of_time_that_makes_no_sense_is_none(garbage: str) -> None:
    assert EndpointQuery.parse(f"?{garbage}") == EndpointQuery()


def test_a_part_of_time_reads_like_a_time() -> None:
    part = (1_775_224_800, 1_775_228_400)
    address = EndpointQuery(part=part).url("/x")
    assert address == "/x?from=2026-04-03T14:00Z&to=2026-04-03T15:00Z"


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


def test_defaults_are_left_out_of_the_address() -> None:
    assert EndpointsQuery().url("/lens/") == "/lens/"
    assert EndpointsQuery(page=2).url("/lens/") == "/lens/?page=2"
    every = EndpointsQuery(
        q="  a   b ",
        status=Status.NEVER_CALLED,
        methods=("POST", "GET", "get"),
        tag="users",
        window=WindowChoice.DAY,
        sort=Sort("p95", descending=True),
        page=3,
        deprecated=True,
        columns=("p95", "calls"),
    )
    assert every.url() == (
        "?q=a+b&status=never_called&method=GET&method=POST&tag=users&days=1&sort=-p95&page=3"
        "&deprecated=1&cols=calls.p95"
    )


@pytest.mark.parametrize(
    ("text", "window"),
    [
        ("1h", Window(3_600)),
        ("1H", Window(3_600)),
        ("24h", Window(86_400)),
        ("1", Window(86_400)),
        ("1d", Window(86_400)),
        ("7", Window(604_800)),
        ("7d", Window(604_800)),
        ("30", Window(2_592_000)),
        ("90d", Window(7_776_000)),
        ("all", Window(None)),
        ("", Window(604_800)),
    ],
)
def test_windows_are_understood_as_people_write_them(text: str, window: Window) -> None:
    assert EndpointsQuery.parse(f"?days={text}").window.window == window


def test_windows_have_a_label_and_words() -> None:
    assert [choice.label for choice in WindowChoice] == ["1h", "24h", "7d", "30d", "90d", "All"]
    assert WindowChoice.HOUR.words == "the last hour"
    assert WindowChoice.QUARTER.words == "the last 90 days"


def test_every_other_choice_leads_to_the_first_page() -> None:
    query = EndpointsQuery(
        q="x", tag="t", methods=("GET",), status=Status.DEAD, deprecated=True, page=4
    )
    assert query.with_status(None).url() == "?q=x&method=GET&tag=t&deprecated=1"
    assert query.with_window(WindowChoice.HOUR).page == 1
    assert query.with_sort(DEFAULT_SORT.reversed()).url().endswith("&sort=calls&deprecated=1")
    assert query.with_page(9).page == 9
    assert query.without_filters() == EndpointsQuery()
    assert query.is_filtered
    assert EndpointsQuery(deprecated=True).is_filtered
    assert not EndpointsQuery(window=WindowChoice.ALL, columns=("calls",)).is_filtered


def test_a_column_is_sorted_first_as_it_is_asked_for_most() -> None:
    assert str(Sort.first_of("path")) == "path"
    assert str(Sort.first_of("p99")) == "-p99"


def test_the_column_of_both_errors_is_that_of_5xx_today() -> None:
    assert EndpointsQuery.parse("?sort=-errors").url() == "?sort=-errors_5xx"
    assert EndpointsQuery.parse("?sort=errors").url() == "?sort=errors_5xx"


def test_columns_are_written_in_the_order_of_the_table() -> None:
    query = EndpointsQuery.parse("?cols=p95,calls&cols=status.p95")
    assert query.url() == "?cols=status.calls.p95"
    assert query.with_page(2).with_status(Status.DEAD).columns == ("status", "calls", "p95")
