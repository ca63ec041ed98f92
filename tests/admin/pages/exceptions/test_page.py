"""The list of exceptions, the page of one kind, and the number of new ones in the bar."""

import csv
import io
from typing import Any

import pytest
import sqlalchemy as sa

from fastapi_lens.reporting.cache import TTLCache
from fastapi_lens.reporting.model import Window
from fastapi_lens.storage.schema.identities import endpoint_id, release_id
from fastapi_lens.storage.schema.models import Tier
from fastapi_lens.storage.schema.tables import (
    ENDPOINT,
    EXCEPTION_COUNT,
    EXCEPTIONS_COUNTED_SINCE,
    META,
    RELEASE,
)
from tests.admin.conftest import Site
from tests.admin.pages.exceptions.conftest import DAY, Raising
from tests.support.pages import Table, figures, link, links, page_text, part, table

LISTED = "Exceptions by type"
HOSTILE = '"><script>alert(1)</script>'


def listed(text: str) -> Table:
    return table(text, LISTED)


def names(text: str) -> list[str]:
    return [name.split()[0] for name in listed(text).names]


def counted_always(raising: Raising) -> None:
    """Let the exceptions of the past be counted by period as well."""
    with raising.site.lens.database.write() as connection:
        since = sa.update(META).where(META.c.name == EXCEPTIONS_COUNTED_SINCE)
        connection.execute(since.values(value="1"))


def new_ones(text: str) -> str:
    """The entry of the navigation."""
    return page_text(part(text, "lens-new-exceptions") or "")


def test_the_navigation_leads_to_them(site: Site) -> None:
    text = site.get("/lens/exceptions").text
    assert link(text, "Exceptions").href == "/lens/exceptions"
    main = [one.name for one in links(text)]
    assert main.index("Cleanup") < main.index("Exceptions") < main.index("Requests")
    assert "No exceptions recorded in the last 7 days" in page_text(text)


@pytest.mark.parametrize(
    ("days", "times", "new"),
    [
        ("1h", "1", ""),
        ("1", "2", ""),
        ("7", "3", ""),
        ("30", "5", "new"),
        ("all", "5", "new"),
    ],
)
def test_each_period_has_its_own_number(raising: Raising, days: str, times: str, new: str) -> None:
    counted_always(raising)
    raising.raise_at(60, 5 * 3_600, 3 * DAY, 20 * DAY, 20 * DAY + 60)
    (row,) = listed(raising.page(f"?days={days}")).rows
    assert row["Times"] == times
    assert ("new" in row["Exception"]) is (new == "new")


def test_a_period_of_the_past_has_only_what_happened_in_it(raising: Raising) -> None:
    counted_always(raising)
    raising.raise_at(60, 3 * DAY, 20 * DAY)
    raising.raise_at(60, 20 * DAY, type="OtherError")
    period = Window.between(int(raising.now) - 4 * DAY, int(raising.now) - 2 * DAY)
    found = raising.site.lens.reader.exceptions(window=period, now=raising.now)
    assert [(one.type, one.in_period, one.is_new) for one in found] == [("ValueError", 1, False)]
    long_ago = Window.between(int(raising.now) - 90 * DAY, int(raising.now) - 80 * DAY)
    assert raising.site.lens.reader.exceptions(window=long_ago, now=raising.now) == []


def test_the_list_can_be_sorted_searched_and_filtered(raising: Raising) -> None:
    counted_always(raising)
    raising.raise_at(60, 61, 62, type="a.b.Zebra", path="/users/{user_id}")
    raising.raise_at(600, 3 * DAY, type="Apple", message="no apple\nat all")
    raising.raise_at(30, type="Mango")

    assert names(raising.page()) == ["Mango", "Zebra", "Apple"]
    assert names(raising.page("?sort=exception")) == ["Apple", "Mango", "Zebra"]
    assert names(raising.page("?sort=-count")) == ["Zebra", "Apple", "Mango"]
    assert names(raising.page("?sort=first"))[0] == "Apple"
    assert names(raising.page("?sort=endpoint"))[-1] == "Zebra"
    assert listed(raising.page("?sort=-count")).rows[1]["Message"] == "no apple"
    assert link(raising.page(), "Times").href == "/lens/exceptions?days=7&sort=-count"
    assert link(raising.page("?sort=-count"), "Times").href.endswith("&sort=count")
    assert names(raising.page("?q=at+all")) == ["Apple"]
    assert "No exception in the last 7 days matches" in raising.page("?q=nothing-like-it")
    key = next(
        one.key
        for one in raising.site.lens.reader.endpoints(window=Window(), now=raising.now)
        if one.path == "/users/{user_id}"
    )
    text = raising.page(f"?endpoint={key}")
    assert names(text) == ["Zebra"]
    assert link(text, "Logged requests").href == f"/lens/requests?endpoint={key}&days=7"


def test_a_long_list_has_pages(raising: Raising) -> None:
    for number in range(51):
        raising.raise_at(60 + number, place=f"app.py:{number} in f")
    text = raising.page()
    assert len(listed(text).rows) == 50
    assert "1–50 of 51 exception types, 51 new" in page_text(text)
    assert len(listed(raising.page("?page=2")).rows) == 1
    assert len(listed(raising.page("?page=9")).rows) == 1


def test_the_list_says_what_it_does_not_have(
    raising: Raising, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "are kept for" not in raising.page()
    raising.raise_at(60)
    raising.raise_at(2 * DAY, counted=False, type="OldError")
    text = page_text(raising.page("?days=90"))
    assert "Not counted by time before" in text
    assert "Exceptions are kept for 35 days after their last time." in text
    counted_always(raising)
    assert "Not counted by time before" not in raising.page()
    monkeypatch.setattr("fastapi_lens.reporting.log.exception_reader.MOST_EXCEPTIONS", 1)
    monkeypatch.setattr("fastapi_lens.admin.pages.exceptions.page.MOST_EXCEPTIONS", 2)
    assert "Only the latest 2 types are listed." in page_text(raising.page())


def test_the_pages_say_that_messages_are_switched_off(make_site: Any) -> None:
    raising = Raising(make_site, log_exception_messages=False)
    kind = raising.raise_at(60, message="")
    stored = raising.raise_at(70, type="KeyError", message="of earlier")
    text = raising.page()
    assert "Messages are switched off: none is stored any more." in page_text(text)
    assert link(text, "switched off").href == "/lens/settings#recording"
    page = page_text(raising.site.get(f"/lens/exceptions/{kind}").text)
    assert "ValueError Messages are switched off." in page
    assert "The message is the application's" not in page
    # What is stored stays until it expires.
    assert "KeyError of earlier" in page_text(raising.site.get(f"/lens/exceptions/{stored}").text)
    assert "switched off" not in page_text(Raising(make_site, app_name="other").page())


def test_an_exception_of_an_older_worker_is_listed_with_what_is_known(raising: Raising) -> None:
    counted_always(raising)
    raising.raise_at(60, 3 * DAY, 3 * DAY, counted=False)
    assert listed(raising.page("?days=1")).rows[0]["Times"] == "1"
    found = raising.site.lens.reader.exception_log.kinds()
    assert [(one.calls, one.in_period, one.is_new) for one in found] == [(3, 3, False)]


def test_the_list_as_a_file_has_all_pages(raising: Raising) -> None:
    counted_always(raising)
    for number in range(51):
        raising.raise_at(60, 2 * DAY, place=f"app.py:{number} in f", message="=1+1\nmore")
    answer = raising.site.get("/lens/exceptions.csv?days=1&sort=exception")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(rows) == 51
    assert (rows[0]["times"], rows[0]["times_in_all"], rows[0]["is_new"]) == ("1", "2", "False")
    assert rows[0]["message"].startswith("'=1+1")
    assert rows[0]["first_seen_at"].endswith("+00:00")
    audit = raising.site.get("/lens/settings/audit").text
    assert "exported exceptions.csv" in page_text(audit)


def test_the_bar_has_the_number_of_new_ones_of_the_last_24_hours(raising: Raising) -> None:
    counted_always(raising)
    assert new_ones(raising.page()) == ""
    raising.raise_at(60)
    raising.raise_at(60, 23 * 3_600, type="OtherError")
    raising.raise_at(60, 25 * 3_600, type="OldError")
    for path in ("/lens/", "/lens/endpoints", "/lens/settings", "/lens/requests"):
        text = raising.site.get(path).text
        assert new_ones(text) == "2 new in the last 24 hours", path
        assert 'title="First seen in the last 24 hours"' in text


@pytest.mark.parametrize("path", ["/lens/", "/lens/endpoints", "/lens/exceptions"])
def test_a_live_page_is_sent_again_when_there_is_a_new_one(raising: Raising, path: str) -> None:
    tag = raising.site.fragment(path).headers["etag"]
    same = raising.site.fragment(path, **{"If-None-Match": tag})
    assert same.status_code == 304
    raising.raise_at(60)
    more = raising.site.fragment(path, **{"If-None-Match": tag})
    assert more.status_code == 200
    assert 'hx-target="#lens-new-exceptions"' in more.text


def test_exceptions_of_endpoints_that_are_not_shown_are_not_new(make_site: Any) -> None:
    raising = Raising(make_site, exclude_paths=["/users/**"])
    raising.raise_at(60, path="/users/{user_id}")
    raising.site.count("GET", "/health")
    assert new_ones(raising.page()) == "1 new in the last 24 hours"  # Of no endpoint that is known.
    with raising.site.lens.database.write() as connection:
        health = sa.select(ENDPOINT).where(ENDPOINT.c.path == "/health")
        row = dict(connection.execute(health).mappings().one())
        identity = endpoint_id("site", "GET", "/users/{user_id}")
        users = {**row, "id": identity, "path": "/users/{user_id}"}
        connection.execute(sa.insert(ENDPOINT), users)
    raising.site.lens.reader.results = TTLCache()
    assert new_ones(raising.page()) == ""


def test_a_kind_has_its_period_its_trend_and_its_releases(raising: Raising) -> None:
    counted_always(raising)
    with raising.site.lens.database.write() as connection:
        connection.execute(sa.delete(RELEASE))
        for name, age in (("1.4.1", 30 * DAY), ("1.4.2", 5 * DAY), ("", DAY)):
            at = int((raising.now - age) * 1_000_000)
            facts = {"id": release_id("site", name), "app": "site", "name": name}
            connection.execute(sa.insert(RELEASE), {**facts, "first_at": at, "last_at": at})
    key = raising.raise_at(60, 61, 20 * DAY, message=HOSTILE)
    text = raising.site.get(f"/lens/exceptions/{key}?days=1").text
    shown = figures(text)
    assert shown["Times"] == "2 in the last 24 hours; 3 in all"
    assert shown["First seen"].endswith("release 1.4.1")
    assert shown["Last seen"].endswith("release 1.4.2")
    assert HOSTILE not in text
    assert link(text, "All exceptions").href == "/lens/exceptions?days=1"
    assert link(text, "30d").href == f"/lens/exceptions/{key}?days=30"
    with raising.site.lens.database.write() as connection:
        connection.execute(sa.delete(RELEASE))
    assert "release" not in figures(raising.site.get(f"/lens/exceptions/{key}").text)["First seen"]


def test_a_trend_has_as_many_exceptions_as_the_period(raising: Raising) -> None:
    counted_always(raising)
    key = raising.raise_at(60, 3_600, 2 * DAY, 6 * DAY, 30 * DAY)
    reader = raising.site.lens.reader
    for days in (1, 7, 30, 90, None):
        window = Window.of_days(days)
        (one,) = reader.exceptions(window=window, now=raising.now)
        trend = reader.exception_trends([one.id], window=window, now=raising.now)[one.id]
        assert sum(trend) == one.in_period
    assert reader.exception_trends([], window=Window(), now=raising.now) == {}
    with raising.site.lens.database.write() as connection:
        ahead = {"tier": Tier.HOUR.value, "bucket": int(raising.now // 3_600) + 6, "calls": 1}
        connection.execute(sa.insert(EXCEPTION_COUNT), {**ahead, "failure_id": int(key, 16)})
    (ahead_of_ours,) = reader.exceptions(window=Window.of_days(7), now=raising.now)
    trends = reader.exception_trends([ahead_of_ours.id], window=Window.of_days(7), now=raising.now)
    assert (ahead_of_ours.in_period, sum(trends[ahead_of_ours.id])) == (5, 4)
