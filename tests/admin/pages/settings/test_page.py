from collections.abc import Callable
from dataclasses import replace

import pytest

from fastapi_lens.storage.coordination.heartbeat import beat, note_killed
from fastapi_lens.storage.coordination.worker import Heartbeat, WorkerFacts
from tests.admin.conftest import Site
from tests.support.writing import Writer

pytestmark = pytest.mark.unmeasured

OTHER = WorkerFacts("other", "site", "web-2", 4712, "2.14.0", 1_000_000, 5_000)


def heard_of(site: Site, facts: WorkerFacts, *, ago: float = 0, **said: int) -> None:
    now_us = round((site.lens.clock() - ago) * 1_000_000)
    Writer(site.lens.database, facts).register([], applied=0, now_us=now_us)
    heartbeat = Heartbeat(now_us=now_us, complete_to_us=now_us, **said)  # type: ignore[arg-type]
    beat(site.lens.database, facts, heartbeat)


def test_each_worker_says_how_it_does_and_how_much_of_a_core_it_uses(site: Site) -> None:
    heard_of(site, OTHER, pending=7, dropped=1_234, flush_us=4_500, core_ppm=4_000)
    page = site.get("/lens/settings").text
    assert "web-2:4712" in page
    for told in (">Running<", ">2.14.0<", ">7<", ">1,234<", ">4.5 ms <small>every 5 s<", ">0.4%<"):
        assert told in page
    assert "1,234 calls" in page
    assert figure(page, "The lens uses") == "0.4% of one core per worker"
    assert '<a href="/lens/settings" aria-current="page">Settings</a>' in page


def test_a_worker_that_has_just_started_has_measured_nothing_yet(site: Site) -> None:
    assert figure(site.get("/lens/settings").text, "The lens uses") == "not measured yet"


def test_a_worker_that_was_killed_is_told_from_one_that_ended_or_is_silent(site: Site) -> None:
    heard_of(site, replace(OTHER, id="killed"), ago=30)
    after = replace(OTHER, id="next")
    note_killed(site.lens.database, after, lambda one: one.pid == 4712, now_us=0)
    assert ">Killed<" in (page := site.get("/lens/settings").text)
    assert "A killed worker has lost at most the calls of its last flush interval." in page
    heard_of(site, replace(OTHER, id="silent"), ago=100)
    assert ">Silent<" in site.get("/lens/settings").text


def test_the_footer_of_every_page_leads_to_the_workers_and_tells_what_they_use(site: Site) -> None:
    heard_of(site, OTHER, core_ppm=4_000)
    page = site.get("/lens/").text
    assert '<a href="/lens/settings#workers">2 workers</a>' in page
    assert "0.4% of one core per worker" in page


def test_the_footer_of_a_single_worker_tells_what_it_uses(site: Site) -> None:
    heard_of(site, site.lens._worker, core_ppm=400)
    assert " · the lens uses &lt;0.1% of one core · database " in site.get("/lens/").text


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
    assert "&lt;b&gt;web" in page
    assert "&lt;i&gt;2" in page


def figure(page: str, title: str) -> str:
    return page.partition(f"<dt>{title}</dt><dd>")[2].partition("</dd>")[0]


def test_the_size_of_the_database_and_what_it_comes_to_are_shown(site: Site) -> None:
    for path in ("/users", "/health"):
        site.count("GET", path)
    page = site.get("/lens/settings").text
    assert figure(page, "Size now").endswith(" kB")
    assert figure(page, "Endpoints called per day") == "2"
    assert figure(page, "Expected size").endswith(("kB", "MB"))
    for told in (">6 hours<", ">35 days<", ">400 days<", ">forever<", ">Status code<"):
        assert told in page
    assert "an estimate for this database" in page
    assert "Weeks are kept forever" in page
    assert figure(page, "Logs when full") == "1.1 MB"
    assert ">35 days, at most 10,000<" in page


def test_the_estimate_follows_a_retention_that_changes_while_the_app_runs(site: Site) -> None:
    site.count("GET", "/users")
    before = figure(site.get("/lens/settings").text, "Expected size")
    site.lens.retention.ttl_days = 30
    page = site.get("/lens/settings").text
    assert figure(page, "Expected size") != before
    assert "with a retention of 30 days." in page
    assert ">forever<" not in page
    assert "Weeks are kept" not in page


def test_a_size_that_the_database_does_not_tell_is_unknown(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site.lens.database, "size_bytes", lambda _connection: None)
    assert figure(site.get("/lens/settings").text, "Size now") == "unknown"
