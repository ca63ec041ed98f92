"""The audit log is shown page by page, to those who may change something, and is bounded."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_lens import KeyConfig
from fastapi_lens.admin.display.audit_lines import Difference, changed_by, differences
from fastapi_lens.admin.urls.audit import AuditQuery
from fastapi_lens.storage.records.audit import AuditEntry, Noted, add_audit_entry
from tests.admin.conftest import Site
from tests.admin.pages.settings.test_forms import post, thresholds
from tests.support.pages import link, links, page_text, table

AUDIT = "/lens/settings/audit"


def note(site: Site, count: int, action: str = "save", **more: str) -> None:
    for number in range(count):
        entry = AuditEntry(
            at_us=round(site.lens.clock() * 1e6) + number,
            actor="alice",
            client="10.0.0.1",
            action=action,
            **{"target": f"{action}-{number}", **more},
        )
        add_audit_entry(site.lens.database, "site", entry)


def test_who_what_from_where_and_what_it_was_before(site: Site) -> None:
    post(site, "thresholds", **thresholds(slow_threshold_ms=100))
    post(site, "retention", version=0, ttl_days=30)
    site.get("/lens/endpoints.csv")
    page = site.get(AUDIT).text
    exported, retention, changed = table(page, "Entries").rows
    assert exported["Action"] == "exported endpoints.csv"
    assert retention["Action"] == "changed retention"
    assert retention["Before → after"] == "ttl_days by resolution → 30 days"
    assert (changed["Who"], changed["From"]) == ("this machine", "testclient")
    assert changed["Action"] == "changed thresholds"
    assert changed["Before → after"] == "slow_threshold_ms 500 ms → 100 ms"
    assert "Kept for 400 days, at most 1,000 entries of each kind." in page_text(page)
    settings = page_text(site.get("/lens/settings").text)
    assert "exported" not in settings
    assert "slow_threshold_ms 500 ms → 100 ms" in settings


def test_older_entries_are_a_page_away_and_groups_stay(site: Site) -> None:
    note(site, 60)
    note(site, 3, "sign_in")
    first = site.get(f"{AUDIT}?group=changes").text
    assert len(table(first, "Entries").rows) == 50
    assert "signed in" not in page_text(first)
    older = link(first, "Older").href
    assert older.startswith(f"{AUDIT}?group=changes&before=")
    second = site.get(older).text
    entries = table(second, "Entries")
    assert len(entries.rows) == 10
    assert entries.column("Action")[-1].endswith("save-0")
    assert link(second, "Newest").href == f"{AUDIT}?group=changes"
    assert "Older" not in [one.name for one in links(second)]
    access = table(site.get(f"{AUDIT}?group=access").text, "Entries")
    assert access.column("Who") == ["alice"] * 3
    assert "No entries yet" in site.get(f"{AUDIT}?group=exports").text
    assert "No older entries" in site.get(f"{AUDIT}?before={1:016x}").text


def test_what_stands_in_an_entry_is_no_markup(site: Site) -> None:
    note(site, 1, "<i>act", target="<b>x", before="<u>1", after='{"a": 1}')
    (row,) = table(site.get(AUDIT).text, "Entries").rows
    assert row["Action"] == "<i>act <b>x"
    assert "<u>1" in row["Before → after"]


def test_only_who_may_change_something_sees_it_and_nobody_changes_it(make_site: Any) -> None:
    site = make_site(report_keys={"alice": "a-key", "ci": KeyConfig("b-key", scope="read")})
    note(site, 1)
    for path in (AUDIT, "/lens/settings/danger"):
        refused = site.get(path, **{"X-Lens-Key": "b-key"})
        assert refused.status_code == 403
        assert "is read-only" in refused.text
    assert "alice" in site.get(AUDIT, **{"X-Lens-Key": "a-key"}).text
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        answer = site.client.request(method, AUDIT, headers={"X-Lens-Key": "a-key"})
        assert answer.status_code == 405


@given(group=st.sampled_from(["", "changes", "access", "exports", "later"]), before=st.text())
def test_an_address_gives_back_its_query(group: str, before: str) -> None:
    query = AuditQuery(group=group, before=before)
    assert AuditQuery.parse(query.url("/x")) == query
    assert AuditQuery.parse(f"?group={group}&before={before}&other=1").group in ("", group)


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ('{"a": 1, "b": null}', '{"a": 1, "b": true}', [Difference("b", "not set", "on")]),
        ("/a", "", [Difference("", "/a", "")]),
        ("", "", []),
        ("[1]", '{"a": 1}', [Difference("", "[1]", '{"a": 1}')]),
        ("[" * 100_000, "{", [Difference("", "[" * 100_000, "{")]),
    ],
)
def test_differences_are_told_by_setting_or_as_a_whole(
    before: str, after: str, found: list[Difference]
) -> None:
    assert differences(before, after) == found


def test_who_was_quicker_is_somebody_where_nobody_is_named() -> None:
    assert changed_by(None, now=5.0) == "Somebody changed this meanwhile"
    entry = AuditEntry(at_us=1_000_000, actor="", client="", action="save")
    assert changed_by(Noted(1, entry), now=5.0) == "Somebody changed this meanwhile, 4 s ago"
