"""The forms of the settings, and the one check of everything that is posted."""

from functools import partial
from typing import Any

import pytest

from benchmarks.support.rows import table_rows
from fastapi_lens import LensConfig
from fastapi_lens.config.setting import Section
from fastapi_lens.settings.fields import text_of, values_of
from fastapi_lens.storage.schema.tables import AUDIT
from tests.admin.conftest import Site
from tests.admin.test_ignored import save
from tests.support.pages import field, page_text, part, table
from tests.support.pages import fields as fields_of

CONFIG = LensConfig(db_path=":memory:")
OWN = {"Sec-Fetch-Site": "same-origin"}
FRAGMENT = {**OWN, "HX-Request": "true", "HX-Request-Type": "partial", "HX-Source": "button#x"}


def post(site: Site, path: str, headers: Any = OWN, **fields: Any) -> Any:
    return site.client.post(f"/lens/settings/{path}", data=fields, headers=headers)


def form(section: str, **fields: Any) -> dict[str, Any]:
    """A form of a section as the page has it before anything is saved, but for these fields."""
    typed = {name: text_of(value) for name, value in values_of(CONFIG, section).items()}
    return {"version": 0, **typed, **fields}


thresholds = partial(form, Section.THRESHOLDS)
recording = partial(form, Section.RECORDING)
callers = partial(form, Section.CALLERS)


def test_a_change_is_in_force_at_once_and_in_the_audit_log(site: Site) -> None:
    answer = post(site, "retention", version=0, ttl_days=14)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/lens/settings?saved=retention#retention"
    assert site.lens.retention.ttl_days == 14
    page = site.get(answer.headers["location"]).text
    assert "Saved. Applies to all workers within 3600 s." in page
    assert "Default: by resolution" in page
    (row,) = table_rows(site.lens.database, AUDIT)
    assert (row.actor, row.target, row.before, row.after) == (
        "this machine",
        "retention",
        '{"ttl_days": null}',
        '{"ttl_days": 14}',
    )
    post(site, "retention", version=1, ttl_days="")
    assert site.lens.retention.ttl_days is None


def test_what_the_request_log_keeps_can_be_changed(site: Site) -> None:
    answer = post(
        site,
        Section.RECORDING,
        **recording(
            log_query_values="on",
            log_clients="hashed",
            log_exception_messages="off",
            log_slowest="0",
        ),
    )
    assert answer.status_code == 303
    config, log = site.lens.settings.config, site.lens.recorder.log
    assert (config.log_query_values, config.log_clients, config.log_slowest) == (True, "hashed", 0)
    assert (log.query_values, log.clients, log.exception_messages) == (True, "hashed", False)
    page = site.get("/lens/settings").text
    assert field(page, "log_clients").choice == "Keyed hash"
    assert "Query values: reset to default" in page


def test_the_callers_that_are_recorded_and_noise_can_be_changed(site: Site) -> None:
    assert site.lens.settings.config.caller_source == "off"
    changed = callers(callers="key", noise="curl,, Our probe \r\n bot")
    assert post(site, Section.CALLERS, **changed).status_code == 303
    config = site.lens.settings.config
    assert (config.callers, config.noise) == ("key", ("curl", "Our probe", "bot"))
    assert site.lens.recorder.callers.note is not None
    page = site.get("/lens/settings").text
    assert field(page, "callers").choice == "Consumer, API key"
    assert field(page, "noise").value == "curl, Our probe, bot"
    (row,) = table(page, "Entries").rows
    assert "noise kube-probe, " in row["Before → after"]
    assert row["Before → after"].endswith(" → curl, Our probe, bot")

    assert post(site, Section.CALLERS, **callers(version=1, noise="")).status_code == 303
    assert site.lens.settings.config.noise == ()
    answer = post(site, Section.CALLERS, **callers(version=2, noise="", reset="noise"))
    assert answer.status_code == 303
    assert site.lens.settings.config == site.lens.config


def test_the_form_of_callers_changes_nothing_as_it_is(site: Site) -> None:
    page = site.get("/lens/settings").text
    typed = {name: field(page, name).value for name in ("callers", "noise")}
    post(site, Section.CALLERS, version=0, **typed)
    assert table_rows(site.lens.database, AUDIT) == []


def test_what_is_wrong_is_told_beside_the_field_and_nothing_typed_is_lost(site: Site) -> None:
    answer = post(site, "thresholds", **thresholds(dead_threshold_days=3, slow_threshold_ms=77))
    assert answer.status_code == 422
    assert "Enter more than 7 days, after which an endpoint is cold." in answer.text
    assert 'aria-describedby="lens-dead_threshold_days-error ' in answer.text
    assert 'id="lens-dead_threshold_days-error" role="alert"' in answer.text
    assert field(answer.text, "dead_threshold_days").invalid
    assert not field(answer.text, "slow_threshold_ms").invalid
    assert field(answer.text, "slow_threshold_ms").value == "77"
    assert site.lens.settings.slow_threshold_ms == 500


@pytest.mark.parametrize(
    ("section", "fields", "told"),
    [
        (
            Section.THRESHOLDS,
            thresholds(cold_threshold_days=""),
            "Enter a number greater than 0, at most 36,500.",
        ),
        (
            Section.RETENTION,
            {"version": 0, "ttl_days": "1.5"},
            "Enter a whole number from 1 to 36,500, or leave it empty.",
        ),
        (Section.RECORDING, recording(log_sample_rate="2"), "Enter a share from 0 to 1."),
        (Section.RECORDING, recording(log_clients="all"), "Enter off, masked or hashed."),
        (Section.RECORDING, {"version": 0}, "Enter a share from 0 to 1."),
        (
            Section.CALLERS,
            callers(callers="hook"),
            "Enter off, key or agent, because the code sets no consumer, or leave it empty.",
        ),
        (Section.CALLERS, callers(callers="all"), "Enter off, hook, key or agent, or leave it"),
        (
            Section.CALLERS,
            callers(noise="n" * 201),
            "Enter at most 200 names, separated by commas, like kube-probe, Pingdom.",
        ),
    ],
)
def test_each_wrong_value_is_named_with_what_would_be_right(
    site: Site, section: str, fields: dict[str, Any], told: str
) -> None:
    answer = post(site, section, **fields)
    assert answer.status_code == 422
    assert told in page_text(answer.text)
    assert any(field(answer.text, name).invalid for name in fields if name != "version") or (
        fields == {"version": 0}
    )


@pytest.mark.parametrize("version", ["0", "x", "9" * 30])
def test_the_second_of_two_browsers_is_told_who_and_what_and_its_values_stay(
    site: Site, version: str
) -> None:
    assert post(site, "thresholds", **thresholds(slow_threshold_ms=100)).status_code == 303
    second = post(site, "thresholds", **thresholds(slow_threshold_ms=200, version=version))
    assert second.status_code == 409
    assert "this machine (testclient) changed this meanwhile, just now." in second.text
    assert "Its value is now 100 ms." in second.text
    assert field(second.text, "slow_threshold_ms").value == "200"
    assert site.lens.settings.slow_threshold_ms == 100
    assert [one.value for one in fields_of(second.text, "version")].count("1") == 1
    assert (
        post(site, "thresholds", **thresholds(slow_threshold_ms=200, version=1)).status_code == 303
    )


def test_one_value_goes_back_to_what_the_code_says_and_nothing_typed_is_lost(site: Site) -> None:
    post(site, Section.THRESHOLDS, **thresholds(slow_threshold_ms=100, dead_threshold_days=60))
    page = site.get("/lens/settings").text
    assert "Slow if p95 exceeds: reset to default" in page
    assert "Dead after … days without a call: reset to default" in page
    assert "Cold after … days without a call: reset to default" not in page

    stored = thresholds(slow_threshold_ms=100, dead_threshold_days=60, version=1)
    answer = post(site, Section.THRESHOLDS, **stored, reset="slow_threshold_ms")
    assert answer.status_code == 303
    assert site.lens.settings.slow_threshold_ms == 500
    assert site.lens.settings.thresholds.dead_days == 60

    typed = {**stored, "version": 2, "cold_threshold_days": 9}
    answer = post(site, Section.THRESHOLDS, **typed, reset="dead_threshold_days")
    assert answer.status_code == 200
    assert field(answer.text, "cold_threshold_days").value == "9"
    assert field(answer.text, "dead_threshold_days").value == "30"
    assert site.lens.settings.thresholds.cold_days == 7


def test_a_value_cannot_go_back_where_another_one_is_in_its_way(site: Site) -> None:
    post(site, Section.THRESHOLDS, **thresholds(cold_threshold_days=40, dead_threshold_days=60))
    stored = thresholds(cold_threshold_days=40, dead_threshold_days=60, version=1)
    answer = post(site, Section.THRESHOLDS, **stored, reset="dead_threshold_days")
    assert answer.status_code == 422
    assert "Enter more than 40 days" in answer.text
    behind = {**stored, "version": 0}
    assert post(site, Section.THRESHOLDS, **behind, reset="slow_threshold_ms").status_code == 409


def test_saving_through_htmx_answers_with_the_section_a_toast_and_the_latest_changes(
    site: Site,
) -> None:
    answer = post(site, Section.THRESHOLDS, FRAGMENT, **thresholds(slow_threshold_ms=100))
    assert answer.status_code == 200
    assert answer.headers["hx-push-url"] == "false"
    assert answer.text.startswith('<section id="thresholds"')
    assert 'hx-target="#lens-toasts"' in answer.text
    (row,) = table(answer.text, "Entries").rows
    assert row["Before → after"] == "slow_threshold_ms 500 ms → 100 ms"
    assert part(answer.text, "retention") is None

    wrong = post(
        site, Section.THRESHOLDS, FRAGMENT, **thresholds(cold_threshold_days="-1", version=1)
    )
    assert wrong.status_code == 422
    assert "hx-partial" not in wrong.text
    assert "Enter a number greater than 0" in wrong.text


def test_what_changes_nothing_is_not_noted(site: Site) -> None:
    answer = post(site, Section.THRESHOLDS, FRAGMENT, **thresholds(), reset="no such setting")
    assert "No changes to save." in answer.text
    assert table_rows(site.lens.database, AUDIT) == []
    assert site.lens.settings.versions == {}


@pytest.mark.parametrize("headers", [{}, {"Sec-Fetch-Site": "cross-site"}])
def test_forms_of_other_sites_change_nothing(site: Site, headers: dict[str, str]) -> None:
    assert post(site, "retention", headers, version=0, ttl_days=1).status_code == 403
    assert site.lens.retention.ttl_days is None


def test_sections_that_there_are_not_are_not_found(site: Site) -> None:
    assert post(site, "later", version=0).status_code == 404
    assert site.get("/lens/settings/later").status_code == 404
    assert site.get("/lens/settings/later/preview").status_code == 404


def test_the_address_of_a_form_leads_to_its_section(site: Site) -> None:
    answer = site.get("/lens/settings/retention")
    assert answer.headers["location"] == "/lens/settings#retention"
    assert part(site.fragment("/lens/settings/retention").text, "retention")


def test_what_changes_by_itself_comes_without_the_forms(site: Site) -> None:
    now = site.fragment("/lens/settings/now").text
    assert part(now, "workers")
    assert "<form" not in now
    assert site.get("/lens/settings/now").headers["location"] == "/lens/settings"


def test_a_stored_value_that_cannot_be_used_is_shown(site: Site) -> None:
    save(site, "retention", {"ttl_days": "<b>"})
    page = page_text(site.get("/lens/settings").text)
    assert "ttl_days must be a whole number from 1 to 36,500 or None, not '<b>'" in page
