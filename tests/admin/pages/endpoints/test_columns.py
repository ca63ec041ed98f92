"""The columns of the list: which ones a view shows, and what stands in them."""

import csv
import io
from collections.abc import Callable

import pytest
from fastapi import FastAPI, WebSocket

from tests.admin.conftest import Site
from tests.support.pages import (
    Row,
    Table,
    addresses,
    field,
    fields,
    figures,
    link,
    links,
    page_text,
    table,
)
from tests.support.past import Past

MakeSite = Callable[..., Site]
DAY = 86_400


def endpoints(text: str) -> Table:
    return table(text, "Endpoints")


def shown(site: Site, query: str = "") -> Table:
    answer = site.get(f"/lens/endpoints{query}")
    assert answer.status_code == 200, page_text(answer.text)
    return endpoints(answer.text)


def shop() -> FastAPI:
    """Endpoints that are old enough to be compared, but for a new one."""
    app = FastAPI()

    @app.get("/busy")
    def busy() -> None:
        """Called often."""

    @app.get("/quiet", deprecated=True)
    def quiet() -> None:
        """Called now and then."""

    @app.get("/new", deprecated=True)
    def new() -> None:
        """Not there in the week before."""

    @app.websocket("/talk")
    async def talk(socket: WebSocket) -> None:
        """A conversation."""

    return app


@pytest.fixture
def shop_site(make_site: MakeSite) -> Site:
    """A shop that has been watched for 100 days."""
    site = make_site(shop())
    past = Past(site.lens.database, "site", now=site.lens.clock())
    past.observe(100)
    for method, path in (("GET", "/busy"), ("GET", "/quiet"), ("WEBSOCKET", "/talk")):
        past.be_there(method, path, since=90)
    return site


def past_calls(site: Site, path: str, *, before: int, after: int, ms: int = 20) -> None:
    """Calls of 10 ms in the week before, and of `ms` in this one."""
    method = "WEBSOCKET" if path == "/talk" else "GET"
    now = site.lens.clock()
    for days, calls, each in ((10, before, 10), (3, after, ms)):
        if calls:
            took = each * 1_000_000
            site.count_at(now - days * DAY, method, path, calls, duration_ns=took)


def percent(text: str) -> float:
    return float(text.removesuffix("%").replace("−", "-"))


def is_titled(row: Row, calls: int, words: str) -> bool:
    """True if a title names these calls before, scaled to the minutes of the present hour."""
    near = {f"{one} call{'s' * (one > 1)} {words}" for one in range(calls - 2, calls + 3)}
    return not near.isdisjoint(row.titles)


def test_changes_are_shown_beside_calls_and_p95(shop_site: Site) -> None:
    past_calls(shop_site, "/busy", before=120, after=240)
    text = shop_site.get("/lens/endpoints").text
    row = endpoints(text)["GET /busy"]
    assert percent(row["Δ calls"]) == pytest.approx(100, abs=3)
    assert percent(row["Δ p95"]) == pytest.approx(100, abs=3)
    assert is_titled(row, 120, "in the 7 days before")
    assert any(title.endswith("ms in the 7 days before") for title in row.titles)
    assert text.count('class="worse">+') == 1  # More calls are not worse.


def test_too_few_calls_in_one_of_the_periods_are_grey_and_sorted_last(shop_site: Site) -> None:
    past_calls(shop_site, "/busy", before=120, after=110)
    past_calls(shop_site, "/quiet", before=99, after=900, ms=90)
    text = shop_site.get("/lens/endpoints").text
    row = endpoints(text)["GET /quiet"]
    assert percent(row["Δ calls"]) == pytest.approx(809, abs=20)
    assert text.count('class="few">+8') == 2
    assert is_titled(row, 99, "in the 7 days before; fewer than 100 calls in one of the two")
    for sort in ("-calls_change", "calls_change", "-p95_change", "p95_change"):
        assert shown(shop_site, f"?sort={sort}").names[0] == "GET /busy"


def test_rows_are_sorted_by_their_change(shop_site: Site) -> None:
    past_calls(shop_site, "/busy", before=200, after=100, ms=40)
    past_calls(shop_site, "/quiet", before=100, after=300, ms=20)
    assert shown(shop_site, "?sort=-calls_change").names[:2] == ["GET /quiet", "GET /busy"]
    assert shown(shop_site, "?sort=calls_change").names[:2] == ["GET /busy", "GET /quiet"]
    assert shown(shop_site, "?sort=-p95_change").names[:2] == ["GET /busy", "GET /quiet"]
    assert shown(shop_site, "?sort=p95_change").names[:2] == ["GET /quiet", "GET /busy"]
    assert shown(shop_site, "?sort=-p95_change").orders == {"Δ p95": "descending"}


@pytest.mark.parametrize(
    ("path", "before", "after", "query", "titles"),
    [
        ("/busy", 200, 200, "?days=all", ("All time: no earlier period to compare with.",) * 2),
        ("/busy", 0, 0, "", ("No calls in the 7 days before either.", "No calls in the 7 days")),
        ("/busy", 9, 0, "", ("calls in the 7 days before", "No calls in this period.")),
        ("/talk", 200, 200, "", ("calls in the 7", "A WebSocket lasts as long as it is open.")),
        ("/new", 0, 200, "", ("No comparison: first seen", "No comparison: first seen")),
    ],
)
def test_where_there_is_nothing_to_compare_the_cell_says_why(
    shop_site: Site, path: str, before: int, after: int, query: str, titles: tuple[str, str]
) -> None:
    past_calls(shop_site, path, before=before, after=after)
    (row,) = (one for one in shown(shop_site, query).rows if one.name.endswith(path))
    assert row["Δ p95"] == "–"
    for title in titles:
        assert any(title in one for one in row.titles), row.titles


def test_the_p95_of_a_websocket_says_that_it_is_the_time_that_connections_were_open(
    shop_site: Site,
) -> None:
    for path in ("/busy", "/talk"):
        past_calls(shop_site, path, before=0, after=9)
    talk, busy = (
        endpoints(shop_site.get().text)[name] for name in ("WEBSOCKET /talk", "GET /busy")
    )
    assert "Time that connections were open" in talk.titles
    assert "Time that connections were open" not in busy.titles


def test_no_period_is_read_for_columns_that_are_not_shown(
    shop_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(shop_site.lens.reader, "before", fail)
    assert shown(shop_site, "?cols=calls.p95").columns == ("Endpoint", "Calls", "p95")
    assert "Δ calls" not in shown(shop_site, "?status=never_called").columns


def test_5xx_and_4xx_have_a_column_and_an_order_each(shop_site: Site) -> None:
    for path, status, calls in (
        *(("/busy", 200, 90), ("/busy", 500, 10), ("/busy", 404, 1)),
        *(("/quiet", 503, 10), ("/quiet", 404, 40), ("/new", 404, 90)),
    ):
        shop_site.count("GET", path, calls, status=status)
    row = shown(shop_site, "?sort=path")["GET /busy"]
    assert (row["5xx"], row["4xx"]) == ("10 9.9%", "1 1.0%")
    by_5xx = ["GET /quiet", "GET /busy", "GET /new"]
    assert shown(shop_site, "?sort=-errors_5xx").names[:3] == by_5xx
    assert shown(shop_site, "?sort=-errors_4xx").names[:3] == [by_5xx[2], *by_5xx[:2]]
    text = shop_site.get("/lens/endpoints?sort=-errors_5xx").text
    assert figures(text)["5xx"] == "8.3% 20"
    assert figures(text)["4xx"] == "54.4% 131"


def test_an_old_address_sorts_by_5xx_and_then_by_4xx(shop_site: Site) -> None:
    shop_site.count("GET", "/busy", 5, status=500)
    shop_site.count("GET", "/quiet", 5, status=500)
    shop_site.count("GET", "/quiet", 5, status=404)
    text = shop_site.get("/lens/endpoints?sort=-errors").text
    assert endpoints(text).names[:2] == ["GET /quiet", "GET /busy"]
    assert endpoints(text).orders == {"5xx": "descending"}
    assert link(text, "5xx").href == "/lens/endpoints?days=7&sort=errors_5xx"


def test_columns_are_chosen_without_a_script_and_are_in_the_address(shop_site: Site) -> None:
    text = shop_site.get("/lens/endpoints?q=b&sort=-last").text
    view = field(text, "columns").value
    answer = shop_site.client.get(
        "/lens/endpoints", params={"columns": view, "cols": ["last", "calls", "no such", "path"]}
    )
    assert answer.status_code == 303
    assert answer.headers["location"] == "/lens/endpoints?q=b&days=7&sort=-last&cols=calls.last"
    chosen = shop_site.get(answer.headers["location"]).text
    assert endpoints(chosen).columns == ("Endpoint", "Calls", "Last call")
    boxes = fields(chosen, "cols")
    assert boxes[0].value == "calls.last"  # Of the form with the filters, which keeps them.
    assert [box.value for box in boxes[1:] if box.checked] == ["calls", "last"]
    kept = [one for one in addresses(chosen) if one.startswith("/lens/endpoints?")]
    assert kept
    assert all("cols=calls.last" in one or "columns=" in one for one in kept)


def test_a_choice_is_remembered_and_a_link_shows_its_own_columns(shop_site: Site) -> None:
    shop_site.client.get("/lens/endpoints?columns=/&cols=calls&cols=p95")
    again = shop_site.get("/lens/endpoints?q=b")
    assert again.status_code == 303
    assert again.headers["location"] == "/lens/endpoints?q=b&days=7&cols=calls.p95"
    assert shown(shop_site, "?cols=last").columns == ("Endpoint", "Last call")
    # The link of somebody else is not remembered.
    assert shop_site.get().headers["location"] == "/lens/endpoints?days=7&cols=calls.p95"
    text = shop_site.get("/lens/endpoints?cols=calls.p95").text
    back = shop_site.get(link(text, "Default").href)
    assert (back.status_code, back.headers["location"]) == (303, "/lens/endpoints?days=7")
    assert "5xx" in shown(shop_site).columns


def test_a_fragment_remembers_and_names_the_columns_at_once(shop_site: Site) -> None:
    answer = shop_site.fragment("/lens/endpoints?columns=%2F%3Fq%3Db&cols=calls")
    assert endpoints(answer.text).columns == ("Endpoint", "Calls")
    assert answer.headers["hx-push-url"] == "/lens/endpoints?q=b&days=7&cols=calls"
    assert answer.headers["set-cookie"].startswith("lens_cols=calls;")
    # Links name the columns, so a fragment without them means the default.
    assert "5xx" in endpoints(shop_site.fragment().text).columns


@pytest.mark.parametrize("cookie", ["", "no-such", "path", "%00", "calls.." + "x" * 5_000])
def test_a_cookie_that_names_no_choice_of_columns_leads_nowhere(
    shop_site: Site, cookie: str
) -> None:
    shop_site.client.cookies.set("lens_cols", cookie)
    answer = shop_site.get("/lens/endpoints")
    expected = "/lens/endpoints?days=7&cols=calls" if cookie.startswith("calls") else None
    assert answer.headers.get("location") == expected


def test_each_tab_has_its_own_columns(shop_site: Site) -> None:
    past_calls(shop_site, "/quiet", before=3, after=0)
    assert shown(shop_site).columns[:3] == ("Endpoint", "Status", "Calls")
    columns = shown(shop_site, "?status=never_called").columns
    assert columns == ("Endpoint", "Verdict", "All calls", "Last call", "Handler")
    cold = shown(shop_site, "?status=cold")
    assert cold["GET /quiet"]["All calls"] == "3"
    assert "Status" not in cold.columns
    # What rows are sorted by is always shown.
    assert "p99" in shown(shop_site, "?status=cold&sort=-p99").columns
    # The default of a tab is left out of the address.
    default = "verdict.total.last.handler"
    answer = shop_site.fragment(f"/lens/endpoints?status=never_called&cols={default}")
    assert answer.headers["hx-push-url"] == "/lens/endpoints?status=never_called&days=7"


def test_a_never_called_row_says_since_when_it_is_in_the_routes(shop_site: Site) -> None:
    row = shown(shop_site, "?status=never_called")["GET /busy"]
    assert row["Last call"].startswith("never, since ")
    assert row["Verdict"] == "Not enough observation"
    assert any(title.startswith("In the routes since 20") for title in row.titles)


def test_deprecated_endpoints_are_a_filter_with_their_number(shop_site: Site) -> None:
    shop_site.count("GET", "/quiet")
    text = shop_site.get("/lens/endpoints").text
    assert "Deprecated 2" in page_text(text)
    assert not field(text, "deprecated").checked
    chosen = shop_site.get("/lens/endpoints?deprecated=1&sort=path").text
    assert endpoints(chosen).names == ["GET /new", "GET /quiet"]
    assert field(chosen, "deprecated").checked
    assert link(chosen, "Never called 1").href.endswith(
        "status=never_called&days=7&sort=path&deprecated=1"
    )
    assert link(chosen, "Clear filters").href == "/lens/endpoints?days=7&sort=path"
    # The number respects the other filters, and a choice can always be taken back.
    assert "Deprecated 1" in page_text(shop_site.get("/lens/endpoints?status=active").text)
    none = shop_site.get("/lens/endpoints?q=busy&deprecated=1").text
    assert field(none, "deprecated").checked
    assert not fields(shop_site.get("/lens/endpoints?q=busy").text, "deprecated")


def test_the_search_finds_the_file_and_the_line_of_a_handler(shop_site: Site) -> None:
    handler = shown(shop_site)["GET /quiet"]["Handler"]
    assert handler.startswith("test_columns.py:")
    assert shown(shop_site, f"?q={handler}").names == ["GET /quiet"]


def test_the_files_have_more_than_the_report(shop_site: Site) -> None:
    past_calls(shop_site, "/busy", before=100, after=250, ms=30)
    past_calls(shop_site, "/quiet", before=9, after=1)
    rows = {row["path"]: row for row in shop_site.get("/lens/endpoints.json").json()["endpoints"]}
    busy, quiet, new = rows["/busy"], rows["/quiet"], rows["/new"]
    assert busy["total_calls_before"] == pytest.approx(100, abs=2)
    assert busy["calls_change_pct"] == pytest.approx(150, abs=3)
    assert busy["p95_change_pct"] == pytest.approx(200, rel=0.05)
    assert busy["p95_before_ms"] == pytest.approx(10, rel=0.02)
    assert busy["all_time_calls"] == 350
    assert quiet["total_calls_before"] == 9
    assert (quiet["calls_change_pct"], quiet["p95_change_pct"]) == (None, None)
    assert (new["total_calls_before"], new["last_called"], new["deprecated"]) == (None, None, True)
    assert busy["last_called"].endswith("Z")
    assert busy["first_seen"] < busy["first_called"] < busy["last_called"]
    assert "/test_columns.py:" in busy["source"]
    everything = shop_site.get("/lens/endpoints.json?days=all").json()["endpoints"]
    assert {row["total_calls_before"] for row in everything} == {None}


def test_the_file_for_spreadsheets_has_the_same_columns(site: Site) -> None:
    site.count("POST", "/users", 3, status=404)
    site.count("POST", "/users", status=500)
    rows = list(csv.DictReader(io.StringIO(site.get("/lens/endpoints.csv").text, newline="")))
    assert rows[0]["tags"] == "users"
    assert (rows[0]["error_4xx_rate_pct"], rows[0]["error_5xx_rate_pct"]) == ("75.0", "25.0")
    assert rows[0]["deprecated"] == "True"
    assert rows[-1]["last_called"] == ""
    head = list(rows[0])
    assert head[0] == "path"
    assert head.index("safe_from") < head.index("source")


def test_every_link_of_a_hostile_choice_is_harmless(shop_site: Site) -> None:
    text = shop_site.get("/lens/endpoints?cols=%3Cscript%3E.calls,p95&columns").text
    assert endpoints(text).columns == ("Endpoint", "Calls", "p95")
    assert not [one for one in links(text) if "script" in one.href]
