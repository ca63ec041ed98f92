"""Endpoints that left the routes: noted once nobody has them, and never while somebody does."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from benchmarks.support.rows import APP, FlakyDatabase, facts, table_rows, worker
from fastapi_lens.storage.coordination.heartbeat import beat
from fastapi_lens.storage.coordination.worker import Heartbeat, WorkerFacts
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.retention.pruner import Pruner, Retention
from fastapi_lens.storage.retention.removals import RESTART_SECONDS, removal_chunks
from fastapi_lens.storage.schema.data_version import data_version
from fastapi_lens.storage.schema.tables import ENDPOINT, WORKER
from fastapi_lens.storage.writing.batches import EndpointFacts
from fastapi_lens.storage.writing.registrar import Registrar
from tests.storage.first_edition import FirstWorker

T = 1_773_014_400.0
DAY = 86_400.0
A, B = facts("/a", name="app.a"), facts("/b", name="app.b")
GONE = RESTART_SECONDS + 60.0
"""Seconds after its end from which a worker's endpoints may be removed."""


def start(
    database: Database, name: str, at: float, has: Iterable[EndpointFacts] = (A, B), app: str = APP
) -> WorkerFacts:
    """A worker starts, and reports its endpoints two seconds later."""
    made = worker(name, app, started_at=at)
    report(database, made, at + 2, has)
    return made


def report(
    database: Database, who: WorkerFacts, at: float, has: Iterable[EndpointFacts] = (A, B)
) -> None:
    seen = [replace(one, seen_at_us=round(at * 1e6)) for one in has]
    Registrar(database, who).register(seen, applied=0, now_us=round(at * 1e6))


def say(database: Database, who: WorkerFacts, at: float, *, ended: bool = False) -> None:
    beat(database, who, Heartbeat(now_us=round(at * 1e6), complete_to_us=0, ended=ended))


def end(database: Database, who: WorkerFacts, at: float) -> None:
    say(database, who, at, ended=True)


def look(database: Database, at: float, *living: WorkerFacts, app: str = APP) -> None:
    """Note what was removed, just after some workers have said that they live."""
    for one in living:
        say(database, one, at)
    list(removal_chunks(database, app, now=at, timer=time.monotonic))


def removed(database: Database) -> dict[str, float]:
    rows = table_rows(database, ENDPOINT)
    return {row.path: row.removed_at / 1e6 for row in rows if row.removed_at}


def row_of(database: Database, path: str) -> Any:
    return next(row for row in table_rows(database, ENDPOINT) if row.path == path)


def test_an_endpoint_is_removed_once_no_release_that_has_it_runs(database: Database) -> None:
    old = start(database, "old", T)
    new = start(database, "new", T + 100, [A])
    look(database, T + 150, old, new)
    end(database, old, T + 200)
    # The old release may be restarting.
    look(database, T + 300, new)
    assert removed(database) == {}
    with database.read() as connection:
        before = connection.execute(sa.select(data_version())).scalar()

    look(database, T + 200 + GONE, new)

    assert removed(database) == {"/b": T + 200 + GONE}
    with database.read() as connection:
        assert connection.execute(sa.select(data_version())).scalar() != before
    look(database, T + 200 + 2 * GONE, new)
    assert removed(database) == {"/b": T + 200 + GONE}


def test_a_return_ends_the_removal_and_begins_a_new_presence(database: Database) -> None:
    end(database, start(database, "old", T), T + 10)
    new = start(database, "new", T + 100, [A])
    look(database, T + DAY, new)
    assert removed(database) == {"/b": T + DAY}

    back = start(database, "back", T + 2 * DAY)

    assert removed(database) == {}
    assert row_of(database, "/b").present_since / 1e6 == T + 2 * DAY + 2
    assert row_of(database, "/a").present_since == 0
    report(database, back, T + 3 * DAY)
    assert row_of(database, "/b").present_since / 1e6 == T + 2 * DAY + 2


def test_a_return_by_a_clock_that_is_behind_is_no_earlier_than_the_removal(
    database: Database,
) -> None:
    end(database, start(database, "old", T), T + 10)
    look(database, T + DAY, start(database, "new", T + 100, [A]))
    start(database, "behind", T - 300 * DAY)
    assert row_of(database, "/b").present_since / 1e6 == T + DAY


def test_without_a_living_worker_nothing_is_removed(database: Database) -> None:
    end(database, start(database, "old", T), T + 10)
    start(database, "new", T + 100, [A])
    look(database, T + DAY)
    assert removed(database) == {}


@pytest.mark.parametrize("days", [1, 400])
def test_the_endpoints_of_a_worker_that_runs_for_long_are_never_removed(
    local: FlakyDatabase, days: int
) -> None:
    old = start(local, "old", T)
    new = start(local, "new", T + DAY / 2, [A])
    look(local, T + days * DAY, old, new)
    assert removed(local) == {}


def test_two_services_of_one_name_keep_their_endpoints_while_one_restarts(
    database: Database,
) -> None:
    first = start(database, "first", T, [A])
    second = start(database, "second", T + DAY, [B])
    look(database, T + 2 * DAY, first, second)
    assert removed(database) == {}

    end(database, first, T + 2 * DAY)
    look(database, T + 2 * DAY + 300, second)
    first = start(database, "first-again", T + 2 * DAY + 400, [A])
    look(database, T + 3 * DAY, first, second)
    assert removed(database) == {}

    # A crash is no different from an end.
    look(database, T + 3 * DAY + 300, second)
    assert removed(database) == {}
    look(database, T + 3 * DAY + GONE, second)
    assert removed(database) == {}, "the second service was there before the first restarted"


def test_what_only_one_of_two_services_had_is_removed_when_it_is_gone(database: Database) -> None:
    first = start(database, "first", T, [A])
    second = start(database, "second", T + DAY, [B])
    look(database, T + 2 * DAY, first, second)
    look(database, T + 2 * DAY + GONE, second)
    assert removed(database) == {"/a": T + 2 * DAY + GONE}


def test_only_what_workers_report_without_a_call_is_removed(local: FlakyDatabase) -> None:
    bare = [
        facts("/silent", "PUT"),
        facts("/strange", "_OTHER", name="app.strange"),
        facts("<unmapped>", name="app.none"),
    ]
    mounted = [facts("/files/{path}", kind="mount"), facts("/live", "WEBSOCKET", kind="websocket")]
    end(local, start(local, "old", T, [*bare, *mounted, B]), T + 10)
    look(local, T + DAY, start(local, "new", T + 100, [A]))
    assert set(removed(local)) == {"/files/{path}", "/live", "/b"}


def test_other_apps_keep_their_endpoints(local: FlakyDatabase) -> None:
    theirs = facts("/b", app="shop", name="shop.b")
    end(local, start(local, "theirs", T, [theirs], "shop"), T + 10)
    end(local, start(local, "old", T), T + 10)
    new = start(local, "new", T + 100, [A])
    look(local, T + DAY, new)
    assert [row.app for row in table_rows(local, ENDPOINT) if row.removed_at] == [APP]
    look(local, T + DAY, new, app="shop")
    assert [row.app for row in table_rows(local, ENDPOINT) if row.removed_at] == [APP]


def test_a_clock_that_was_set_back_after_the_start_removes_nothing(local: FlakyDatabase) -> None:
    """By three hours, which is a step that nobody corrects."""
    made = worker("set-back", started_at=T + 3 * 3_600)
    report(local, made, T + 60)
    look(local, T + 4 * 3_600, made)
    assert removed(local) == {}


def test_a_worker_that_started_in_the_future_removes_nothing(local: FlakyDatabase) -> None:
    end(local, start(local, "old", T), T + 10)
    made = worker("ahead", started_at=T + 400 * DAY)
    report(local, made, T + 60, [A])
    look(local, T + DAY, made)
    assert removed(local) == {}


def test_a_worker_whose_clock_is_behind_takes_no_endpoint_from_others(
    local: FlakyDatabase,
) -> None:
    running = start(local, "running", T)
    end(local, start(local, "behind", T - DAY / 2), T - DAY / 2 + 10)
    look(local, T + DAY, running)
    assert removed(local) == {}


def test_a_report_far_ahead_gives_way_to_the_next_one(local: FlakyDatabase) -> None:
    ahead = worker("ahead", started_at=T)
    report(local, ahead, T + 400 * DAY)
    report(local, worker("right", started_at=T), T + 60)
    assert row_of(local, "/b").last_seen_at / 1e6 == T + 60


def test_a_worker_that_reports_while_removals_are_noted_keeps_its_endpoints(
    local: FlakyDatabase,
) -> None:
    end(local, start(local, "old", T), T + 10)
    new = start(local, "new", T + 100, [A])
    say(local, new, T + DAY)
    late = worker("late", started_at=T + DAY)

    def register() -> None:
        local.has_read = lambda: None
        report(local, late, T + DAY + 1)

    local.has_read = register
    look(local, T + DAY)
    assert removed(local) == {}


def test_what_a_worker_of_an_older_release_reports_has_returned(local: FlakyDatabase) -> None:
    end(local, start(local, "old", T), T + 10)
    new = start(local, "new", T + 100, [A])
    look(local, T + DAY, new)
    assert set(removed(local)) == {"/b"}
    older = FirstWorker(local, worker("older", started_at=T + 2 * DAY))
    older.start([B])
    seen = sa.update(ENDPOINT).where(ENDPOINT.c.path == "/b")
    with local.write() as connection:
        connection.execute(seen.values(last_seen_at=round((T + 2 * DAY) * 1e6)))
    look(local, T + 2 * DAY + 60, new)
    assert removed(local) == {}
    assert row_of(local, "/b").present_since / 1e6 == T + 2 * DAY + 60


def test_many_endpoints_are_noted_in_short_transactions(
    local: FlakyDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fastapi_lens.storage.retention.removals.AT_ONCE", 2)
    many = [facts(f"/{number}", name="app.many") for number in range(10, 15)]
    end(local, start(local, "old", T, many), T + 10)
    new = start(local, "new", T + 100, [A])
    say(local, new, T + DAY)
    chunks = list(removal_chunks(local, APP, now=T + DAY, timer=time.monotonic))
    assert [chunk.rows for chunk in chunks] == [0, 0, 0]
    assert len(removed(local)) == 5


def pruned(database: Database, names: Sequence[str], at: float) -> None:
    for name in names:
        retention = Retention(app=APP)
        Pruner(database, retention, owner=name, rest=lambda _seconds: False).visit(now=at)


def test_one_worker_at_a_time_notes_removals_with_the_lease_of_the_app(
    local: FlakyDatabase,
) -> None:
    end(local, start(local, "old", T), T + 10)
    new = start(local, "new", T + 100, [A])
    say(local, new, T + DAY)
    pruned(local, ["new"], T + DAY)
    assert removed(local) == {"/b": T + DAY}
    with local.write() as connection:
        connection.execute(sa.update(ENDPOINT).values(removed_at=0))
    pruned(local, ["new", "other"], T + DAY + 60)
    assert removed(local) == {}, "the lease is taken"


def test_a_worker_that_never_compared_its_clock_is_judged_by_ours(database: Database) -> None:
    """The database's own clock shows another year."""
    end(database, start(database, "old", T), T + 10)
    new = start(database, "new", T + 100, [A])
    rows = {row.id: row.clock_ahead_us for row in table_rows(database, WORKER)}
    assert rows == {"old": None, "new": None}
    look(database, T + DAY, new)
    assert set(removed(database)) == {"/b"}
