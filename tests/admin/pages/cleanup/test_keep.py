"""Endpoints are kept on purpose, with a reason and an end, and no longer kept."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from benchmarks.support.rows import table_rows
from fastapi_lens.settings import keeps as of_keeps
from fastapi_lens.storage.schema.tables import AUDIT
from tests.admin.conftest import Site
from tests.admin.pages.cleanup.conftest import key_of
from tests.admin.test_ignored import save
from tests.support.pages import field, link, page_text, part, table

OWN = {"Sec-Fetch-Site": "same-origin"}


def day(site: Site, ahead: int) -> str:
    """A day from today on, as forms write it."""
    today = datetime.fromtimestamp(site.lens.clock(), UTC).date()
    return (today + timedelta(days=ahead)).isoformat()


def post(site: Site, *keys: str, **typed: Any) -> Any:
    form = {"version": 0, "reason": "Disaster recovery", "until": day(site, 90), "do": "save"}
    form |= {"keys": " ".join(keys), "back": "", **typed}
    return site.client.post("/lens/cleanup/keep", data=form, headers=OWN)


def verdict(site: Site, name: str) -> str:
    found = table(site.get("/lens/cleanup").text, "Endpoints with")
    return found[name]["Verdict"]


def test_several_endpoints_are_kept_at_once_and_the_list_says_so(shop_site: Site) -> None:
    keys = [key_of(shop_site, path) for path in ("/dump", "/restore")]
    query = "&".join(f"e={key}" for key in keys)
    form = shop_site.get(f"/lens/cleanup/keep?verdict=safe_to_remove&{query}").text
    assert "2 endpoints GET /dump GET /restore" in page_text(form)
    assert field(form, "until").value == day(shop_site, 365)
    assert link(form, "Cancel").href == "/lens/cleanup?verdict=safe_to_remove"
    answer = post(shop_site, *keys, back=field(form, "back").value)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/lens/cleanup?verdict=safe_to_remove&saved=keeps"
    assert "Saved. Applies to all workers within" in shop_site.get(answer.headers["location"]).text
    assert (verdict(shop_site, "GET /dump"), verdict(shop_site, "GET /restore")) == ("Kept",) * 2
    reasons = shop_site.get("/lens/cleanup.csv?q=dump").text
    assert "(set in the admin): Disaster recovery." in reasons


def test_a_kept_endpoint_can_be_changed_and_given_back(shop_site: Site) -> None:
    key = key_of(shop_site, "/dump")
    post(shop_site, key, back="endpoint")
    form = shop_site.get(f"/lens/cleanup/keep?e={key}&back=endpoint").text
    assert field(form, "reason").value == "Disaster recovery"
    assert field(form, "until").value == day(shop_site, 90)
    changed = post(shop_site, key, version=1, reason=" Audits \n of 2027 ", back="endpoint")
    assert changed.headers["location"] == f"/lens/endpoints/{key}?saved=keeps"
    (kept,) = shop_site.lens.settings.kept.all
    assert kept.reason == "Audits of 2027"
    ended = post(shop_site, key, version=2, do="end")
    assert ended.headers["location"] == "/lens/cleanup?saved=keeps"
    assert verdict(shop_site, "GET /dump") == "Safe to remove"
    assert post(shop_site, key, version=3, do="end").status_code == 303


def test_each_change_is_in_the_audit_log(shop_site: Site) -> None:
    dump, restore = (key_of(shop_site, path) for path in ("/dump", "/restore"))
    until = day(shop_site, 90)
    post(shop_site, dump)
    post(shop_site, dump, restore, version=1, reason="Audits")
    post(shop_site, dump, version=2, do="end")
    rows = sorted(table_rows(shop_site.lens.database, AUDIT), key=lambda row: row.id)
    assert [(row.action, row.target, row.before, row.after) for row in rows] == [
        ("keep", "GET /dump", "", f"until {until}: Disaster recovery"),
        (
            "keep",
            "2 endpoints",
            f"until {until}: Disaster recovery",
            f"GET /dump until {until}: Audits; GET /restore until {until}: Audits",
        ),
        ("end_keep", "GET /dump", f"until {until}: Audits", ""),
    ]
    page = page_text(shop_site.get("/lens/settings/audit").text)
    assert "kept on purpose GET /dump" in page
    assert "no longer keeps GET /dump" in page


def test_the_second_of_two_browsers_sees_who_was_first_and_may_overwrite(shop_site: Site) -> None:
    key = key_of(shop_site, "/dump")
    post(shop_site, key)
    second = post(shop_site, key, reason="mine")
    assert second.status_code == 409
    text = page_text(second.text)
    assert re.search(
        r"this machine \(testclient\) changed this meanwhile, (just now|\d+ s ago)\.", text
    )
    assert "save again to overwrite" in text
    assert field(second.text, "reason").value == "mine"
    version = field(second.text, "version").value
    assert post(shop_site, key, version=version, reason="mine").status_code == 303


def test_whoever_ends_a_keep_that_was_changed_sees_it_as_it_is_now(shop_site: Site) -> None:
    key = key_of(shop_site, "/dump")
    post(shop_site, key)
    second = post(shop_site, key, do="end", reason="", until="")
    assert second.status_code == 409
    text = page_text(second.text)
    assert "changed this meanwhile" in text
    assert "Nothing was ended." in text
    assert "Your values" not in text
    assert field(second.text, "reason").value == "Disaster recovery"
    assert field(second.text, "until").value == day(shop_site, 90)


@pytest.mark.parametrize(
    ("typed", "name", "told"),
    [
        ({"reason": "  "}, "reason", "The reason must have 1 to 200 characters."),
        ({"reason": "a" * 201}, "reason", "The reason must have 1 to 200 characters."),
        ({"until": "soon"}, "until", "The end must be a day, such as 2027-06-30."),
        ({"until": "2020-01-01"}, "until", "The end must be a day from today up to 5 years ahead."),
        ({"until": "2099-01-01"}, "until", "The end must be a day from today up to 5 years ahead."),
    ],
)
def test_a_value_that_cannot_work_is_told_beside_its_field_and_kept(
    shop_site: Site, typed: dict[str, str], name: str, told: str
) -> None:
    answer = post(shop_site, key_of(shop_site, "/dump"), **typed)
    assert answer.status_code == 422
    assert part(answer.text, f"lens-{name}-error") == told
    assert field(answer.text, name).invalid
    assert field(answer.text, name).value == typed[name]
    assert shop_site.lens.settings.kept.all == ()


def test_one_too_many_is_refused(shop_site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_keeps, "MAX_KEPT", 1)
    answer = post(shop_site, *(key_of(shop_site, path) for path in ("/dump", "/restore")))
    assert answer.status_code == 422
    assert "at most 1 endpoints are kept" in page_text(answer.text)


def test_without_a_known_endpoint_there_is_nothing_to_keep(shop_site: Site) -> None:
    for query in ("", "?e=00000000000000ff", "?e=%00&e=x"):
        answer = shop_site.get(f"/lens/cleanup/keep{query}")
        assert answer.status_code == 404
        assert "No endpoint was chosen." in page_text(answer.text)
    assert post(shop_site, "00000000000000ff", "nonsense").status_code == 404


def test_an_end_that_is_over_is_said_and_a_new_one_proposed_from_today_on(shop_site: Site) -> None:
    key, today = key_of(shop_site, "/dump"), int(shop_site.lens.clock() // 86_400)
    entry = {"endpoint": int(key, 16), "method": "GET", "path": "/dump", "reason": "old"}
    save(shop_site, "keeps", {"endpoints": [{**entry, "until": today - 3}]})
    assert verdict(shop_site, "GET /dump") == "Safe to remove"
    form = shop_site.get(f"/lens/cleanup/keep?e={key}").text
    assert field(form, "until").value == day(shop_site, 0)
    assert "Was kept on purpose until" in page_text(shop_site.get(f"/lens/endpoints/{key}").text)


def test_a_reason_cannot_write_html_or_markdown_or_turn_the_text(shop_site: Site) -> None:
    key = key_of(shop_site, "/dump")
    post(shop_site, key, reason='[a](b) <img src=x onerror="x">\u202e')
    for path in ("cleanup", f"endpoints/{key}", "settings/audit", "cleanup.csv"):
        text = shop_site.get(f"/lens/{path}").text
        assert "<img" not in text or path == "cleanup.csv"
        assert "\u202e" not in text
    # The form has the reason letter by letter, in its field alone.
    form = shop_site.get(f"/lens/cleanup/keep?e={key}").text
    assert (form.count("\u202e"), form.count("<img")) == (1, 0)
    assert r"\[a\]\(b\) \<img src=x" in shop_site.get("/lens/cleanup.md").text
