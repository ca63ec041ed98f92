from collections.abc import Callable
from dataclasses import replace

import pytest

from benchmarks.support.rows import table_rows
from benchmarks.support.writing import Writer
from fastapi_lens.storage.coordination.heartbeat import beat, note_killed
from fastapi_lens.storage.coordination.worker import Heartbeat, WorkerFacts
from fastapi_lens.storage.schema.tables import WORKER
from tests.admin.conftest import Site
from tests.support.pages import Link, Table, figures, link, links, page_text, table

pytestmark = pytest.mark.unmeasured

OTHER = WorkerFacts("other", "site", "web-2", 4712, "2.14.0", 1_000_000, 5_000)


def workers(page: str) -> Table:
    return table(page, "Workers")


def heard_of(site: Site, facts: WorkerFacts, *, ago: float = 0, **said: int) -> None:
    now_us = round((site.lens.clock() - ago) * 1_000_000)
    Writer(site.lens.database, facts).register([], applied=0, now_us=now_us)
    heartbeat = Heartbeat(now_us=now_us, complete_to_us=now_us, **said)  # type: ignore[arg-type]
    beat(site.lens.database, facts, heartbeat)


def test_each_worker_says_how_it_does_and_how_much_of_a_core_it_uses(site: Site) -> None:
    heard_of(site, OTHER, pending=7, dropped=1_234, flush_us=4_500, core_ppm=4_000)
    page = site.get("/lens/settings").text
    row = workers(page)["web-2:4712"]
    assert (row["State"], row["Release"]) == ("Running", "2.14.0")
    assert (row["Not yet written"], row["Lost calls"]) == ("7", "1,234")
    assert (row["Last flush"], row["Share of one core"]) == ("4.5 ms every 5 s", "0.4%")
    assert figures(page)["Lost"] == "1,234 calls"
    assert figures(page)["The lens uses"] == "0.4% of one core per worker"
    assert Link("Settings", "/lens/settings", current=True) in links(page)


def test_a_worker_that_has_just_started_has_measured_nothing_yet(site: Site) -> None:
    assert figures(site.get("/lens/settings").text)["The lens uses"] == "not measured yet"


def test_a_worker_that_was_killed_is_told_from_one_that_ended_or_is_silent(site: Site) -> None:
    heard_of(site, replace(OTHER, id="killed"), ago=30)
    after = replace(OTHER, id="next")
    note_killed(site.lens.database, after, lambda one: one.pid == 4712, now_us=0)
    page = site.get("/lens/settings").text
    assert "Killed" in workers(page).column("State")
    assert "A killed worker has lost at most the calls of its last flush interval." in page
    heard_of(site, replace(OTHER, id="silent"), ago=100)
    assert "Silent" in workers(site.get("/lens/settings").text).column("State")


def test_the_footer_of_every_page_leads_to_the_workers_and_tells_what_they_use(site: Site) -> None:
    heard_of(site, OTHER, core_ppm=4_000)
    page = site.get("/lens/").text
    assert link(page, "2 workers").href == "/lens/settings#workers"
    assert "0.4% of one core per worker" in page


def test_the_footer_of_a_single_worker_tells_what_it_uses(site: Site) -> None:
    (only,) = table_rows(site.lens.database, WORKER)
    heard_of(site, replace(OTHER, id=only.id), core_ppm=400)
    assert " · the lens uses <0.1% of one core · database " in page_text(site.get("/lens/").text)


def test_an_update_brings_the_workers_alone(site: Site) -> None:
    answer = site.fragment("/lens/settings")
    assert answer.headers["hx-push-url"] == "false"
    assert "<html" not in answer.text
    assert 'id="workers"' in answer.text


def test_an_admin_that_nobody_records_for_says_so(make_site: Callable[..., Site]) -> None:
    site = make_site()
    site.lens.app_name = "nobody"
    assert "No workers yet." in site.get("/lens/settings").text


def test_names_of_hosts_and_releases_are_no_markup(site: Site) -> None:
    heard_of(site, replace(OTHER, host="<b>web", release="<i>2"))
    page = site.get("/lens/settings").text
    assert workers(page)["<b>web:4712"]["Release"] == "<i>2"


def test_the_size_of_the_database_and_what_it_comes_to_are_shown(site: Site) -> None:
    for path in ("/users", "/health"):
        site.count("GET", path)
    page = site.get("/lens/settings").text
    shown, stored = figures(page), table(page, "Storage")
    assert shown["Size now"].endswith(" kB")
    assert shown["Endpoints called per day"] == "2"
    assert shown["Expected size"].endswith(("kB", "MB"))
    assert {"6 hours", "35 days", "400 days", "forever"} <= set(stored.column("Kept"))
    assert "Status code" in stored.names
    assert "an estimate for this database" in page
    assert "Weeks are kept forever" in page
    assert shown["Logs when full"] == "1.1 MB"
    assert "35 days, at most 10,000" in stored.column("Kept")


def test_the_estimate_follows_a_retention_that_changes_while_the_app_runs(site: Site) -> None:
    site.count("GET", "/users")
    before = figures(site.get("/lens/settings").text)["Expected size"]
    site.lens.retention.ttl_days = 30
    page = site.get("/lens/settings").text
    assert figures(page)["Expected size"] != before
    assert "with a retention of 30 days." in page
    assert "forever" not in table(page, "Storage").column("Kept")
    assert "Weeks are kept" not in page


def test_a_size_that_the_database_does_not_tell_is_unknown(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site.lens.database, "size_bytes", lambda _connection: None)
    assert figures(site.get("/lens/settings").text)["Size now"] == "unknown"
