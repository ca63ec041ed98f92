"""Endpoints over releases, settings and deletions: nothing of it looks like a silence."""

import logging
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI, WebSocket
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from benchmarks.support.rows import FlakyDatabase, delta, facts, table_rows, worker
from fastapi_lens import LensConfig
from fastapi_lens.recording.flush import clock_jumps, registration
from fastapi_lens.runtime.lens import Lens
from fastapi_lens.settings.ignore_rules import Rule
from fastapi_lens.storage.records.audit import AuditEntry
from fastapi_lens.storage.records.settings import Stored, write_section
from fastapi_lens.storage.retention.purge import Choice, purge
from fastapi_lens.storage.schema.identities import release_id
from fastapi_lens.storage.schema.tables import ENDPOINT
from fastapi_lens.storage.writing.batches import Batch
from fastapi_lens.storage.writing.evidence import MARGIN_SECONDS
from fastapi_lens.verdict.level import Level
from fastapi_lens.verdict.reasons import Code
from fastapi_lens.verdict.sentences import sentence
from tests.storage.first_edition import FirstWorker, make_tables

T = 1_796_000_000.0
HOUR, DAY = 3_600.0, 86_400.0


class Site:
    """Releases of one application that record into one database, under a clock that stands still.

    Attributes:
        now: Epoch seconds.
    """

    def __init__(self, path: Path) -> None:
        self.now = T
        self._path = path
        self._started: list[Lens] = []

    def start(self, app: Any, release: str = "1", **config: Any) -> Lens:
        settings = {"app_name": "shop", "db_path": str(self._path), **config}
        made = Lens(LensConfig(release=release, **settings), clock=lambda: self.now)
        made.discover(app)
        self._started.append(made)
        assert made.flusher.flush()
        return made

    def rows(self) -> dict[str, Any]:
        rows = table_rows(self._started[-1].database, ENDPOINT)
        return {row.path if row.app == "shop" else f"{row.app}: {row.path}": row for row in rows}

    def pass_time(self, lens: Lens, seconds: float, *others: Lens) -> None:
        """Time passes, in which workers flush as always, and one of them deletes."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + 20 * 60)
            for each in (*others, lens):
                assert each.flusher.flush()
            lens.flusher.prune()

    def stop(self) -> None:
        for lens in self._started:
            lens.stop()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    made = Site(tmp_path / "lens.db")
    monkeypatch.setattr(registration, "REDISCOVER_EVERY_SECONDS", 0.0)
    monkeypatch.setattr(clock_jumps.ClockJumps.__init__, "__defaults__", (lambda: made.now,))
    yield made
    made.stop()


async def answer() -> None:
    """Answer nothing."""


def app_with(*paths: str, title: str = "FastAPI") -> FastAPI:
    app = FastAPI(title=title)
    for path in paths:
        app.get(path)(answer)
    return app


def call(lens: Lens, path: str, status: int = 200) -> None:
    lens.recorder.count(method="GET", path=path, status=status, duration_ns=1_000)
    assert lens.flusher.flush()


def rule(lens: Lens, version: int, *rules: Rule) -> None:
    stored = Stored({"rules": [one.as_stored() for one in rules]}, version)
    entry = AuditEntry(at_us=1, actor="ada", client="", action="save", target="rules")
    assert write_section(lens.database, lens.app_name, "rules", stored, entry)
    lens.refresh_settings()


def test_a_removed_endpoint_returns_without_the_evidence_of_its_absence(site: Site) -> None:
    first = site.start(app_with("/a", "/b"), "1")
    call(first, "/b")
    site.now += HOUR
    second = site.start(app_with("/a"), "2")
    site.pass_time(second, HOUR, first)
    assert site.rows()["/b"].removed_at == 0, "a worker of the first release runs"
    first.stop()
    site.pass_time(second, 2 * HOUR)
    gone = site.rows()["/b"]
    assert T + 2 * HOUR < gone.removed_at / 1e6 <= T + 4 * HOUR
    assert site.rows()["/a"].removed_at == 0

    site.now += HOUR
    returned_at = site.now
    site.start(app_with("/a", "/b"), "3")

    rows = site.rows()
    assert (rows["/b"].removed_at, rows["/b"].present_since / 1e6) == (0, returned_at)
    assert rows["/a"].present_since == 0
    assert rows["/b"].last_used_at / 1e6 == T
    for path, last_called in (("/a", 0), ("/b", release_id("shop", "1"))):
        assert rows[path].first_release_id == release_id("shop", "1")
        assert rows[path].last_release_id == release_id("shop", "3")
        assert rows[path].last_called_release_id == last_called


def test_the_endpoints_of_a_long_lived_worker_stay(site: Site) -> None:
    lens = site.start(app_with("/a", "/b"))
    site.pass_time(lens, 3 * DAY)
    assert {row.removed_at for row in site.rows().values()} == {0}
    assert {row.present_since for row in site.rows().values()} == {0}


def test_a_worker_takes_back_a_removal_of_what_it_has(site: Site) -> None:
    lens = site.start(app_with("/a"))
    with lens.database.write() as connection:
        connection.execute(ENDPOINT.update().values(removed_at=round(T * 1e6)))
    site.pass_time(lens, 60)
    assert site.rows()["/a"].removed_at == 0
    assert site.rows()["/a"].present_since / 1e6 == T + 60


def test_a_renamed_parameter_keeps_the_shape(site: Site) -> None:
    first = site.start(app_with("/orders/{id}"))
    call(first, "/orders/{id}")
    first.stop()
    site.now += HOUR
    second = site.start(app_with("/orders/{order_id}"), "2")
    site.pass_time(second, HOUR)
    old, new = (site.rows()[path] for path in ("/orders/{id}", "/orders/{order_id}"))
    assert old.shape_id == new.shape_id
    assert old.removed_at > 0 == new.removed_at
    assert (old.last_used_at / 1e6, new.last_used_at) == (T, 0)
    assert new.first_seen_at / 1e6 == T + HOUR


def test_an_endpoint_that_the_code_excludes_loses_its_evidence_and_then_its_place(
    site: Site,
) -> None:
    first = site.start(app_with("/a", "/b"))
    call(first, "/b")
    site.now += HOUR
    second = site.start(app_with("/a", "/b"), exclude_paths=["/b"])
    # The old release still counts its own calls, but not those that the new one answers.
    site.pass_time(second, HOUR, first)
    excluded = site.rows()["/b"]
    assert excluded.removed_at == 0
    assert excluded.evidence_since / 1e6 == site.now + MARGIN_SECONDS
    assert site.rows()["/a"].evidence_since == 0
    first.stop()
    site.pass_time(second, HOUR)
    assert site.rows()["/b"].removed_at > 0
    second.stop()
    site.now += HOUR
    site.start(app_with("/a", "/b"))
    assert site.rows()["/b"].present_since / 1e6 == site.now


@pytest.mark.parametrize("statuses", [(), (2,), (3,), (4,), (5,)])
def test_what_a_rule_keeps_from_being_counted_is_no_silence(
    site: Site, statuses: tuple[int, ...]
) -> None:
    lens = site.start(app_with("/a", "/b"))
    call(lens, "/b")
    rule(lens, 0, Rule(id="1", pattern="/b", statuses=statuses))
    site.pass_time(lens, 3 * HOUR)
    ended_at = site.now
    assert site.rows()["/b"].evidence_since / 1e6 == ended_at + MARGIN_SECONDS
    rule(lens, 1, Rule(id="1", pattern="/b", statuses=statuses, paused=True))
    site.pass_time(lens, 3 * HOUR)
    assert site.rows()["/b"].evidence_since / 1e6 == ended_at + MARGIN_SECONDS
    assert site.rows()["/a"].evidence_since == 0
    assert site.rows()["/b"].removed_at == 0


def test_a_rule_covers_endpoints_that_nobody_has_called_since_the_start(site: Site) -> None:
    first = site.start(app_with("/a"))
    call(first, "/hidden/by-a-class")
    first.stop()
    site.now += HOUR
    lens = site.start(app_with("/a"))
    rule(lens, 0, Rule(id="1", pattern="/hidden/**"))
    site.pass_time(lens, HOUR)
    assert site.rows()["/hidden/by-a-class"].evidence_since / 1e6 == site.now + MARGIN_SECONDS


def test_a_changed_title_begins_without_history(site: Site) -> None:
    call(site.start(app_with("/a", title="Old"), app_name=None), "/a")
    site.now += DAY
    site.start(app_with("/a", title="New"), app_name=None)
    old, new = site.rows()["Old: /a"], site.rows()["New: /a"]
    assert (new.first_seen_at / 1e6, new.last_used_at) == (T + DAY, 0)
    assert old.last_used_at / 1e6 == T


def test_deleted_history_stays_deleted_in_a_worker_that_runs(site: Site) -> None:
    lens = site.start(app_with("/a"))
    call(lens, "/a")
    site.now += DAY
    row = site.rows()["/a"]
    list(purge(lens.database, Choice("shop", [row.id], keeps_endpoints=True), now=site.now))
    assert site.rows()["/a"].evidence_since / 1e6 == T + DAY
    site.now += HOUR
    list(purge(lens.database, Choice("shop", [row.id]), now=site.now))
    call(lens, "/a")
    lens.flusher.flush()
    found = site.rows()["/a"]
    assert (found.kind, found.name) == ("http", row.name)
    assert found.evidence_since / 1e6 >= T + DAY + HOUR


def test_an_upgrade_takes_nothing_before_it_for_observed(tmp_path: Path, site: Site) -> None:
    database = FlakyDatabase(f"sqlite:///{tmp_path / 'lens.db'}")
    make_tables(database)
    old = FirstWorker(database, worker("old", "shop"))
    known = [facts(path, app="shop", name="app.old") for path in ("/a", "/orders/{id}")]
    old.start(known)
    old.write(Batch(1, (delta(known[0].id),)))

    lens = site.start(app_with("/a", "/orders/{id}"), "2")

    row = site.rows()["/a"]
    assert row.last_called_at > row.last_used_at == 0
    assert (row.present_since, row.evidence_since, row.first_release_id) == (0, 0, 0)
    assert row.last_release_id == release_id("shop", "2")
    assert site.rows()["/orders/{id}"].shape_id > 0
    # The old worker goes on to write, and to report endpoints of its own.
    old.write(Batch(2, (delta(known[0].id, status=404),)))
    late = facts("/late/{id}", app="shop", name="app.late")
    FirstWorker(database, worker("older", "shop")).start([late])
    site.pass_time(lens, 60)
    assert site.rows()["/late/{id}"].shape_id > 0
    call(lens, "/a")
    assert site.rows()["/a"].last_used_at / 1e6 == site.now
    assert site.rows()["/a"].last_called_release_id == release_id("shop", "2")
    assert site.rows()["/a"].first_called_release_id == 0
    database.close()


def overrides_in(site: Site) -> dict[str, str | None]:
    return {path: row.overrides for path, row in site.rows().items()}


def with_overrides(value: object) -> dict[str, Any]:
    return {"openapi_extra": {"x-lens": value}}


def test_overrides_of_routes_reach_their_rows_and_follow_the_code(site: Site) -> None:
    app, router = FastAPI(), APIRouter()
    keep = {"until": "2027-06-30", "keep": "disaster  recovery"}
    app.get("/kept", **with_overrides(keep))(answer)
    app.get("/dated", **with_overrides({"keep": "audit", "until": date(2027, 1, 1)}))(answer)
    app.get("/empty", **with_overrides({}))(answer)
    router.get("/yearly", **with_overrides({"cadence": "yearly"}))(answer)
    app.include_router(router, prefix="/v1")
    app.get("/plain", openapi_extra={"x-other": 1})(answer)

    @app.websocket("/live")
    async def live(socket: WebSocket) -> None:
        await socket.close()

    site.start(app)
    assert overrides_in(site) == {
        "/kept": '{"keep":"disaster recovery","until":"2027-06-30"}',
        "/dated": '{"keep":"audit","until":"2027-01-01"}',
        "/v1/yearly": '{"cadence":"yearly"}',
        **dict.fromkeys(("/empty", "/plain", "/live")),
    }
    changed = FastAPI()
    changed.get("/kept", **with_overrides({"cadence": "quarterly"}))(answer)
    changed.get("/dated")(answer)
    site.start(changed, "2")
    found = overrides_in(site)
    assert (found["/kept"], found["/dated"]) == ('{"cadence":"quarterly"}', None)


def test_routes_of_starlette_have_no_overrides(site: Site) -> None:
    async def plain(_request: Request) -> PlainTextResponse:
        return PlainTextResponse("")

    site.start(Starlette(routes=[Route("/plain", plain)]))
    assert overrides_in(site) == {"/plain": None}


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({"keep": "audit"}, "x-lens.until must be the last day"),
        ({"cadence": ["yearly"]}, "x-lens.cadence must be one of"),
        ({"keeps": "audit"}, "x-lens.keeps is not known"),
        ("yearly", "x-lens must be a mapping"),
        (7, "x-lens must be a mapping"),
    ],
)
def test_an_endpoint_is_kept_with_one_warning_if_its_overrides_cannot_work(
    site: Site, caplog: pytest.LogCaptureFixture, value: object, problem: str
) -> None:
    app = FastAPI()
    app.get("/a", **with_overrides(value))(answer)
    with caplog.at_level(logging.WARNING, "fastapi_lens"):
        lens = site.start(app)
        site.pass_time(lens, 60)
    (record,) = caplog.records
    assert "keeps GET /a, because its overrides are invalid: " in record.getMessage()
    assert problem in record.getMessage()
    (found,) = lens.reader.evidence(site.now + 900 * DAY).endpoints
    assert found.verdict.level is Level.KEPT
    (reason,) = [sentence(one) for one in found.verdict.reasons if one.code is Code.KEPT]
    assert reason.startswith("Kept (set in the code): the x-lens of its route is invalid: x-lens")
    assert problem in reason


def test_a_reason_with_a_lone_surrogate_is_stored_as_text(site: Site) -> None:
    app = FastAPI()
    app.get("/a", **with_overrides({"keep": "é\ud800", "until": "2027-06-30"}))(answer)
    site.start(app)
    assert overrides_in(site) == {"/a": '{"keep":"\\u00e9?","until":"2027-06-30"}'}
