import re
import time
from collections.abc import Callable

import pytest

from fastapi_lens import KeyConfig
from fastapi_lens.admin.display.formats import day, timestamp
from fastapi_lens.admin.display.times import IN_UTC
from fastapi_lens.admin.pages.endpoint.page import status_reason
from fastapi_lens.settings.status import Status, Thresholds
from tests.admin.conftest import Site, an_app
from tests.admin.make import DAY, NOW, endpoint
from tests.support.pages import addresses, figures, link, links, page_text, table, title

HOUR = 3_600


def key_of(site: Site, path: str) -> str:
    (row,) = table(site.get("/lens/endpoints?q=" + path).text, "Endpoints").rows
    return row.links[0].href.removeprefix("/lens/endpoints/").partition("?")[0]


def test_the_page_says_what_is_known_of_an_endpoint(site: Site) -> None:
    site.count("GET", "/users/{user_id}", 9)
    site.count("GET", "/users/{user_id}", 1, status=404, duration_ns=700_000_000)
    answer = site.get(f"/lens/endpoints/{key_of(site, 'user_id')}")
    text = page_text(answer.text)
    assert title(answer.text) == "GET /users/{user_id} · site"
    assert "Active: last called" in text
    assert "One user." in text
    assert "read_user" in text
    assert re.search(r"conftest\.py:\d+", text)
    shown = figures(answer.text)
    assert shown["Server errors"].startswith("0% 0 × 5xx")
    assert shown["Client errors"].startswith("10.0% 1 × 4xx")
    assert link(answer.text, "users").href == "/lens/endpoints?tag=users&days=7"
    assert re.match(r"[67]\d\d ms slow", shown["p95"])
    assert shown["All-time calls"] == "10"
    codes = table(answer.text, "Status, Calls")
    assert [(row.name, row["Calls"], row["Share"]) for row in codes.rows] == [
        ("200", "9", "90.0%"),
        ("404", "1", "10.0%"),
    ]


def test_an_endpoint_that_was_never_called_has_an_empty_page(site: Site) -> None:
    page = site.get(f"/lens/endpoints/{key_of(site, 'users&method=POST')}").text
    text, facts = page_text(page), figures(page)
    assert "deprecated" in text
    assert "Never called: no calls since first seen" in text
    assert (facts["First call"], facts["Last call"]) == ("never", "never")
    assert facts["All-time calls"] == "0"
    assert "No calls in the last 7 days Never since recording began on" in text
    assert "As a table" not in text
    everything = site.get(f"/lens/endpoints/{key_of(site, 'users&method=POST')}?days=all")
    assert "no calls yet" in page_text(everything.text)
    assert facts["p95"].startswith("–")


@pytest.mark.parametrize("key", ["00", "zz", "0" * 16, "-000000000000001", "x" * 300])
def test_an_unknown_endpoint_is_not_found(site: Site, key: str) -> None:
    page = site.get(f"/lens/endpoints/{key}")
    assert page.status_code == 404
    assert link(page.text, "All endpoints").href == "/lens/endpoints"
    toast = site.fragment(f"/lens/endpoints/{key}")
    assert toast.status_code == 404
    assert toast.text.startswith("<hx-partial")


def test_its_window_is_in_its_address(site: Site) -> None:
    key = key_of(site, "health")
    base = f"/lens/endpoints/{key}"
    assert link(site.get(base).text, "1h").href == f"{base}?days=1h"
    answer = site.fragment(f"{base}?days=24h")
    assert answer.headers["hx-push-url"] == f"{base}?days=1"
    assert site.fragment(base, source="div#lens-live").headers["hx-push-url"] == "false"
    assert link(answer.text, "24h").current


def test_it_is_not_sent_again_while_nothing_changes(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = site.lens.clock()
    monkeypatch.setattr(site.lens, "clock", lambda: now)
    address = f"/lens/endpoints/{key_of(site, 'health')}"
    tag = site.fragment(address).headers["etag"]
    assert site.fragment(address, **{"If-None-Match": tag}).status_code == 304
    site.count("GET", "/health")
    assert site.fragment(address, **{"If-None-Match": tag}).status_code == 200


@pytest.mark.parametrize("page", ["/", "/exceptions", "/endpoints/{key}"])
def test_the_entity_tag_depends_on_who_looks(
    make_site: Callable[..., Site], monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    site = make_site(
        report_keys={"root": "key-a", "too": "key-b", "ci": KeyConfig("key-c", scope="read")}
    )
    now = site.lens.clock()
    monkeypatch.setattr(site.lens, "clock", lambda: now)
    site.client.headers["X-Lens-Key"] = "key-a"
    address = f"/lens{page.format(key=key_of(site, 'health'))}"

    def tag(**headers: str) -> str:
        return str(site.fragment(address, **headers).headers["etag"])

    keys = [{"X-Lens-Key": f"key-{letter}"} for letter in "abc"]
    tags = {tag(**key) for key in [*keys, {**keys[0], "Cookie": "lens_theme=dark"}]}
    assert len(tags) == 4
    for other in tags - {tag(**keys[2])}:
        changed = site.fragment(address, **keys[2], **{"If-None-Match": other})
        assert changed.status_code == 200
    assert site.fragment(address, **keys[2], **{"If-None-Match": tag(**keys[2])}).status_code == 304


def test_a_removed_endpoint_is_said_to_be_removed() -> None:
    found = endpoint(status=Status.DEAD, last_called_at=NOW - 40 * DAY)
    said = status_reason(found, thresholds=Thresholds(7, 30), now=NOW, removed_at=NOW - 32 * DAY)
    assert re.fullmatch(r"removed from the routes on \d+ \w+ \d{4}", said)


@pytest.mark.parametrize(
    ("status", "days_ago", "sentence"),
    [
        (Status.ACTIVE, 2, "last called 2 d ago; cold after 7 days without a call"),
        (Status.COLD, 9.5, "no calls for 9 days; cold after 7 days, dead after 30 days"),
        (Status.DEAD, 33, "no calls for 33 days; dead after 30 days"),
        (Status.NEVER_CALLED, 0, "no calls since first seen 90 days ago"),
    ],
)
def test_a_status_is_given_with_its_reason(status: Status, days_ago: float, sentence: str) -> None:
    found = endpoint(status=status, last_called_at=NOW - days_ago * DAY)
    assert status_reason(found, thresholds=Thresholds(7, 30), now=NOW) == sentence


AFTERNOON = int(time.time()) // DAY * DAY + 31 * DAY + 14 * HOUR
"""14:00 UTC, a month after the endpoints were first seen."""


def stand(days: float = 0.0) -> str:
    """A moment in an address, so many days from that afternoon."""
    return timestamp(AFTERNOON + days * DAY)[:16] + "Z"


@pytest.fixture
def past(site: Site, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of an endpoint with calls of two weeks; it is half past two."""
    site.count_at(AFTERNOON - 20 * DAY, "GET", "/health")
    for days in range(14, 0, -1):
        calls, duration_ns = 2 if days > 7 else 3, days * 10_000_000
        site.count_at(AFTERNOON - days * DAY, "GET", "/health", calls, duration_ns=duration_ns)
    site.count_at(AFTERNOON + 100, "GET", "/health", 5, status=503)
    monkeypatch.setattr(site.lens, "clock", lambda: AFTERNOON + 1_800)
    return f"/lens/endpoints/{key_of(site, 'health')}"


def clock(epoch: float) -> str:
    """A time without its zone."""
    return IN_UTC.minute(epoch).removesuffix(" UTC")


def steps(page: str) -> list[str]:
    """Where the steps of the table of numbers lead to."""
    return [one.href for row in table(page, "As a table, per").rows for one in row.links]


def test_the_page_says_which_window_it_shows(site: Site, past: str) -> None:
    assert f"{IN_UTC.minute(AFTERNOON - 7 * DAY)} – now" in page_text(site.get(past).text)
    everything = page_text(site.get(f"{past}?days=all").text)
    assert f"{IN_UTC.minute(AFTERNOON - 20 * DAY)} – now" in everything


def test_a_step_narrows_the_window_and_the_page_leads_back(site: Site, past: str) -> None:
    today = f"?days=30&from={stand(-14 / 24)}&to={stand(10 / 24)}"
    page = site.get(f"{past}?days=30").text
    # Once for the pointer, over the charts, and once in the table.
    assert addresses(page).count(today) == 2
    assert today in steps(page)
    narrowed = site.get(past + today).text
    hour = f"?days=30&from={stand()}&to={stand(1 / 24)}"
    assert addresses(narrowed).count(hour) == 2
    assert hour in steps(narrowed)
    assert f"{IN_UTC.minute(AFTERNOON - 14 * HOUR)} – now" in page_text(narrowed)
    minutes = site.get(past + hour).text
    assert figures(minutes)["Calls"].split()[0] == "5"
    assert figures(minutes)["Server errors"].startswith("100%")
    assert [one for one in addresses(minutes) if one.startswith("?")] == []
    assert link(minutes, "Back to the last 30 days").href == f"{past}?days=30"
    before = link(minutes, "Earlier").href
    assert before.startswith(f"{past}?days=30&from={stand(-1 / 24)}")
    assert "Later" not in [one.name for one in links(minutes)]
    earlier = site.get(f"{past}?days=30&from={stand(-1 / 24)}&to={stand()}").text
    assert f"{clock(AFTERNOON - HOUR)} – 14:00 UTC" in page_text(earlier)
    assert link(earlier, "Later").href.startswith(f"{past}?days=30&from={stand()}")
    assert figures(earlier)["Calls"].split()[0] == "0"


def test_a_part_of_time_of_which_less_is_kept_says_so(site: Site, past: str) -> None:
    question = f"from={stand(-14 - 1 / 48)}&to={stand(-14 + 1 / 144)}"
    page = site.get(f"{past}?{question}").text
    text = page_text(page)
    began = AFTERNOON - 14 * DAY - HOUR
    assert f"{clock(began)} – 15:00 UTC finest data available" in text
    assert figures(page)["Calls"].split()[0] == "2"
    assert f"Whole days (UTC): {day(began)}." in text


def test_a_time_that_has_not_come_or_makes_no_sense_falls_back(site: Site, past: str) -> None:
    future = site.fragment(f"{past}?from={stand(1)}&to={stand(2)}")
    assert (future.status_code, future.headers["location"]) == (303, f"{past}?days=7")
    for garbage in ("from=x&to=y", "from=1"):
        answer = site.fragment(f"{past}?{garbage}")
        assert answer.headers["hx-push-url"] == f"{past}?days=7"
        assert f"{IN_UTC.minute(AFTERNOON - 7 * DAY)} – now" in page_text(answer.text)


def test_the_first_of_all_times_has_nothing_earlier(site: Site, past: str) -> None:
    names = [one.name for one in links(site.get(f"{past}?from=0&to=1").text)]
    assert ("Earlier" in names, "Later" in names) == (False, True)


def test_figures_stand_beside_those_of_the_period_before(site: Site, past: str) -> None:
    page = site.get(past).text
    assert figures(page)["Calls"] == "26 +85% was 14"
    assert figures(page)["Server errors"] == "19.2% 5 × 5xx +19.2 points was 0%"
    assert figures(page)["Client errors"] == "0% 0 × 4xx ±0 points was 0%"
    assert (
        f"before: {clock(AFTERNOON - 14 * DAY)} – {IN_UTC.minute(AFTERNOON - 7 * DAY)}."
        in page_text(page)
    )
    assert "All time: no earlier period" in page_text(site.get(f"{past}?days=all").text)
    assert "No comparison: first seen" in page_text(site.get(f"{past}?days=90").text)


def test_where_retention_has_taken_the_period_before_the_page_says_so(
    make_site: Callable[..., Site],
) -> None:
    site = make_site(ttl_days=8)
    site.count("GET", "/health")
    text = page_text(site.get(f"/lens/endpoints/{key_of(site, 'health')}").text)
    assert "No comparison: the data of the period before has expired." in text


def test_a_page_of_charts_is_light(site: Site, past: str) -> None:
    for days in ("1h", "1", "7", "30", "90", "all"):
        assert len(site.get(f"{past}?days={days}").content) < 40_000


def test_a_duration_of_minutes_is_told_in_seconds(site: Site) -> None:
    site.count("GET", "/health", duration_ns=600 * 10**9)
    row = table(site.get("/lens/endpoints?q=health").text, "Endpoints")["GET /health"]
    assert re.fullmatch(r"\d\d\d s( slow)?", row["p95"])


def test_the_charts_of_a_websocket_say_that_they_show_the_duration_of_connections(
    make_site: Callable[..., Site],
) -> None:
    app = an_app()

    @app.websocket("/live")
    async def live() -> None:
        """Open for a while."""

    site = make_site(app)
    site.count("WEBSOCKET", "/live", 3, status=101, duration_ns=48_000_000_000)
    page = site.get(f"/lens/endpoints/{key_of(site, 'live')}").text
    text = page_text(page)
    assert "Duration of connections" in text
    assert "Connections by duration" in text
    assert "Durations are the time that connections were open." in text
    assert re.search(r"As a table, per \w+( \w+)?, with the duration of connections", text)
    assert "p50, p95 and p99 of the time that connections were open per" in page
    assert "Connections by the time that they were open, per" in page
    assert "Latency" not in text.partition("Words on this page")[0]


def test_the_charts_of_other_endpoints_speak_of_calls(site: Site) -> None:
    site.count("GET", "/health", 3)
    page = site.get(f"/lens/endpoints/{key_of(site, 'health')}").text
    assert "Latency" in page_text(page)
    assert "Duration distribution" in page_text(page)
    assert "onnections" not in page_text(page).partition("Words on this page")[0]


def test_a_reader_of_local_times_is_told_that_days_are_utc(site: Site, past: str) -> None:
    note = "Days begin at midnight UTC."
    footer = "times are local, days are UTC"
    assert note not in (page := page_text(site.get(f"{past}?days=30").text))
    assert footer not in page
    site.client.cookies.set("lens_zone", "Europe/Berlin")
    assert note in (page := page_text(site.get(f"{past}?days=30").text))
    assert footer in page
    # Hours are local ones.
    assert note not in page_text(site.get(f"{past}?days=1").text)
