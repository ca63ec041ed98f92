import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pytest
from fastapi import FastAPI, WebSocket

from fastapi_lens.admin.pages.overview import sections
from fastapi_lens.changes.change import Change, Kind, Measured
from fastapi_lens.reporting.changes import EndpointChange
from fastapi_lens.reporting.model import Window
from fastapi_lens.reporting.reader import Reader
from tests.admin.conftest import Site
from tests.support.pages import (
    Table,
    field,
    fields,
    figures,
    form_actions,
    link,
    links,
    page_text,
    part,
    table,
)
from tests.support.past import Past

MakeSite = Callable[..., Site]
DAY = 86_400
WEEK = Window.of_days(7)
HOSTILE = '"><script>alert(1)</script>{{ 7 * 7 }}'


def overview(site: Site, query: str = "") -> str:
    answer = site.get(f"/lens/{query}")
    assert answer.status_code == 200, page_text(answer.text)
    text: str = answer.text
    return text


def shop() -> FastAPI:
    """Endpoints with two tags, two of them below the same path."""
    app = FastAPI()

    @app.get("/v2/orders/{order_id}", tags=["orders"])
    def read_order(order_id: int) -> None:
        """One order."""

    @app.post("/v2/orders", tags=["orders"])
    def create_order() -> None:
        """One more."""

    @app.get("/v1/carts", tags=["carts"], deprecated=True)
    def carts() -> None:
        """Old."""

    @app.get("/health")
    def health() -> None:
        """Alive."""

    @app.websocket("/talk")
    async def talk(socket: WebSocket) -> None:
        """A conversation."""

    return app


@pytest.fixture
def shop_site(make_site: MakeSite) -> Site:
    """A shop that has been watched for 100 days."""
    site = make_site(shop(), release="2.0")
    past = Past(site.lens.database, "site", now=site.lens.clock())
    past.observe(100, release="2.0")
    for method, path in (
        *(("GET", "/v2/orders/{order_id}"), ("POST", "/v2/orders"), ("GET", "/v1/carts")),
        *(("GET", "/health"), ("WEBSOCKET", "/talk")),
    ):
        past.be_there(method, path, since=90)
    return site


def ago(site: Site, days: float) -> float:
    return site.lens.clock() - days * DAY


def section(text: str, heading: str) -> Table:
    return table(text, heading)


def change_of(site: Site, path: str, kind: Kind, **facts: Any) -> EndpointChange:
    """A change of one of the site's endpoints."""
    (endpoint,) = (
        one
        for one in site.lens.reader.endpoints(
            window=WEEK, now=site.lens.clock(), with_histograms=False
        )
        if one.path == path
    )
    made = Change(
        kind=kind,
        measured=Measured.P95_MS,
        since=int(site.lens.clock()) // DAY * DAY,
        before=100.0,
        after=157.0,
        calls_before=9_000,
        calls_after=900,
    )
    return EndpointChange(endpoint, replace(made, **facts))


@pytest.fixture
def with_changes(monkeypatch: pytest.MonkeyPatch) -> Callable[[Site, list[EndpointChange]], None]:
    """Lets a site have changes, which its rows do not have."""

    def let(site: Site, found: list[EndpointChange]) -> None:
        monkeypatch.setattr(site.lens.reader.changes, "known", lambda *_, **__: tuple(found))

    return let


def test_before_the_first_call_it_has_figures_of_nothing(site: Site) -> None:
    text = overview(site)
    assert "Nobody has called this application since recording began." in page_text(text)
    assert figures(text)["Calls"] == "0"
    assert figures(text)["Server errors"] == "–"


def test_a_section_without_rows_says_so(site: Site) -> None:
    site.count("GET", "/health")
    text = overview(site)
    assert "No server errors in this period." in page_text(text)
    assert "No unhandled exceptions in this period." in page_text(text)
    assert "Comparing with the eight weeks before" in page_text(text)


def test_on_the_first_day_it_says_from_when_on_changes_are_found(site: Site) -> None:
    Past(site.lens.database, "site", now=site.lens.clock()).observe(1)
    site.count("GET", "/health", 5)
    text = site.get("/lens/changes").text
    assert "Needs 7 full days of data; recording began on " in page_text(text)
    assert "5 calls; 0% of calls failed with a server error." in page_text(text)
    # It is too early to delete what nobody has called yet.
    assert "looked at for deletion" not in page_text(text)


def test_an_application_that_nobody_has_watched_yet_needs_days(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.count("GET", "/health")
    known = Reader.recent_evidence

    def unwatched(self: Reader, *args: Any) -> Any:
        found = known(self, *args)
        return replace(found, observation=replace(found.observation, since_day=None))

    monkeypatch.setattr(Reader, "recent_evidence", unwatched)
    assert "Needs 7 full days of data." in page_text(site.get("/lens/changes").text)


def test_an_application_without_endpoints_has_a_page(make_site: MakeSite) -> None:
    text = overview(make_site(FastAPI(openapi_url=None)))
    assert figures(text)["Endpoints"].startswith("0")
    assert fields(text, "tag") == []


def test_the_figures_are_compared_with_the_period_before(shop_site: Site) -> None:
    shop_site.count_at(ago(shop_site, 10), "GET", "/health", 100)
    shop_site.count_at(ago(shop_site, 2), "GET", "/health", 147)
    shop_site.count_at(ago(shop_site, 2), "GET", "/health", 3, status=500)
    text = overview(shop_site)
    assert figures(text)["Calls"] == "150 +50% was 100"
    assert figures(text)["p95"] == "9.9 ms ±0% was 9.9 ms"
    assert figures(text)["Server errors"] == "2.0% 3 × 5xx +2.0 points, worse was 0%"
    assert "Traffic is up 50% on the 7 days before; 2.0% of calls failed" in page_text(text)
    assert "7 days before" in page_text(text)
    assert figures(text)["Endpoints"].startswith("5 ")
    # Too few calls before, or nothing before at all.
    assert "was" not in figures(overview(shop_site, "?days=1"))["Calls"]
    assert "was" not in figures(overview(shop_site, "?days=all"))["Calls"]


def test_the_sentence_and_the_chart_name_the_same_period_before(make_site: MakeSite) -> None:
    site = make_site(shop())
    past = Past(site.lens.database, "site", now=site.lens.clock())
    past.observe(400)
    past.be_there("GET", "/health", since=399)
    site.count_at(ago(site, 120), "GET", "/health", 100)
    site.count_at(ago(site, 2), "GET", "/health", 150)
    # Days are kept of it, so its length is one of whole days.
    text = page_text(overview(site, "?days=90"))
    named = re.search(r"Traffic is up 50% on the (\d+ days before);", text)
    assert named is not None
    assert text.count(named[1]) == 2


def test_a_new_application_is_not_compared(make_site: MakeSite) -> None:
    site = make_site(shop())
    site.count_at(ago(site, 10), "GET", "/health", 100)
    site.count_at(ago(site, 2), "GET", "/health", 150)
    assert figures(overview(site))["Calls"] == "150"


def test_the_lists_have_what_fails_most_and_what_is_slowest(shop_site: Site) -> None:
    for path, failed, ms in (("/v2/orders/{order_id}", 20, 900), ("/health", 10, 50)):
        for days, part_failed in ((10, 0), (2, failed)):
            shop_site.count_at(ago(shop_site, days), "GET", path, 180, duration_ns=ms * 1_000_000)
            if part_failed:
                shop_site.count_at(ago(shop_site, days), "GET", path, part_failed, status=503)
    shop_site.count_at(ago(shop_site, 2), "WEBSOCKET", "/talk", 5, duration_ns=9_000_000_000)
    text = overview(shop_site)
    failing = section(text, "Failing")
    assert failing.names == ["GET /v2/orders/{order_id}", "GET /health"]
    assert failing.column("5xx") == ["20", "10"]
    assert failing["GET /v2/orders/{order_id}"]["Points"] == "+10.0 worse"
    slowest = section(text, "Slowest")
    assert slowest.names == ["GET /v2/orders/{order_id}", "GET /health"]
    assert slowest.column("p95") == ["900 slow", "49.9"]
    assert slowest["GET /v2/orders/{order_id}"]["Change"] == "±0%"
    assert slowest.rows[0].titles == ("Peak 200",)
    health = failing.rows[1].links[0].href
    assert health.startswith("/lens/endpoints/")
    assert link(text, "All with 5xx").href == "/lens/endpoints?days=7&sort=-errors_5xx"
    assert link(text, "All by p95").href == "/lens/endpoints?days=7&sort=-p95"
    longer = section(overview(shop_site, "?days=30"), "Failing")
    assert longer.rows[1].links[0].href == health.replace("days=7", "days=30")
    assert longer.column("Points") == ["–", "–"]


def test_an_endpoint_alone_is_a_page_of_its_own(make_site: MakeSite) -> None:
    app = FastAPI(openapi_url=None)
    app.add_api_route("/only", lambda: None)
    site = make_site(app)
    site.count("GET", "/only", 3)
    text = overview(site)
    assert section(text, "Slowest").names == ["GET /only"]
    assert (fields(text, "tag"), fields(text, "prefix"), fields(text, "file")) == ([], [], [])


@pytest.mark.parametrize(
    ("query", "calls"),
    [
        ("?tag=orders", "30"),
        ("?prefix=/v1", "5"),
        ("?prefix=/v2/orders&tag=carts", "0"),
        ("?tag=nobody", "0"),
    ],
)
def test_it_can_be_of_a_part_of_the_application(shop_site: Site, query: str, calls: str) -> None:
    shop_site.count("GET", "/v2/orders/{order_id}", 20)
    shop_site.count("POST", "/v2/orders", 10)
    shop_site.count("GET", "/v1/carts", 5)
    text = overview(shop_site, query)
    assert figures(text)["Calls"] == calls
    assert link(text, "Clear filters").href == "/lens/?days=7"


def test_the_form_offers_tags_and_paths_and_keeps_the_window(shop_site: Site) -> None:
    text = overview(shop_site, "?tag=orders&days=30")
    assert (field(text, "tag").choice, field(text, "days").value) == ("orders", "30")
    assert field(text, "prefix").value == ""
    assert ">/v2/orders<" in text
    assert link(text, "1h").href == "/lens/?days=1h&tag=orders"
    assert link(text, "Clear filters").href == "/lens/?days=30"
    dead = next(one for one in links(text) if one.name.endswith("Never called"))
    assert dead.href == "/lens/endpoints?status=never_called&tag=orders&days=30"
    assert "Clear filters" not in overview(shop_site)


def test_a_file_of_the_list_of_unused_leads_to_its_own_overview(shop_site: Site) -> None:
    shop_site.count("GET", "/health")
    unused = section(overview(shop_site), "Unused")
    by_file = [one.href for row in unused.rows for one in row.links if "file=" in one.href]
    assert len(set(by_file)) == 1
    text = shop_site.get(by_file[0]).text
    assert field(text, "file").value.endswith("test_page.py")
    assert figures(text)["Endpoints"].startswith("5")


def test_unused_endpoints_say_since_when_and_can_be_copied(make_site: MakeSite) -> None:
    site = make_site(shop(), release="2.0")
    past = Past(site.lens.database, "site", now=site.lens.clock())
    past.observe(800)
    for method, path in (("POST", "/v2/orders"), ("GET", "/v1/carts"), ("GET", "/health")):
        past.be_there(method, path, since=799)
    past.use("GET", "/v1/carts", range(200, 420))
    past.use("GET", "/health", range(400))
    unused = section(text := overview(site), "Unused")
    assert set(unused.names) >= {"POST /v2/orders", "GET /v1/carts"}
    assert "GET /health" not in unused.names
    carts, orders = unused["GET /v1/carts"], unused["POST /v2/orders"]
    assert carts["Endpoint"].endswith("deprecated")
    assert orders["Last use"].startswith("none since ")
    assert orders["Verdict"] == "Safe to remove"
    assert orders.titles[0].startswith("Safe to remove since ")
    # The surest come first.
    assert unused.names.index("POST /v2/orders") < unused.names.index("GET /v2/orders/{order_id}")
    assert orders.links[0].href.endswith("#evidence")
    assert "/lens/cleanup.md" in form_actions(text, "get")
    keys = [one.value for one in fields(text, "e")]
    copied = site.get("/lens/cleanup.md?" + "&".join(f"e={key}" for key in keys)).text
    assert "/v2/orders" in copied
    sure = [row for row in unused.rows if row["Verdict"] in ("Safe to remove", "Probably unused")]
    assert len(keys) > len(sure) > 0
    assert f"{len(sure)} of {len(keys)} unused endpoints can be looked at" in page_text(text)
    assert link(text, f"Review {len(keys)}").href == "/lens/cleanup"
    evidence = site.lens.reader.evidence(site.lens.clock())
    file = evidence.endpoints[0].endpoint.source.rpartition(":")[0]
    query = urlencode({"tag": "orders", "prefix": "/v2", "file": file})
    review = next(
        one for one in links(overview(site, f"?{query}")) if one.name.startswith("Review")
    )
    assert review.href == f"/lens/cleanup?{query}"


def test_an_endpoint_without_a_verdict_is_no_candidate(shop_site: Site) -> None:
    (first, *_) = shop_site.lens.reader.endpoints(
        window=WEEK,
        now=shop_site.lens.clock(),
    )
    assert sections.unused([first], {}) == []


def test_if_every_endpoint_is_in_use_the_page_says_so(make_site: MakeSite) -> None:
    app = FastAPI(openapi_url=None)
    app.add_api_route("/only", lambda: None)
    site = make_site(app)
    site.count("GET", "/only", 3)
    assert "Every endpoint is in use." in page_text(overview(site))


def test_exceptions_have_their_endpoint_and_their_first_and_last_time(make_site: MakeSite) -> None:
    app = FastAPI()

    @app.get("/v2/fails/{number}", tags=["bad"])
    def fails(number: int) -> None:
        raise ZeroDivisionError(number)

    app.add_api_route("/fine", lambda: None, tags=["good"])
    site = make_site(app)
    for number in range(3):
        with pytest.raises(ZeroDivisionError):
            site.client.get(f"/v2/fails/{number}")
    assert site.lens.flusher.flush()
    text = overview(site)
    (row,) = section(text, "Exceptions").rows
    assert row["Exception"] == "ZeroDivisionErrorGET /v2/fails/{number}"
    assert (row["Times"], row["First"] != "", row["Last"] != "") == ("3", True, True)
    assert row.links[0].href.startswith("/lens/exceptions/")
    assert figures(text)["Exceptions"] == "3 1 type all new"
    assert link(text, "All 1 type").href == "/lens/exceptions?days=7"
    assert "No unhandled exceptions" in page_text(overview(site, "?tag=good"))


def test_changes_that_are_not_known_yet_are_loaded_apart_or_by_a_link(shop_site: Site) -> None:
    shop_site.count("GET", "/health")
    text = overview(shop_site, "?days=30&tag=orders")
    assert 'hx-get="/lens/changes?days=30&amp;tag=orders" hx-trigger="load"' in text
    address = link(text, "Show what changed").href
    assert address == "/lens/changes?days=30&tag=orders"
    found = shop_site.get(address)
    assert (found.status_code, found.text.startswith("<!doctype html>")) == (200, True)
    assert "Nothing beyond what is usual." in page_text(found.text)
    assert "<!doctype" not in shop_site.fragment(address).text
    # They are known from now on.
    assert "Nothing beyond what is usual." in shop_site.fragment("/lens/?days=30&tag=orders").text


def test_a_live_update_finds_changes_itself(shop_site: Site) -> None:
    shop_site.count("GET", "/health")
    assert "Comparing" in shop_site.fragment("/lens/", source="a#lens-w-7d").text
    shop_site.count("GET", "/health")
    text = shop_site.fragment("/lens/", source="div#lens-live").text
    assert "Nothing beyond what is usual." in text


def test_changes_are_said_by_kind_with_their_numbers(
    shop_site: Site, with_changes: Callable[..., None]
) -> None:
    shop_site.count("GET", "/health", 3)
    path = "/v2/orders/{order_id}"
    until = int(shop_site.lens.clock())
    recovered = change_of(
        shop_site, "/health", Kind.RECOVERED, measured=Measured.FAILED_SHARE, until=until
    )
    with_changes(
        shop_site,
        [
            change_of(shop_site, path, Kind.SLOWER, release="2.14.0"),
            *[change_of(shop_site, "/health", Kind.SLOWER)] * 4,
            change_of(shop_site, "/v1/carts", Kind.MORE_TRAFFIC, measured=Measured.CALLS_A_DAY),
            recovered,
            recovered,
        ],
    )
    said = page_text(overview(shop_site))
    assert "p95 100 → 157 ms, +57%, since" in said
    assert "(release 2.14.0)" in said
    assert "and 2 more" in said
    assert "calls a day 100 → 157" in said
    assert "1 endpoint failed more, and no longer" in said
    assert "GET /v2/orders/{order_id} is 57% slower since release 2.14.0." in said


def test_calls_of_a_deprecated_endpoint_are_those_of_the_list(
    shop_site: Site, with_changes: Callable[..., None]
) -> None:
    shop_site.count("GET", "/v1/carts", 3)
    shop_site.count("GET", "/health", 2)
    change = change_of(
        shop_site, "/v1/carts", Kind.DEPRECATED_BUT_CALLED, measured=Measured.CALLS, before=9.0
    )
    with_changes(shop_site, [change])
    changed = page_text(overview(shop_site)).split("What changed")[-1]
    assert "3 calls" in changed.split("What counts as a change", maxsplit=1)[0]


def test_the_rule_of_changes_is_on_the_page(site: Site) -> None:
    site.count("GET", "/health")
    said = page_text(overview(site))
    for rule in sections.RULES:
        assert rule in said


def test_releases_of_the_period_are_named_over_the_charts(shop_site: Site) -> None:
    past = Past(shop_site.lens.database, "site", now=shop_site.lens.clock())
    past.observe(3, release=f"3.0 {HOSTILE}")
    shop_site.count("GET", "/health")
    text = overview(shop_site)
    assert "release 3.0 &#34;&gt;&lt;script&gt;" in text
    assert "<script>alert" not in text


def test_names_of_the_application_are_text(make_site: MakeSite) -> None:
    app = FastAPI()

    class HostileError(Exception):
        """Has a name like markup."""

    HostileError.__qualname__ = HOSTILE

    def fails() -> None:
        raise HostileError

    app.add_api_route(f"/a/{HOSTILE}", fails, tags=[HOSTILE])
    app.add_api_route("/b", lambda: None, tags=["\u202ereversed"])
    site = make_site(app)
    with pytest.raises(HostileError):
        site.client.get(f"/a/{HOSTILE}")
    site.count("GET", f"/a/{HOSTILE}", 2, status=500)
    for query in ("", "?tag=%22%3E%3Cscript%3Ealert(1)%3C/script%3E&prefix=%3Cb%3E&file=%3Cb%3E"):
        text = overview(site, query)
        assert "<script>alert" not in text
        assert "49" not in (part(text, "lens-view") or "").replace("{{ 7 * 7 }}", "")
        assert "\u202e" not in page_text(text)
    assert field(text, "prefix").value == "<b>"


def test_a_fragment_that_is_shown_already_is_not_made_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.count("GET", "/health")
    now = site.lens.clock() // 60 * 60
    monkeypatch.setattr(site.lens, "clock", lambda: now + 1)
    tag = site.fragment("/lens/").headers["etag"]
    same = site.fragment("/lens/", **{"If-None-Match": tag})
    assert (same.status_code, same.text) == (304, "")
    assert "lens-complete-to" in same.headers
    for other in ("/lens/?days=1", "/lens/?tag=users"):
        assert site.fragment(other, **{"If-None-Match": tag}).status_code == 200
    site.count("GET", "/health")
    assert site.fragment("/lens/", **{"If-None-Match": tag}).status_code == 200


@pytest.mark.parametrize(
    ("source", "headers"),
    [
        ("a#lens-w-30d", {"hx-push-url": "/lens/?days=30&tag=users"}),
        ("form#lens-filters", {"hx-push-url": "/lens/?days=30&tag=users"}),
        ("div#lens-live", {"hx-push-url": "false"}),
    ],
)
def test_the_address_follows_explicit_choices(
    site: Site, source: str, headers: dict[str, str]
) -> None:
    answer = site.fragment("/lens/?tag=users&days=30&prefix=&file=", source=source)
    assert {name: value for name, value in answer.headers.items() if "-url" in name} == headers


def test_failing_endpoints_show_when_they_failed(shop_site: Site) -> None:
    shop_site.count_at(ago(shop_site, 2), "GET", "/health", 70)
    for days, failed in ((2, 3), (1, 9)):
        shop_site.count_at(ago(shop_site, days), "GET", "/health", failed, status=500)
    text = overview(shop_site)
    # The calls that did not fail are in the trend of the slowest ones alone.
    assert section(text, "Failing")["GET /health"].titles == ("Peak 9",)
    assert section(text, "Slowest")["GET /health"].titles == ("Peak 73",)
