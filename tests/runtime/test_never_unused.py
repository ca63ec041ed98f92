"""Nothing that is done to the history or the name of an endpoint makes it look unused."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi import FastAPI

from fastapi_lens import LensConfig
from fastapi_lens.recording.flush import clock_jumps, registration
from fastapi_lens.runtime.lens import Lens
from fastapi_lens.settings.ignore_rules import Rule
from fastapi_lens.storage.records.audit import AuditEntry
from fastapi_lens.storage.records.settings import Stored, write_section
from fastapi_lens.storage.retention.purge import Choice, purge
from fastapi_lens.storage.schema.data_version import note_change
from fastapi_lens.storage.schema.identities import endpoint_id, release_id
from fastapi_lens.storage.schema.tables import OBSERVED, RELEASE
from fastapi_lens.verdict.level import Level
from tests.cli.helpers import run, url_of

NOW = 1_796_000_000.0
DAY = 86_400.0
UNUSED = {Level.SAFE_TO_REMOVE, Level.PROBABLY_UNUSED}
AHEAD = 30
"""Days without a call that are never enough, however well the use before is known."""


class Site:
    """Releases of one application that record into one file, under a clock that stands still.

    Its routes are two years old: ``/used`` was used once a quarter, the last time 60 days ago,
    ``/idle/{id}`` every third day until 411 days ago, and ``/never`` never.

    Attributes:
        now: Epoch seconds.
    """

    def __init__(self, path: Path) -> None:
        self.now, self.path = NOW - 730 * DAY, path
        self._started: list[Lens] = []
        self.lens = self.start("1", "/used", "/idle/{id}", "/never")
        self.observe()
        for ago in (*range(561, 410, -3), 333, 242, 151, 60):
            self.now = NOW - ago * DAY
            self.call("/used" if ago < 410 else "/idle/{id}")
        self.now = NOW

    def start(self, release: str, *paths: str, path: Path | None = None) -> Lens:
        """A release with these routes records from now on, and all others have ended."""
        for lens in self._started:
            lens.stop()
        app = FastAPI(title="shop")
        for route in paths:
            app.get(route)(answer)
        config = LensConfig(release=release, app_name="shop", db_path=str(path or self.path))
        self.lens = Lens(config, clock=lambda: self.now)
        self.lens.discover(app)
        self._started.append(self.lens)
        assert self.lens.flusher.flush()
        return self.lens

    def observe(self) -> None:
        """All of the two years are observed, and the days to come."""
        identity = release_id("shop", "watched")
        begin, end = (int(NOW + days * DAY) // 3_600 for days in (-730, AHEAD + 1))
        row = {"release_id": identity, "minutes": (1 << 60) - 1}
        with self.lens.database.write() as connection:
            release = {"id": identity, "app": "shop", "name": "watched"}
            times = {"first_at": 0, "last_at": 0}
            connection.execute(sa.insert(RELEASE), release | times)
            connection.execute(
                sa.insert(OBSERVED), [{**row, "hour": hour} for hour in range(begin, end)]
            )

    def call(self, path: str) -> None:
        self.lens.recorder.count(method="GET", path=path, status=200, duration_ns=1_000)
        assert self.lens.flusher.flush()

    def pass_time(self, days: float) -> None:
        """Time passes, in which the worker flushes and deletes as always."""
        for _ in range(3):
            self.now += days * DAY / 3
            assert self.lens.flusher.flush()
            self.lens.flusher.prune()

    def rule(self, version: int, *rules: Rule) -> None:
        stored = Stored({"rules": [one.as_stored() for one in rules]}, version)
        entry = AuditEntry(at_us=1, actor="ada", client="", action="save", target="rules")
        assert write_section(self.lens.database, "shop", "rules", stored, entry)
        self.lens.refresh_settings()

    def levels(self, days: float = 0) -> dict[str, Level]:
        """The verdicts of now, or of days later if nothing happens until then."""
        found = self.lens.reader.evidence(self.now + days * DAY)
        return {one.endpoint.path: one.verdict.level for one in found.endpoints}

    def stop(self) -> None:
        for lens in self._started:
            lens.stop()


async def answer() -> None:
    """Answer nothing."""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr(registration, "REDISCOVER_EVERY_SECONDS", 0.0)
    made: list[Site] = []
    monkeypatch.setattr(
        clock_jumps.ClockJumps.__init__, "__defaults__", (lambda: made[0].now if made else 0.0,)
    )
    site = Site(tmp_path / "lens.db")
    made.append(site)
    assert site.levels() == {
        "/used": Level.IN_USE,
        "/idle/{id}": Level.SAFE_TO_REMOVE,
        "/never": Level.SAFE_TO_REMOVE,
    }
    yield site
    site.stop()


def delete_history(site: Site) -> None:
    ids = [endpoint_id("shop", "GET", path) for path in ("/used", "/idle/{id}", "/never")]
    for _ in purge(site.lens.database, Choice("shop", ids, keeps_endpoints=True), now=site.now):
        pass


def delete_endpoints(site: Site) -> None:
    ids = [endpoint_id("shop", "GET", path) for path in ("/used", "/idle/{id}", "/never")]
    for _ in purge(site.lens.database, Choice("shop", ids), now=site.now):
        pass
    site.start("2", "/used", "/idle/{id}", "/never")


def ignore_and_resume(*statuses: int) -> Callable[[Site], None]:
    def change(site: Site) -> None:
        rule = Rule(id="r", pattern="/**", statuses=statuses)
        site.rule(0, rule)
        assert site.lens.flusher.flush()
        site.rule(1)
        assert site.lens.flusher.flush()

    return change


def remove_and_return(site: Site) -> None:
    site.start("2", "/other")
    site.pass_time(1)
    assert set(site.levels()) == {"/other"}
    site.start("3", "/used", "/idle/{id}", "/never")


def lose_observation(site: Site) -> None:
    """As after an upgrade from a release that has not observed."""
    with site.lens.database.write() as connection:
        connection.execute(sa.delete(OBSERVED))
        note_change(site.lens.database, connection)


def import_elsewhere(site: Site) -> None:
    """Move to another database, which has not watched."""
    archive, path = site.path.with_name("shop.jsonl"), site.path.with_name("other.db")
    exported = run("export", archive, "--database", url_of(site.path))
    assert exported.exit_code == 0, exported.output
    site.start("2", "/used", "/idle/{id}", "/never", path=path)
    imported = run("import", archive, "--database", url_of(path))
    assert imported.exit_code == 0, imported.output


@pytest.mark.parametrize(
    "change",
    [
        delete_history,
        delete_endpoints,
        ignore_and_resume(),
        ignore_and_resume(2),
        remove_and_return,
        lose_observation,
        import_elsewhere,
    ],
)
def test_what_is_no_longer_known_is_not_silence(site: Site, change: Any) -> None:
    change(site)
    for days in (0, 1, AHEAD):
        found = site.levels(days)
        assert set(found) >= {"/used", "/idle/{id}", "/never"}
        assert not UNUSED & set(found.values()), days


def test_a_purge_of_old_rows_makes_nothing_unused(site: Site) -> None:
    used = endpoint_id("shop", "GET", "/used")
    before = int(site.now - 30 * DAY)
    for _ in purge(site.lens.database, Choice("shop", [used], before=before), now=site.now):
        pass
    for days in (0, 1, AHEAD):
        assert site.levels(days)["/used"] not in UNUSED


def test_a_renamed_parameter_changes_no_verdict(site: Site) -> None:
    before = site.levels()
    site.start("2", "/used", "/idle/{other_id}", "/never")
    site.pass_time(1)
    after = site.levels()
    assert after == {"/used": before["/used"], "/idle/{other_id}": before["/idle/{id}"]} | {
        "/never": before["/never"]
    }


def test_every_worker_gives_the_same_verdict(site: Site) -> None:
    first = site.levels()
    site.call("/used")
    other = Lens(site.lens.config, clock=lambda: site.now)
    other.discover(FastAPI(title="shop"))
    verdicts = [lens.reader.evidence(site.now) for lens in (site.lens, other)]
    assert verdicts[0] == verdicts[1]
    assert {one.endpoint.path for one in verdicts[0].endpoints} == set(first)
    other.stop()
