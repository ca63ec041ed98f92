"""The cleanup page: verdicts with what was observed, filters, choices."""

from collections.abc import Callable
from dataclasses import replace
from enum import Enum
from urllib.parse import urlencode

import pytest
from fastapi import FastAPI

from fastapi_lens import KeyConfig
from fastapi_lens.storage.schema.models import CallerKind
from tests.admin.conftest import Site
from tests.admin.pages.callers.conftest import DAY, PROBE, named
from tests.admin.pages.cleanup.conftest import key_of
from tests.support.pages import Table, addresses, field, fields, link, links, page_text, part, table
from tests.support.past import Past

MakeSite = Callable[..., Site]
NAME = "Endpoints with the verdict"


def rows(text: str) -> Table:
    return table(text, NAME)


def test_each_endpoint_has_a_verdict_with_what_it_is_made_of(shop_site: Site) -> None:
    found = rows(shop_site.get("/lens/cleanup").text)
    assert dict(zip(found.names, found.column("Verdict"), strict=True)) == {
        "GET /dump": "Safe to remove",
        "GET /restore": "Safe to remove",
        "POST /merge": "Probably unused",
        "POST /exports": found["POST /exports"]["Verdict"],
        "GET /beta": "Not enough observation",
        "GET /orders/{order_id}": "In use",
    }
    assert found["POST /exports"]["Verdict"].startswith("Wait until ")
    merge = found["POST /merge"]
    assert merge["Last use"] in ("59 d ago", "60 d ago")
    assert merge["Excluded"] == (
        "Excluded: daily, weekly, monthly use. Open: quarterly, half-yearly, yearly use."
    )
    assert merge["Handler"].startswith("cleanup/conftest.py:")
    assert any(one.startswith("Used in 4") and "of 57 weeks" in one for one in merge.titles)
    assert any("; safe to remove from " in one for one in merge.titles)
    assert any(one.startswith("Yearly use is open until ") for one in merge.titles)
    (own,) = merge.links
    assert own.href == f"/lens/endpoints/{key_of(shop_site, '/merge')}?days=7#evidence"


def test_the_observed_time_is_shown_with_its_holes(shop_site: Site) -> None:
    text = page_text(shop_site.get("/lens/cleanup").text)
    assert "Observed for 796 of 801 days, since " in text
    assert "1 worker, release 2.0. Not observed: " in text
    assert "which no verdict counts as silence." in text
    assert "Nothing is" not in text


def test_what_watching_cannot_tell_is_said_where_something_may_go(shop_site: Site) -> None:
    assert "Watching cannot tell" in shop_site.get("/lens/cleanup").text
    assert "Watching cannot tell" in shop_site.get("/lens/cleanup?verdict=safe_to_remove").text
    assert "Watching cannot tell" not in shop_site.get("/lens/cleanup?verdict=in_use").text


def test_tabs_and_filters_say_how_many_there_are(shop_site: Site) -> None:
    text = shop_site.get("/lens/cleanup").text
    labels = [one.name for one in links(text) if "verdict=" in one.href and one.name[-1:].isdigit()]
    assert labels == [
        "Safe to remove 2",
        "Probably unused 1",
        "Wait 1",
        "Not enough observation 1",
        "In use 1",
        "Kept 0",
    ]
    assert link(text, "All 6").current
    safe = shop_site.get(link(text, "Safe to remove 2").href).text
    assert rows(safe).names == ["GET /dump", "GET /restore"]
    assert page_text(safe).count("2 endpoints of 6") == 1
    assert rows(shop_site.get("/lens/cleanup?tag=carts").text).names == ["POST /merge"]
    searched = shop_site.get("/lens/cleanup?q=get+cleanup/conftest.py").text
    assert len(rows(searched).names) == 4
    assert link(searched, "Safe to remove 2").href == (
        "/lens/cleanup?q=get+cleanup%2Fconftest.py&verdict=safe_to_remove"
    )
    assert link(searched, "Clear filters").href == "/lens/cleanup"


def parts_site(make_site: MakeSite) -> Site:
    """Endpoints below two paths, with two tags; watched for 800 days."""
    app = FastAPI()
    for path, tags in {
        "/v1/carts": ["carts"],
        "/v1/orders": ["orders"],
        "/v2/carts": ["carts"],
        "/v2/carts/{cart_id}": ["carts"],
        "/v2/orders": ["orders"],
        "/v20/orders": ["orders"],
    }.items():
        app.add_api_route(path, lambda: None, tags=list[str | Enum](tags))
    site = make_site(app)
    past = Past(site.lens.database, "site", now=site.lens.clock())
    past.observe(800)
    past.use("GET", "/v2/orders", range(400))
    return site


def file_of(site: Site) -> str:
    """The file of the handlers, as the page offers it."""
    evidence = site.lens.reader.evidence(site.lens.clock())
    return evidence.endpoints[0].endpoint.source.rpartition(":")[0]


def test_the_list_is_of_one_part_as_on_the_other_pages(make_site: MakeSite) -> None:
    site = parts_site(make_site)
    text = site.get("/lens/cleanup?prefix=/v2/").text
    assert set(rows(text).names) == {"GET /v2/carts", "GET /v2/carts/{cart_id}", "GET /v2/orders"}
    assert link(text, "All 3").current
    assert link(text, "In use 1").href == "/lens/cleanup?verdict=in_use&prefix=%2Fv2"
    assert "3 endpoints of 6" in page_text(text)
    carts = rows(site.get("/lens/cleanup?prefix=/v2&tag=carts").text)
    assert set(carts.names) == {"GET /v2/carts", "GET /v2/carts/{cart_id}"}
    file = file_of(site)
    assert len(rows(site.get(f"/lens/cleanup?file={file}").text).names) == 6
    none = site.get(f"/lens/cleanup?file=elsewhere/{file}").text
    assert "None of the 6 endpoints matches these filters." in page_text(none)


def test_the_part_is_chosen_and_left_as_on_the_overview(make_site: MakeSite) -> None:
    site = parts_site(make_site)
    query = urlencode({"tag": "carts", "prefix": "/v2", "file": file_of(site)})
    overview, text = (site.get(f"/lens/{path}?{query}").text for path in ("", "cleanup"))
    for name in ("tag", "prefix", "file"):
        # The second one is hidden, in the form of the chosen rows.
        shown, sent = fields(text, name)
        assert shown == field(overview, name)
        assert shown.choice
        assert sent.value == shown.value
    everything = site.get("/lens/cleanup").text
    assert [field(everything, name).value for name in ("tag", "prefix")] == ["", ""]
    # All handlers are in the same file.
    assert fields(everything, "file") == []
    assert link(text, "Clear filters").href == "/lens/cleanup"


def test_every_link_of_the_list_keeps_the_part(make_site: MakeSite) -> None:
    site = parts_site(make_site)
    query = urlencode({"tag": "carts", "prefix": "/v2", "file": file_of(site)})
    text = site.get(f"/lens/cleanup?{query}").text
    for name in ("Kept 0", "Endpoint", "CSV", "Markdown"):
        assert query in link(text, name).href, name
    # `check` would let pass the removal of an endpoint that a filter left out.
    assert link(text, "JSON").href == "/lens/cleanup.json"


@pytest.mark.parametrize(
    ("sort", "first"),
    [
        ("path", "GET /beta"),
        ("-path", "GET /restore"),
        ("last", "GET /beta"),
        ("-last", "GET /orders/{order_id}"),
        ("handler", "GET /dump"),
        ("-verdict", "GET /orders/{order_id}"),
    ],
)
def test_rows_are_sorted_by_a_column(shop_site: Site, sort: str, first: str) -> None:
    found = rows(shop_site.get(f"/lens/cleanup?sort={sort}").text)
    assert found.names[0] == first
    assert list(found.orders.values()) == ["descending" if sort[0] == "-" else "ascending"]


def test_a_fragment_names_its_address(shop_site: Site) -> None:
    answer = shop_site.fragment("/lens/cleanup?page=9&sort=verdict&verdict=wait")
    assert answer.headers["hx-push-url"] == "/lens/cleanup?verdict=wait"
    assert "<html" not in answer.text
    assert rows(answer.text).names == ["POST /exports"]
    assert 'data-announce="1 endpoint"' in answer.text


def test_chosen_rows_are_part_of_the_address(shop_site: Site) -> None:
    key = key_of(shop_site, "/merge")
    boxes = fields(shop_site.get(f"/lens/cleanup?e={key}").text, "e")
    assert [one.value for one in boxes if one.checked] == [key]
    assert len(boxes) == 6


def test_the_list_has_pages(make_site: MakeSite) -> None:
    app = FastAPI()
    for number in range(51):
        app.add_api_route(f"/a{number:02}", lambda: None)
    site = make_site(app)
    Past(site.lens.database, "site", now=site.lens.clock()).observe(0)
    first = site.get("/lens/cleanup").text
    assert "1–50 of 51 endpoints" in page_text(first)
    second = site.get(link(first, "Page 2").href).text
    assert rows(second).names == ["GET /a50"]
    assert link(second, "Page 2").current
    assert link(second, "CSV").href == "/lens/cleanup.csv"


def test_before_anything_can_be_unused_the_page_says_from_when_on(site: Site) -> None:
    Past(site.lens.database, "site", now=site.lens.clock()).observe(3)
    text = page_text(site.get("/lens/cleanup").text)
    assert "Nothing is probably unused before " in text
    assert ", or safe to remove before " in text
    assert "Not enough observation 3" in text


def test_without_any_observed_time_the_page_says_so(site: Site) -> None:
    with site.lens.database.write() as connection:
        from fastapi_lens.storage.schema.tables import OBSERVED  # noqa: PLC0415

        connection.execute(OBSERVED.delete())
    assert "No time has been observed yet." in page_text(site.get("/lens/cleanup").text)


def test_a_tab_or_a_filter_without_endpoints_says_what_is_missing(shop_site: Site) -> None:
    kept = page_text(shop_site.get("/lens/cleanup?verdict=kept").text)
    assert "Kept: none of 6 endpoints Kept on purpose, with a reason and an end." in kept
    none = shop_site.get("/lens/cleanup?q=nothing-like-it").text
    assert "None of the 6 endpoints matches these filters." in page_text(none)
    removed = page_text(shop_site.get("/lens/cleanup?verdict=removed").text)
    assert "Removed, still called 0" in removed


def test_without_endpoints_the_page_says_where_they_come_from(make_site: MakeSite) -> None:
    site = make_site(FastAPI(openapi_url=None), exclude_paths=["/**"])
    text = page_text(site.get("/lens/cleanup").text)
    assert "Nothing to judge yet" in text


def test_removed_endpoints_that_are_still_called_have_a_tab(past: tuple[Site, Past]) -> None:
    site, added = past
    added.remove("GET", "/v0/orders", since=30, calls={10: 4, 2: 3})
    page = site.get("/lens/cleanup").text
    text = site.get(link(page, "Removed, still called 1").href).text
    row = rows(text)["GET /v0/orders"]
    assert (row["Calls since"], row["Last use"]) == ("7", "never")
    assert row["Last call"].endswith("d ago")
    assert "Somebody still calls them." in page_text(text)
    assert fields(text, "e") == []


def test_another_title_of_the_same_application_is_named(
    shop_site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    evidence = shop_site.lens.reader.evidence(shop_site.lens.clock())
    renamed = replace(evidence, twins=("Old <b>shop</b>",))
    monkeypatch.setattr(shop_site.lens.reader, "evidence", lambda _now: renamed)
    text = shop_site.get("/lens/cleanup").text
    assert "The same endpoints are in this database as “Old <b>shop</b>”." in page_text(text)
    assert "<b>shop" not in text


def test_who_may_not_change_anything_gets_no_form_to_keep_an_endpoint(make_site: MakeSite) -> None:
    site = make_site(report_keys={"ci": KeyConfig("read-only-key", scope="read")})
    site.client.headers["X-Lens-Key"] = "read-only-key"
    text = site.get("/lens/cleanup").text
    assert "Copy as Markdown" in text
    assert "Keep on purpose" not in text
    assert site.get("/lens/cleanup/keep?e=" + key_of(site, "/health")).status_code == 403


def test_the_search_stays_in_its_field(shop_site: Site) -> None:
    text = shop_site.get('/lens/cleanup?q="><script>').text
    assert field(text, "q").value == '"><script>'
    assert "<script>" not in text
    assert part(text, "lens-no-match") is not None


def test_the_latest_callers_of_an_endpoint_are_named(shop_site: Site) -> None:
    now = shop_site.lens.clock()
    for number, name in enumerate(("web", "ios", "android")):
        shop_site.count_at(now - (70 + number) * DAY, "POST", "/merge", by=named(name))
    shop_site.count_at(now - 30 * DAY, "POST", "/exports", by=PROBE)
    shop_site.count_at(now - 9 * DAY, "GET", "/beta", status=403, by=named("stranger"))
    found = rows(shop_site.get("/lens/cleanup").text)
    assert found["POST /merge"]["Callers"] == "web, ios + 1"
    assert "3 callers: web, ios, android" in found["POST /merge"].titles
    assert found["POST /exports"]["Callers"] == "bots only"
    assert "Only health checks and bots: kube-probe" in found["POST /exports"].titles
    assert found["GET /beta"]["Callers"] == "refused only"
    assert found["GET /dump"]["Callers"] == "nobody"
    assert found["GET /orders/{order_id}"]["Callers"] == "not recorded"


def test_very_many_callers_are_counted_in_the_tooltip(shop_site: Site) -> None:
    callers = [named(f"caller {number:02}") for number in range(12)]
    shop_site.count_by(shop_site.lens.clock() - DAY, "POST", "/merge", callers)
    (title,) = [
        one
        for one in rows(shop_site.get("/lens/cleanup").text)["POST /merge"].titles
        if one.startswith("12 callers: ")
    ]
    assert title.endswith(", caller 09 and 2 more")


def test_the_page_says_since_when_callers_are_known(
    make_site: MakeSite,
) -> None:
    said = page_text(make_site(callers="key").get("/lens/cleanup").text)
    assert "No callers are known yet" in said
    text = make_site(app_name="site").get("/lens/cleanup").text
    assert "Callers are not recorded: a rare caller may hide" in page_text(text)
    assert "/lens/settings#callers" in addresses(text)
    site = make_site(callers="key", app_name="site")
    site.count_at(site.lens.clock() - 60, "GET", "/health", by=named("web"))
    text = site.get("/lens/cleanup").text
    assert "a rare caller behind a frequent one would show." in page_text(text)
    assert "/lens/callers" in addresses(text)
    site.count_at(site.lens.clock() - 50, "GET", "/health", by=named("", CallerKind.NONE))
    said = page_text(site.get("/lens/cleanup").text)
    assert "would show, except among calls without a name." in said
