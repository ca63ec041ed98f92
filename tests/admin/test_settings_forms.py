"""The forms of the settings, and the one check of everything that is posted."""

from typing import Any

import pytest

from fastapi_lens.storage.tables import AUDIT
from tests.admin.conftest import Site
from tests.admin.test_ignored import save
from tests.storage.helpers import table_rows

OWN = {"Sec-Fetch-Site": "same-origin"}


def post(site: Site, path: str, headers: dict[str, str] = OWN, **fields: Any) -> Any:
    return site.client.post(f"/lens/settings/{path}", data=fields, headers=headers)


def thresholds(**fields: Any) -> dict[str, Any]:
    typed = {"cold_threshold_days": 7, "dead_threshold_days": 30, "slow_threshold_ms": 500}
    return {"version": 0, **typed, **fields}


def test_a_change_is_in_force_at_once_and_in_the_audit_log(site: Site) -> None:
    answer = post(site, "retention", version=0, ttl_days=14)
    assert answer.status_code == 303
    assert site.lens.retention.ttl_days == 14
    page = site.get(answer.headers["location"]).text
    assert "Saved." in page
    assert "The code says nothing." in page
    (row,) = table_rows(site.lens.database, AUDIT)
    assert (row.actor, row.target, row.before, row.after) == (
        "this machine",
        "retention",
        '{"ttl_days": null}',
        '{"ttl_days": 14}',
    )
    post(site, "retention", version=1, ttl_days="")
    assert site.lens.retention.ttl_days is None


def test_what_is_wrong_is_told_beside_the_field_and_nothing_typed_is_lost(site: Site) -> None:
    answer = post(site, "thresholds", **thresholds(dead_threshold_days=3, slow_threshold_ms=77))
    assert answer.status_code == 422
    assert "must be longer than cold_threshold_days" in answer.text
    assert 'aria-describedby="lens-thresholds-error"' in answer.text
    assert 'value="77"' in answer.text
    assert site.lens.settings.slow_threshold_ms == 500


@pytest.mark.parametrize("version", ["0", "x", "9" * 30])
def test_the_second_of_two_browsers_is_told_and_its_values_stay(site: Site, version: str) -> None:
    assert post(site, "thresholds", **thresholds(slow_threshold_ms=100)).status_code == 303
    second = post(site, "thresholds", **thresholds(slow_threshold_ms=200, version=version))
    assert second.status_code == 409
    assert "Somebody changed this meanwhile" in second.text
    assert 'value="200"' in second.text
    assert site.lens.settings.slow_threshold_ms == 100
    assert 'name="version" value="1"' in second.text


@pytest.mark.parametrize("headers", [{}, {"Sec-Fetch-Site": "cross-site"}])
def test_forms_of_other_sites_change_nothing(site: Site, headers: dict[str, str]) -> None:
    assert post(site, "retention", headers, version=0, ttl_days=1).status_code == 403
    assert site.lens.retention.ttl_days is None


def test_sections_without_a_form_are_not_found(site: Site) -> None:
    assert post(site, "rules", version=0).status_code == 404


def test_what_changes_by_itself_comes_without_the_forms(site: Site) -> None:
    part = site.fragment("/lens/settings/now").text
    assert 'id="workers"' in part
    assert "<form" not in part
    assert site.get("/lens/settings/now").headers["location"] == "/lens/settings"


def test_a_stored_value_that_cannot_be_used_is_shown(site: Site) -> None:
    save(site, "retention", {"ttl_days": "<b>"})
    assert (
        "ttl_days must be a whole number, not &#39;&lt;b&gt;&#39;"
        in site.get("/lens/settings").text
    )
