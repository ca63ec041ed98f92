"""Rules are in force: what they cover is neither counted nor shown, and comes back."""

import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastapi_lens import LensConfig
from fastapi_lens.cli.report import read_report
from fastapi_lens.reporting.model import Endpoint, Window
from fastapi_lens.settings.ignore_rules import Rule, Rules
from fastapi_lens.settings.settings import Settings
from fastapi_lens.storage.records.audit import AuditEntry
from fastapi_lens.storage.records.settings import Stored, write_section
from tests.admin.conftest import Site
from tests.support.pages import addresses, field, link, table


def save(site: Site, section: str, values: dict[str, Any]) -> None:
    """Saves settings as another worker's admin does, then applies them as a flush does."""
    version = site.lens.settings.versions.get(section, 0)
    entry = AuditEntry(at_us=1, actor="alice", client="", action="save", target=section)
    assert write_section(site.lens.database, "site", section, Stored(values, version), entry)
    assert site.lens.flusher.flush()


def save_rules(site: Site, *rules: Rule) -> None:
    save(site, "rules", {"rules": [rule.as_stored() for rule in rules]})


def calls(site: Site) -> dict[str, int]:
    assert site.lens.flusher.flush()
    report = site.get("/lens/report").json()
    return {f"{one['method']} {one['path']}": one["total_calls"] for one in report["endpoints"]}


def test_an_ignored_endpoint_is_neither_counted_nor_shown_and_comes_back(site: Site) -> None:
    site.get("/health")
    assert calls(site)["GET /health"] == 1
    health = next(iter(site.lens.reader.endpoints(window=Window(), now=site.lens.clock())))
    rule = Rule(id="a", pattern=health.path)
    save_rules(site, rule)
    site.get("/health")
    site.get("/users/1")
    shown = calls(site)
    assert f"GET {health.path}" not in shown
    assert f"GET {health.path}" not in table(site.get("/lens/endpoints").text, "Endpoints").names
    page = site.get(f"/lens/endpoints/{health.key}").text
    assert link(page, health.path).href == "/lens/settings?rule=a#rules"
    assert "Recent requests" not in page
    assert len(everything(site)) == 3
    save_rules(site)
    site.get("/health")
    assert calls(site)["GET /health"] == (2 if health.path == "/health" else 3)


def test_one_switch_shows_the_ignored_and_every_link_keeps_it(site: Site) -> None:
    assert "lens-ignored" not in site.get("/lens/endpoints").text
    site.count("GET", "/health")
    save_rules(site, Rule(id="a", pattern="/health"), Rule(id="b", pattern="/users"))
    hidden = site.get("/lens/endpoints").text
    assert "Show 2 ignored" in hidden
    assert [name for name in endpoint_cells(hidden) if "ignored" in name] == []
    shown = site.get("/lens/endpoints?ignored=1").text
    assert len([name for name in endpoint_cells(shown) if "ignored" in name]) == 2
    assert field(shown, "ignored").checked
    lists = ("/lens/endpoints?", "/lens/endpoints.")
    own = [one for one in addresses(shown) if one.startswith(lists)]
    assert len(own) > 15
    assert [one for one in own if "ignored=1" not in one] == []
    assert "/health" in site.get("/lens/endpoints.csv?ignored=1").text
    assert "/health" not in site.get("/lens/endpoints.csv").text
    assert "/health" not in site.get("/lens/report").text


def endpoint_cells(page: str) -> list[str]:
    return table(page, "Endpoints").column("Endpoint")


def test_the_page_of_an_endpoint_leads_to_a_rule_for_it_alone(site: Site) -> None:
    (create,) = (one for one in everything(site) if one.method == "POST")
    page = site.get(f"/lens/endpoints/{create.key}").text
    form = site.get(link(page, "Ignore this endpoint …").href).text
    assert field(form, "pattern").value == "/users"
    assert field(form, "method.POST").checked
    assert "Hides 1 of 3 endpoints" in form


def everything(site: Site) -> list[Endpoint]:
    reader, now = site.lens.reader, site.lens.clock()
    return reader.endpoints(window=Window(), now=now, with_ignored=True)


def test_answers_of_a_status_class_are_not_counted(site: Site) -> None:
    site.get("/users/x")
    save_rules(site, Rule(id="a", pattern="/users/*", statuses=(4,)))
    site.get("/users/x")
    site.get("/users/1")
    assert calls(site)["GET /users/{user_id}"] == 2


def test_a_rule_for_methods_that_no_route_declares_leaves_those_alone_that_one_does(
    site: Site,
) -> None:
    save_rules(site, Rule(id="a", pattern="/users/*", methods=("_OTHER",)))
    assert not site.lens.skips("PURGE", "/users/{user_id}", 200)
    save_rules(site, Rule(id="a", pattern="/users/*", methods=("PURGE",)))
    assert site.lens.skips("PURGE", "/users/{user_id}", 200)
    assert not site.lens.skips("GET", "/users/{user_id}", 200)


def test_the_report_of_the_command_line_obeys_the_stored_settings(site: Site) -> None:
    save_rules(site, Rule(id="a", pattern="/users/**"), Rule(id="b", pattern="/users"))
    report = read_report(
        site.lens.database,
        LensConfig(db_path=":memory:"),
        app="site",
        days=None,
        status=None,
        now=site.lens.clock(),
    )
    assert [one.path for one in report.endpoints] == ["/health"]


def test_what_is_stored_and_cannot_be_used_is_logged_once(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "fastapi_lens"):
        save(site, "retention", {"ttl_days": "soon"})
        save(site, "thresholds", {"slow_threshold_ms": 5})
    (record,) = caplog.records
    assert "ttl_days must be a whole number" in record.getMessage()
    assert site.lens.settings.slow_threshold_ms == 5


SEGMENTS = st.sampled_from(["a", "b", "ab", "{id}", "*", "**"])
PATTERNS = st.lists(SEGMENTS, min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts))
PATHS = st.lists(st.sampled_from(["a", "b", "ab", "{id}"]), max_size=4).map(
    lambda parts: "/" + "/".join(parts)
)
METHODS = st.sampled_from(["GET", "POST"])
RULES = st.lists(
    st.builds(
        Rule,
        id=st.uuids().map(lambda uuid: uuid.hex),
        pattern=PATTERNS,
        methods=st.sets(METHODS).map(lambda chosen: tuple(sorted(chosen))),
        paused=st.booleans(),
    ),
    max_size=5,
)


@pytest.mark.unmeasured
@given(rules=RULES, table=st.sets(st.tuples(METHODS, PATHS), max_size=12))
def test_what_rules_say_they_cover_is_exactly_what_is_not_shown_whatever_their_order(
    rules: list[Rule], table: set[tuple[str, str]]
) -> None:
    listed = {each for each in table for rule in rules if not rule.paused and rule.covers(*each)}
    for order in (rules, rules[::-1]):
        stored = Stored({"rules": [rule.as_stored() for rule in order]}, 1)
        settings = Settings.of(LensConfig(db_path=":memory:"), {"rules": stored})
        assert {each for each in table if not settings.is_recorded(*each)} == listed
        assert {each for each in table if Rules(tuple(order)).skips(*each, 200)} == listed
