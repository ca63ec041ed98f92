"""Previews of other retention periods and thresholds match what saving them does."""

from typing import Any

import pytest

from fastapi_lens.reporting.model import Window
from fastapi_lens.storage.retention import preview as retention_preview
from fastapi_lens.storage.retention.pruner import prune
from tests.admin.conftest import Site
from tests.admin.pages.settings.test_forms import post, recording, thresholds
from tests.admin.pages.settings.test_rules import listed
from tests.support.pages import field, page_text, part

DAY = 86_400


def long_ago(site: Site, path: str, days: float, **facts: Any) -> None:
    """A call of so many days ago."""
    site.count_at(site.lens.clock() - days * DAY, "GET", path, **facts)


def preview(site: Site, section: str, **typed: Any) -> str:
    query = "&".join(f"{name}={value}" for name, value in typed.items())
    return str(site.fragment(f"/lens/settings/{section}/preview?{query}").text)


def test_a_shorter_retention_says_what_it_deletes_and_deletes_that(site: Site) -> None:
    for days in (200, 100, 20):
        long_ago(site, "/health", days)
    site.count("GET", "/health")
    pruned(site)
    told = page_text(preview(site, "retention", ttl_days=60))
    assert told.startswith("Deletes ")
    post(site, "retention", version=0, ttl_days=60)
    deleted = pruned(site)
    assert f": {deleted} rows." in told
    days = int(told.split()[1])
    assert 140 <= days <= 147
    again = page_text(preview(site, "retention", ttl_days=60))
    assert again == "Deletes nothing. History that is already deleted does not come back."
    assert page_text(preview(site, "retention", ttl_days="")) == again
    assert len(site.lens.reader.endpoints(window=Window(), now=site.lens.clock())) == 3


def test_more_rows_than_are_counted_are_so_many_at_least(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    for days in (200, 100):
        long_ago(site, "/health", days)
    monkeypatch.setattr(retention_preview, "MOST_COUNTED", 1)
    assert ": more than " in page_text(preview(site, "retention", ttl_days=10))


def test_other_thresholds_list_who_would_change_and_those_change(site: Site) -> None:
    long_ago(site, "/users/{user_id}", 20, duration_ns=900_000_000)
    long_ago(site, "/health", 3, duration_ns=900_000_000)
    before = {one.path: one.status for one in endpoints(site)}
    typed = thresholds(cold_threshold_days=2, dead_threshold_days=10, slow_threshold_ms=1_000)
    told = preview(site, "thresholds", **typed)
    assert page_text(told) == (
        "2 endpoints would change: GET /health Active → Cold, no longer slow "
        "GET /users/{user_id} Cold → Dead"
    )
    page = post(site, "thresholds", do="preview", **typed)
    assert page.status_code == 200
    assert listed(page.text) == listed(told)
    assert field(page.text, "slow_threshold_ms").value == "1000"

    post(site, "thresholds", **typed)
    after = {one.path: one.status for one in endpoints(site)}
    changed = {path for path in before if before[path] is not after[path]}
    assert sorted(changed) == ["/health", "/users/{user_id}"]
    assert "No endpoint would change." in preview(site, "thresholds", **typed)
    faster = {**typed, "slow_threshold_ms": 100}
    assert "GET /health becomes slow" in page_text(preview(site, "thresholds", **faster))


def test_what_cannot_be_saved_is_told_instead_of_a_preview(site: Site) -> None:
    typed = thresholds(dead_threshold_days=1, slow_threshold_ms=77)
    told, sentence = preview(site, "thresholds", **typed), "Enter more than 7 days, after which"
    assert sentence in str(part(told, "lens-dead_threshold_days-error"))
    assert part(told, "lens-slow_threshold_ms-error") == ""
    assert f'data-announce="Dead after … days without a call: {sentence}' in told
    # Nothing stands below the button.
    assert page_text(told).startswith(sentence)

    page = post(site, "thresholds", do="preview", **typed)
    assert page.status_code == 422
    assert part(page.text, "lens-thresholds-preview") == ""
    assert sentence in str(part(page.text, "lens-dead_threshold_days-error"))
    assert field(page.text, "dead_threshold_days").invalid
    assert field(page.text, "slow_threshold_ms").value == "77"


def test_a_preview_of_what_can_be_saved_takes_the_reasons_from_the_fields(site: Site) -> None:
    told = preview(site, "thresholds", **thresholds(dead_threshold_days=99))
    for name in ("cold_threshold_days", "dead_threshold_days", "slow_threshold_ms"):
        assert part(told, f"lens-{name}-error") == ""


def test_a_section_without_consequences_for_what_is_kept_has_no_preview(site: Site) -> None:
    assert page_text(preview(site, "recording", **recording())) == ""
    assert 'id="lens-recording-preview"' not in site.get("/lens/settings").text


def pruned(site: Site) -> int:
    """Delete at once what is past the retention in force; how many rows that was."""
    lens = site.lens
    return prune(lens.database, lens.retention, now=lens.clock())


def endpoints(site: Site) -> list[Any]:
    return site.lens.reader.endpoints(window=Window(), now=site.lens.clock())
