"""The evidence box of an endpoint's page."""

from collections.abc import Callable

import pytest

from fastapi_lens.reporting.evidence.evidence import Judged
from fastapi_lens.settings.ignore_rules import Rule
from fastapi_lens.storage.schema.identities import release_id
from tests.admin.conftest import Site
from tests.admin.test_ignored import save_rules
from tests.support.pages import field, form_actions, link, page_text, part, table
from tests.support.past import Past

MakeSite = Callable[..., Site]
OWN = {"Sec-Fetch-Site": "same-origin"}


def key_of(site: Site, path: str) -> str:
    return next(
        one.endpoint.key
        for one in site.lens.reader.evidence(site.lens.clock()).endpoints
        if one.endpoint.path == path
    )


def with_past(site: Site) -> Past:
    past = Past(site.lens.database, "site", now=site.lens.clock())
    past.observe(800, release="1.0")
    past.be_there("POST", "/users", since=799)
    past.use("POST", "/users", range(60, 400))
    return past


def test_the_box_says_the_verdict_the_evidence_and_the_releases(make_site: MakeSite) -> None:
    site = make_site(release="1.0")
    with_past(site).be_there(
        "POST", "/users", since=799, first_release_id=release_id("site", "1.0")
    )
    page = site.get(f"/lens/endpoints/{key_of(site, '/users')}").text
    box = part(page, "evidence") or ""
    assert box.startswith("May it be deleted? Cleanup Probably unused since ")
    assert "Seen: No use for 60 days; all of them were observed." in box
    assert "Open: A yearly use is not excluded before " in box
    assert "Expected: Without a further use it is safe to remove from " in box
    assert "Open: Watching cannot tell: a use in an emergency" in box
    assert "Excluded: daily, weekly, monthly use. Open: quarterly" in box
    assert "In the code since release 1.0." in box
    assert "/lens/cleanup?verdict=probably_unused" in page


def test_an_endpoint_is_kept_and_given_back_on_its_page(site: Site) -> None:
    with_past(site)
    key = key_of(site, "/users")
    page = site.get(f"/lens/endpoints/{key}").text
    form = site.get(link(page, "Keep on purpose …").href).text
    typed = {name: field(form, name).value for name in ("version", "keys", "back", "until")}
    kept = site.client.post(
        "/lens/cleanup/keep", data={**typed, "reason": "audits", "do": "save"}, headers=OWN
    )
    page = site.get(kept.headers["location"]).text
    assert "Saved. Applies to all workers within 3600 s." in page_text(page)
    box = part(page, "evidence") or ""
    assert "Kept on purpose" in box
    assert "Decided: Kept on purpose until " in box
    assert "(set in the admin): audits." in box
    assert link(page, "Change the reason or the end …").href.endswith("&back=endpoint")
    assert "/lens/cleanup/keep" in form_actions(page)
    ended = {name: field(page, name).value for name in ("version", "keys", "back")}
    answer = site.client.post("/lens/cleanup/keep", data={**ended, "do": "end"}, headers=OWN)
    assert answer.headers["location"] == f"/lens/endpoints/{key}?saved=keeps"
    assert "No longer keep" not in site.get(f"/lens/endpoints/{key}").text


def test_an_ignored_endpoint_has_no_verdict(site: Site) -> None:
    key = key_of(site, "/health")
    save_rules(site, Rule(id="a", pattern="/health"))
    assert part(site.get(f"/lens/endpoints/{key}").text, "evidence") is None


def test_a_removed_endpoint_says_who_still_calls_it(site: Site) -> None:
    past = with_past(site)
    past.remove("GET", "/v0/orders", since=30, calls={2: 3, 5: 4})
    past.use("GET", "/v0/orders", [40])
    (gone,) = site.lens.reader.evidence(site.lens.clock()).removed
    page = site.get(f"/lens/endpoints/{gone.endpoint.key}").text
    box = part(page, "evidence") or ""
    assert "Removed; not in the routes since " in box
    assert "Still called, and answered 404: 7 calls on 2 days, the last on " in box
    assert "Keep on purpose" not in box
    assert "/lens/cleanup?verdict=removed" in page
    assert "removed from the routes on " in page_text(page)
    listed = table(site.get("/lens/endpoints?cols=verdict").text, "Endpoints")
    assert listed["GET /v0/orders"]["Verdict"] == "Removed"


def test_all_of_it_is_readable(site: Site) -> None:
    text = page_text(site.get(f"/lens/endpoints/{key_of(site, '/health')}").text)
    assert "Not enough observation" in text


def test_the_evidence_of_an_endpoint_is_read_once_a_minute_and_after_its_first_call_of_a_day(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    past = with_past(site)
    key, read = key_of(site, "/users"), site.lens.reader.judged
    asked: list[str] = []

    def judged(identity: str, *, now: float) -> Judged | None:
        asked.append(identity)
        return read(identity, now=now)

    monkeypatch.setattr(site.lens.reader, "judged", judged)
    for days in ("7", "30", "90"):
        site.get(f"/lens/endpoints/{key}?days={days}")
    assert asked == [key]
    past.use("POST", "/users", [0])
    assert "Used today." in site.get(f"/lens/endpoints/{key}").text
    assert asked == [key, key]
