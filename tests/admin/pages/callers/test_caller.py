"""The page of one caller: everything that it still uses, its label, and forgetting it."""

import csv
import io
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from benchmarks.support.rows import table_rows
from fastapi_lens import KeyConfig
from fastapi_lens.admin.display.paging import PAGE_SIZE
from fastapi_lens.storage.schema.data_version import note_change
from fastapi_lens.storage.schema.tables import AUDIT, CALLER, ENDPOINT
from tests.admin.conftest import Site, an_app
from tests.admin.pages.callers.conftest import BILLING, KEY, WEB, key_of, page_of
from tests.admin.pages.settings.test_forms import OWN
from tests.support.pages import Table, field, figures, link, page_text, table, title


def rows(text: str) -> Table:
    return table(text, "Endpoints that this caller uses")


def label(site: Site, text: str, **headers: str) -> Any:
    return site.client.post(page_of(BILLING), data={"label": text}, headers={**OWN, **headers})


def test_the_page_of_a_caller_lists_what_it_uses(called: Site) -> None:
    text = called.get(page_of(BILLING)).text
    assert title(text).startswith("Caller billing-service · ")
    found = rows(text)
    assert found.names == ["POST /users", "GET /users/{user_id}"]
    users = found["POST /users"]
    assert (users["Calls"], users["Last use"], users["Days"]) == ("5", "1 d ago", "1")
    assert (users["Refused"], users["Failed"], users["Longest gap"]) == ("20.0%", "20.0%", "–")
    assert users["Status"] == "Active"
    assert users["Verdict"] == "In use"
    assert users.links[0].href == f"/lens/endpoints/{key_of(called, '/users')}?days=7"
    assert found["GET /users/{user_id}"]["Longest gap"] == "31 days"
    assert "It has called 2 endpoints, 2 of them in the last 30 days." in page_text(text)
    assert figures(text)["Known by"] == "application"
    listed = f"/lens/endpoints?caller={BILLING.id:016x}&days=7"
    assert link(text, "In the list of endpoints").href == listed


def test_what_it_uses_is_sorted_by_a_click_on_a_header(called: Site) -> None:
    text = called.get(page_of(BILLING)).text
    by_path = called.get(link(text, "Endpoint").href).text
    assert rows(by_path).orders == {"Endpoint": "ascending"}
    by_refused = called.get(link(text, "Refused").href).text
    assert rows(by_refused).names == ["POST /users", "GET /users/{user_id}"]
    by_failed = called.get(link(text, "Failed 5xx").href).text
    assert rows(by_failed).orders == {"Failed": "descending"}
    back = called.get(link(by_refused, "Refused").href).text
    assert rows(back).names == ["GET /users/{user_id}", "POST /users"]


def test_an_endpoint_that_is_gone_is_shown_as_removed(make_site: Callable[..., Site]) -> None:
    app = an_app()
    app.add_api_route("/legacy", lambda: None)
    site = make_site(app, callers="agent")
    site.count_at(site.lens.clock() - 60, "GET", "/legacy", by=BILLING)
    assert rows(site.get(page_of(BILLING)).text)["GET /legacy"]["Status"] == "Active"
    with site.lens.database.write() as connection:
        at = {"last_seen_at": 1, "removed_at": 1}
        connection.execute(sa.update(ENDPOINT).where(ENDPOINT.c.path == "/legacy").values(**at))
        note_change(site.lens.database, connection)
    legacy = rows(site.get(page_of(BILLING)).text)["GET /legacy"]
    assert (legacy["Status"], legacy["Verdict"]) == ("Removed", "–")


def test_a_caller_of_many_endpoints_has_pages(make_site: Callable[..., Site]) -> None:
    app = an_app()
    for number in range(PAGE_SIZE):
        app.add_api_route(f"/many/{number:02}", lambda: None)
    site = make_site(app, callers="agent")
    now = site.lens.clock()
    for number in range(PAGE_SIZE):
        site.count_at(now - 60, "GET", f"/many/{number:02}", by=BILLING)
    site.count_at(now - 120, "GET", "/health", by=BILLING)
    text = site.get(f"{page_of(BILLING)}?page=7").text
    assert rows(text).names == ["GET /health"]
    assert link(text, "Page 1").href == page_of(BILLING)


def test_the_file_of_a_caller_lists_its_endpoints(called: Site) -> None:
    answer = called.get(f"{page_of(BILLING)}.csv?sort=path")
    first, second = csv.DictReader(io.StringIO(answer.text, newline=""))
    assert (first["caller"], first["method"], first["path"]) == (
        *("billing-service", "POST"),
        "/users",
    )
    assert (first["calls"], first["refused"], first["errors_5xx"]) == ("5", "1", "1")
    assert first["verdict"] == "in_use"
    assert second["longest_gap_days"] == "31"
    assert "No such caller" in called.get("/lens/callers/00000000000000ab.csv").text


@pytest.mark.parametrize("key", ["00ab", "00000000000000ab", "ffffffffffffffff", "%00"])
def test_an_unknown_caller_is_not_found(called: Site, key: str) -> None:
    assert called.get(f"/lens/callers/{key}").status_code == 404
    assert called.get(f"/lens/callers/{key}/forget").status_code == 404
    answer = called.client.post(f"/lens/callers/{key}", data={"label": "x"}, headers=OWN)
    assert answer.status_code == 404


def test_a_label_is_shown_in_place_of_the_name_and_is_audited(called: Site) -> None:
    answer = label(called, "  Billing  of 2026 ")
    assert answer.status_code == 303
    text = called.get(answer.headers["location"]).text
    assert "Saved." in page_text(text)
    assert title(text).startswith("Caller Billing of 2026 · ")
    assert figures(text)["Own name"] == "billing-service"
    assert field(text, "label").value == "Billing of 2026"
    listed = table(called.get("/lens/callers?q=billing-service").text, "Callers with")
    assert listed.names == ["Billing of 2026"]
    entry = table_rows(called.lens.database, AUDIT)[-1]
    assert (entry.action, entry.target) == ("label_caller", f"{BILLING.id:016x}")
    assert (entry.before, entry.after) == ("", "Billing of 2026")
    audit = page_text(called.get("/lens/settings/audit").text)
    assert f"labelled the caller {BILLING.id:016x} – → Billing of 2026" in audit
    assert label(called, "").status_code == 303
    assert title(called.get(page_of(BILLING)).text).startswith("Caller billing-service · ")


def test_the_same_label_again_is_no_change(called: Site) -> None:
    label(called, "a")
    before = len(table_rows(called.lens.database, AUDIT))
    label(called, "a")
    assert len(table_rows(called.lens.database, AUDIT)) == before


def test_a_label_that_is_too_long_is_cut(called: Site) -> None:
    label(called, "x" * 300)
    (row,) = [one for one in table_rows(called.lens.database, CALLER) if one.id == BILLING.id]
    assert row.label == "x" * 200


def test_a_caller_is_forgotten_after_a_confirmation(called: Site) -> None:
    text = called.get(page_of(BILLING)).text
    asked = called.get(link(text, "Forget this caller …").href).text
    assert "Forget billing-service" in page_text(asked)
    assert "its part in 35 calls of 2 endpoints" in page_text(asked)
    assert BILLING.id in {one.id for one in table_rows(called.lens.database, CALLER)}
    answer = called.client.post(f"{page_of(BILLING)}/forget", headers=OWN)
    assert answer.status_code == 303
    text = called.get(answer.headers["location"]).text
    assert "The caller is forgotten." in page_text(text)
    assert table(text, "Callers with").names == ["web", "others", "key …a3f9"]
    assert called.get(page_of(BILLING)).status_code == 404
    entry = table_rows(called.lens.database, AUDIT)[-1]
    assert (entry.action, entry.target) == ("forget_caller", f"{BILLING.id:016x}")
    assert entry.before == "35 calls of 2 endpoints"
    audit = page_text(called.get("/lens/settings/audit").text)
    assert f"forgot the caller {BILLING.id:016x}" in audit
    assert "billing" not in audit


def test_all_callers_are_forgotten_when_the_apps_name_is_typed(called: Site) -> None:
    danger = called.get("/lens/settings/danger").text
    assert "Forget all callers" in danger
    page = "/lens/settings/danger/callers"
    asked = page_text(called.get(page).text)
    assert "The names and labels of 4 callers" in asked
    for wrong in ("", "Site"):
        answer = called.client.post(page, data={"confirm": wrong}, headers=OWN)
        assert answer.status_code == 422
        assert "This is not site. Nobody was forgotten." in answer.text
    answer = called.client.post(page, data={"confirm": " site "}, headers=OWN)
    assert answer.status_code == 303
    assert "All callers are forgotten." in called.get(answer.headers["location"]).text
    assert table_rows(called.lens.database, CALLER) == []
    (others,) = table(called.get("/lens/callers").text, "Callers with").rows
    assert (others["Caller"], others["Endpoints"], others.links) == ("others", "3", ())
    assert "The names and labels of 0 callers" in page_text(called.get(page).text)
    entry = table_rows(called.lens.database, AUDIT)[-1]
    assert (entry.action, entry.target, entry.before) == ("forget_callers", "all", "4 callers")


def test_whoever_may_only_read_can_neither_label_nor_forget(make_site: Callable[..., Site]) -> None:
    keys = {"ops": "admin-key", "audit": KeyConfig("read-key", scope="read")}
    site = make_site(callers="agent", report_keys=keys)
    site.count_at(site.lens.clock() - 60, "GET", "/health", by=BILLING)
    reader = {"X-Lens-Key": "read-key"}
    text = site.get(page_of(BILLING), **reader).text
    assert rows(text).names == ["GET /health"]
    assert "Save label" not in text
    assert "Forget" not in text
    assert label(site, "x", **reader).status_code == 403
    for page in (f"{page_of(BILLING)}/forget", "/lens/settings/danger/callers"):
        assert site.get(page, **reader).status_code == 403
        assert site.client.post(page, headers={**OWN, **reader}).status_code == 403
    assert len(table_rows(site.lens.database, CALLER)) == 1


def test_a_key_is_shown_by_its_last_digits(called: Site) -> None:
    text = called.get(page_of(KEY)).text
    assert title(text).startswith("Caller key …a3f9 · ")
    assert KEY.name not in text
    assert figures(text)["Known by"] == "API key"
    assert rows(called.get(page_of(WEB)).text).names == ["GET /users/{user_id}"]


def test_a_caller_of_ignored_endpoints_alone_uses_none(make_site: Callable[..., Site]) -> None:
    site = make_site(callers="key")
    site.count_at(site.lens.clock() - 60, "GET", "/health", by=BILLING)
    rule = {"version": "0", "pattern": "/health", "do": "save"}
    assert site.client.post("/lens/settings/rules", data=rule, headers=OWN).status_code == 303
    assert "It uses no endpoint." in page_text(site.get(page_of(BILLING)).text)


def test_a_live_update_of_a_caller_without_news_is_a_304(called: Site) -> None:
    first = called.fragment(page_of(BILLING))
    again = called.fragment(page_of(BILLING), **{"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304
