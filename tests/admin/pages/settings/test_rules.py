"""Ignore rules are added, changed, paused and deleted on the settings page, after a preview."""

from typing import Any

import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastapi_lens import KeyConfig
from fastapi_lens.admin.pages.settings import reply
from fastapi_lens.settings.ignore_rules import Rule
from tests.admin.conftest import Site
from tests.admin.pages.settings.test_forms import FRAGMENT, post
from tests.admin.test_ignored import METHODS, PATTERNS, calls, save_rules
from tests.support.pages import field, fields, form_actions, links, page_text, part, table

PREVIEW = "/lens/settings/rules/preview"


def rule_id(site: Site) -> str:
    (rule,) = site.lens.settings.rules.all
    return rule.id


def listed(fragment: str) -> list[str]:
    """The endpoints that a preview or a page lists, from the top."""
    return [one.name for one in links(fragment) if "/lens/endpoints/" in one.href]


def test_a_rule_is_added_changed_paused_resumed_and_deleted(site: Site) -> None:
    site.get("/health")
    assert calls(site)["GET /health"] == 1

    answer = post(site, "rules", version=0, pattern=" /health ", **{"method.GET": "on"})
    assert answer.headers["location"] == "/lens/settings?saved=rules#rules"
    assert "GET /health" not in calls(site)
    page = site.get("/lens/settings").text
    row = table(page, "Rules")["GET /health"]
    assert (row["Ignores"], row["State"]) == ("1 endpoint", "Active")
    assert "1 endpoint ignored" in page_text(page)

    mine = {"rule": rule_id(site)}
    edit = site.get(f"/lens/settings?rule={rule_id(site)}").text
    assert "Change /health" in page_text(edit)
    assert field(edit, "method.GET").checked
    assert "Hides 1 of 3 endpoints, 100% of the calls of the last 7 days:" in edit
    post(site, "rules", version=1, pattern="/users/**", **mine)
    assert list(calls(site)) == ["GET /health"]

    post(site, "rules", version=2, do="pause", **mine)
    assert len(calls(site)) == 3
    paused = site.fragment(f"/lens/settings/rules?rule={rule_id(site)}").text
    assert "Paused. Once resumed, it hides 2 of 3 endpoints" in paused
    assert field(paused, "paused").value == "on"
    post(site, "rules", version=3, do="resume", **mine)
    assert list(calls(site)) == ["GET /health"]

    deleted = post(site, "rules", FRAGMENT, version=4, do="delete", **mine)
    assert "Deleted: /users/**." in deleted.text
    assert "/users/** →" in page_text(deleted.text)
    assert site.lens.settings.rules.all == ()
    assert len(calls(site)) == 3


def test_answers_of_some_classes_are_left_uncounted(site: Site) -> None:
    post(site, "rules", version=0, pattern="/users/*", **{"status.4": "on", "status.5": "on"})
    site.get("/users/x")
    site.get("/users/1")
    assert calls(site)["GET /users/{user_id}"] == 1
    page = site.get("/lens/settings").text
    assert "4xx, 5xx responses of 1 endpoint" in page
    saved = post(site, "rules", FRAGMENT, version=1, pattern="/users", **{"status.4": "on"})
    assert "Saved. Leaves 4xx responses of 1 of 3 endpoints uncounted; they stay visible." in (
        page_text(saved.text)
    )


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        ("health", "The pattern must start with a slash, like /internal/**."),
        ("/a*", "has a star within the segment"),
        ("", "must start with a slash"),
    ],
)
def test_a_pattern_that_cannot_work_is_told_beside_its_field_and_kept(
    site: Site, pattern: str, told: str
) -> None:
    answer = post(site, "rules", version=0, pattern=pattern, **{"method.POST": "on"})
    assert answer.status_code == 422
    assert told in page_text(answer.text)
    assert 'aria-describedby="lens-pattern-error lens-pattern-told" aria-invalid' in answer.text
    # Where the focus goes, with a script and without.
    assert answer.text.count('aria-invalid="true" autofocus>') == 1
    assert told in (part(answer.text, "lens-pattern-error") or "")
    assert 'id="lens-pattern-error" role="alert"' in answer.text
    assert (field(answer.text, "pattern").value, field(answer.text, "pattern").invalid) == (
        pattern,
        True,
    )
    assert field(answer.text, "method.POST").checked
    assert site.lens.settings.rules.all == ()


def test_a_method_that_is_none_is_refused_by_name(site: Site) -> None:
    answer = post(site, "rules", version=0, pattern="/a", **{"method.<b>": "on"})
    assert answer.status_code == 422
    sentence = "The methods must be names of HTTP methods, such as GET."
    assert part(answer.text, "lens-methods-error") == sentence
    assert part(answer.text, "lens-pattern-error") == ""
    assert "<b>GET" not in answer.text


def test_the_same_rule_twice_and_one_too_many_are_refused(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_rules(site, Rule(id="a", pattern="/a"))
    assert "is used by another rule" in post(site, "rules", version=1, pattern="/a").text
    monkeypatch.setattr("fastapi_lens.admin.pages.settings.rules.MAX_RULES", 1)
    assert (
        "cannot be added: the maximum is 1 rule."
        in post(site, "rules", version=1, pattern="/b").text
    )
    assert post(site, "rules", version=1, pattern="/b", rule="a").status_code == 303


def test_of_two_browsers_the_second_is_told_and_what_was_typed_stays(site: Site) -> None:
    post(site, "rules", version=0, pattern="/first")
    second = post(site, "rules", version=0, pattern="/second")
    assert second.status_code == 409
    assert "this machine (testclient) changed this meanwhile" in second.text
    assert field(second.text, "pattern").value == "/second"
    assert [rule.pattern for rule in site.lens.settings.rules.all] == ["/first"]

    behind = post(site, "rules", version=0, do="delete", rule=rule_id(site))
    assert behind.status_code == 409
    assert "Check the rules and try again." in behind.text
    assert [rule.pattern for rule in site.lens.settings.rules.all] == ["/first"]


def test_a_rule_that_somebody_has_deleted_cannot_be_changed_but_added_again(site: Site) -> None:
    save_rules(site, Rule(id="a", pattern="/a"))
    save_rules(site)
    gone = post(site, "rules", version=2, do="pause", rule="a")
    assert gone.status_code == 409
    assert "This rule no longer exists. alice changed this meanwhile" in gone.text
    lost = post(site, "rules", version=2, rule="a", pattern="/b")
    assert lost.status_code == 409
    assert field(lost.text, "rule").value == ""
    assert post(site, "rules", version=2, rule="", pattern="/b").status_code == 303


def test_a_preview_lists_what_the_rule_hides_as_one_types_and_without_scripts(site: Site) -> None:
    typed = site.fragment(f"{PREVIEW}?pattern=/users/**").text
    assert listed(typed) == ["POST /users", "GET /users/{user_id}"]
    assert 'data-announce="Hides 2 of 3 endpoints, 0% of the calls' in typed
    assert listed(site.fragment(f"{PREVIEW}?pattern=/users/**&method.POST=on").text) == [
        "POST /users"
    ]
    assert form_actions(typed) == []
    assert page_text(site.fragment(f"{PREVIEW}?pattern=/user").text) == (
        "Matches none of the 3 endpoints."
    )
    bad = site.fragment(f"{PREVIEW}?pattern=user")
    assert bad.status_code == 200
    sentence = "The pattern must start with a slash, like /internal/**."
    # At its field, and nowhere else.
    assert part(bad.text, "lens-pattern-error") == page_text(bad.text) == sentence
    assert f'data-announce="{sentence}"' in bad.text
    assert part(typed, "lens-pattern-error") == ""
    assert page_text(site.fragment(f"{PREVIEW}?pattern=").text) == ""

    page = post(site, "rules", version=0, do="preview", pattern="/users/**")
    assert page.status_code == 200
    assert listed(page.text) == listed(typed)
    assert field(page.text, "pattern").value == "/users/**"
    assert site.lens.settings.rules.all == ()
    linked = site.get(f"{PREVIEW}?pattern=/health&method.GET=on").text
    assert listed(linked) == ["GET /health"]
    assert field(linked, "method.GET").checked


def test_a_preview_says_who_is_ignored_anyway_and_who_comes_back(site: Site) -> None:
    save_rules(site, Rule(id="a", pattern="/users/**"), Rule(id="b", pattern="/users"))
    preview = page_text(site.fragment(f"{PREVIEW}?rule=a&pattern=/users&method.POST=on").text)
    assert preview.endswith(
        "POST /users also by another rule 1 endpoint comes back: GET /users/{user_id}"
    )


def test_a_preview_lists_so_many_and_counts_the_rest(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reply, "MOST_LISTED", 1)
    preview = site.fragment(f"{PREVIEW}?pattern=/**").text
    assert len(listed(preview)) == 1
    assert "and 2 more" in preview


def test_doc_is_not_docs(make_site: Any) -> None:
    app = FastAPI(docs_url=None)
    for path in ("/doc", "/docs", "/docs/{page}", "/doc/{page}"):
        app.add_api_route(path, lambda: None)
    site = make_site(app)
    assert listed(site.fragment(f"{PREVIEW}?pattern=/doc").text) == ["GET /doc"]
    post(site, "rules", version=0, pattern="/doc")
    assert sorted(calls(site)) == ["GET /doc/{page}", "GET /docs", "GET /docs/{page}"]


@pytest.fixture
def many(make_site: Any) -> Site:
    """A site whose endpoints are much alike."""
    app = FastAPI()
    for path in ("/", "/a", "/ab", "/a/b", "/a/{id}", "/ab/{id}/a", "/{id}/b"):
        app.add_api_route(path, lambda: None, methods=["GET"])
        app.add_api_route(path, lambda: None, methods=["POST"])
    return make_site(app)


@pytest.mark.unmeasured
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(pattern=PATTERNS, methods=st.sets(METHODS))
def test_what_the_preview_lists_is_what_is_then_neither_recorded_nor_shown_anywhere(
    many: Site, pattern: str, methods: set[str]
) -> None:
    chosen = {f"method.{method}": "on" for method in methods}
    version = many.lens.settings.versions.get("rules", 0)
    query = "&".join(f"{name}=on" for name in chosen)
    preview = listed(many.fragment(f"{PREVIEW}?pattern={pattern}&{query}").text)

    before = {**calls(many)}
    post(many, "rules", version=version, pattern=pattern, **chosen)
    for name in before:
        method, path = name.split(" ")
        many.client.request(method, path.replace("{id}", "7"))
    after = calls(many)
    page = listed(many.get("/lens/endpoints?days=all").text)
    assert sorted(set(before) - set(after)) == sorted(preview)
    assert sorted(page) == sorted(after)

    rule = many.lens.settings.rules.all[0]
    post(many, "rules", version=version + 1, do="delete", rule=rule.id)
    back = calls(many)
    # What was ignored was not recorded meanwhile.
    assert {name: back[name] for name in preview} == {name: before[name] for name in preview}


def test_a_key_that_may_only_look_sees_the_rules_and_no_form(make_site: Any) -> None:
    site = make_site(report_keys={"alice": "a-key", "ci": KeyConfig("b-key", scope="read")})
    save_rules(site, Rule(id="a", pattern="/a", paused=True))
    page = site.get("/lens/settings", **{"X-Lens-Key": "b-key"}).text
    (row,) = table(page, "Rules").rows
    assert (row["Pattern"], row["State"]) == ("/a", "Paused")
    assert "/lens/settings/rules" not in form_actions(page)
    assert fields(page, "version") == []
    assert part(page, "audit") is None
    assert "Delete" not in page
    assert "Requests kept, at most" in page
    assert "10,000 requests" in page
    save_rules(site)
    assert "No rules." in site.get("/lens/settings", **{"X-Lens-Key": "b-key"}).text
    assert "/lens/settings/rules" in form_actions(
        site.get("/lens/settings", **{"X-Lens-Key": "a-key"}).text
    )
