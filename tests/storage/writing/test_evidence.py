"""The evidence of endpoints: when it begins anew, because some history is missing."""

from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from benchmarks.support.rows import APP, FlakyDatabase, delta, facts, table_rows, worker
from benchmarks.support.writing import Writer
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.retention.purge import Choice, purge
from fastapi_lens.storage.schema.data_version import data_version
from fastapi_lens.storage.schema.identities import release_id, shape_id
from fastapi_lens.storage.schema.migrations import migrate
from fastapi_lens.storage.schema.tables import ENDPOINT
from fastapi_lens.storage.writing import evidence as evidence_module
from fastapi_lens.storage.writing.batches import Batch
from fastapi_lens.storage.writing.evidence import (
    ALL_COUNTED,
    LEAST_SECONDS,
    MARGIN_SECONDS,
    Evidence,
    Uncounted,
)
from fastapi_lens.storage.writing.registrar import Registrar
from tests.storage.first_edition import FirstWorker, make_tables

T = 1_773_100_000.0
HOUR, DAY = 3_600.0, 86_400.0
A, B = facts("/a", name="app.a"), facts("/b", name="app.b")


def us(seconds: float) -> int:
    return round(seconds * 1e6)


def register(database: Database, *has: Any, at: float = T, name: str = "w1") -> Registrar:
    made = Registrar(database, worker(name))
    made.register([replace(one, seen_at_us=us(at)) for one in has], applied=0, now_us=us(at))
    return made


def row_of(database: Database, path: str = "/a") -> Any:
    return next(row for row in table_rows(database, ENDPOINT) if row.path == path)


def since(database: Database, path: str = "/a") -> float:
    """The begin of an endpoint's evidence, in epoch seconds."""
    return float(row_of(database, path).evidence_since) / 1e6


def call_a(database: Database) -> None:
    writer = Writer(database, worker("caller"))
    writer.register([], applied=0, now_us=us(T))
    writer.write(Batch(1, (delta(A.id),)))


def version_of(database: Database) -> Any:
    with database.read() as connection:
        return connection.execute(sa.select(data_version())).scalar()


def test_deleted_history_is_no_silence(database: Database) -> None:
    register(database, A, B, at=T - 400 * DAY)
    call_a(database)
    list(purge(database, Choice(APP, [A.id], keeps_endpoints=True), now=T))
    row = row_of(database)
    assert (row.total_calls, row.first_called_at, row.last_called_at, row.last_used_at) == (0,) * 4
    assert (row.first_called_release_id, row.last_called_release_id) == (0, 0)
    assert row.first_release_id == release_id(APP, "1.4.2")
    assert (since(database), since(database, "/b")) == (T, 0)


def test_what_is_deleted_up_to_a_day_is_no_silence_before_it(database: Database) -> None:
    register(database, A, at=T - 400 * DAY)
    call_a(database)
    before = int(T - 30 * DAY)
    list(purge(database, Choice(APP, [A.id], before=before), now=T))
    assert since(database) == before
    assert row_of(database).total_calls == 1
    list(purge(database, Choice(APP, [A.id], before=before - 100), now=T))
    assert since(database) == before
    list(purge(database, Choice(APP, [A.id], before=int(T + 10 * DAY)), now=T))
    assert since(database) == T


def test_a_deletion_that_was_stopped_has_ended_the_evidence_first(database: Database) -> None:
    register(database, A, at=T - 400 * DAY)
    call_a(database)
    for _ in purge(database, Choice(APP, [A.id], keeps_endpoints=True), now=T):
        break
    deletion = purge(database, Choice(APP, [A.id], keeps_endpoints=True), now=T)
    while row_of(database).total_calls:
        next(deletion)
    assert since(database) == T


def test_an_endpoint_that_was_deleted_and_is_called_begins_anew(database: Database) -> None:
    register(database, A, at=T - 400 * DAY)
    list(purge(database, Choice(APP, [A.id]), now=T))
    call_a(database)
    (row,) = table_rows(database, ENDPOINT)
    assert row.evidence_since > us(T)
    made = us(T) + row.evidence_since
    found = Registrar(database, worker()).outdated(now_us=made)
    assert found == {A.id}
    register(database, A, at=T - 400 * DAY)
    assert row_of(database).evidence_since == row.evidence_since
    assert row_of(database).shape_id == shape_id(APP, "GET", "/a")


def test_a_row_that_is_made_long_after_the_discovery_has_no_earlier_evidence(
    database: Database,
) -> None:
    """A worker that runs for a year registers anew what was deleted from its database."""
    found = replace(A, seen_at_us=us(T - 400 * DAY))
    Registrar(database, worker()).register([found], applied=0, now_us=us(T))
    assert since(database) == T
    # The database was away for a moment at the start.
    late = replace(B, seen_at_us=us(T - HOUR))
    Registrar(database, worker()).register([late], applied=0, now_us=us(T))
    assert since(database, "/b") == 0


def test_endpoints_that_are_not_counted_gain_no_evidence(database: Database) -> None:
    other = facts("/b/theirs", app="shop", name="shop.b", seen_at_us=us(T))
    register(database, A, B)
    Registrar(database, worker("theirs", "shop")).register([other], applied=0, now_us=us(T))
    evidence = Evidence(database, APP)
    evidence.note(Uncounted(ids={A.id, 77}), now_us=us(T))
    assert since(database, "/a") == T + MARGIN_SECONDS
    assert since(database, "/b") == 0
    evidence.note(Uncounted(covers=lambda _method, path: path.startswith("/b")), now_us=us(T + 5))
    assert since(database, "/b") == T + 5 + MARGIN_SECONDS
    assert {row.evidence_since for row in table_rows(database, ENDPOINT) if row.app != APP} == {0}


def test_each_look_leaves_the_evidence_ahead_and_seldom_writes(local: FlakyDatabase) -> None:
    register(local, A)
    evidence, versions = Evidence(local, APP), set[Any]()
    for second in range(0, 600, 15):
        evidence.note(Uncounted(ids=[A.id]), now_us=us(T + second))
        assert since(local) >= T + second + LEAST_SECONDS
        versions.add(version_of(local))
    assert len(versions) <= 600 / (MARGIN_SECONDS - LEAST_SECONDS) + 1


def test_where_all_is_counted_nothing_is_read(local: FlakyDatabase) -> None:
    local.down = True
    Evidence(local, APP).note(ALL_COUNTED, now_us=us(T))


def test_many_endpoints_are_noted_in_short_transactions(
    local: FlakyDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evidence_module, "AT_ONCE", 2)
    register(local, *(facts(f"/many/{number}") for number in range(5)))
    Evidence(local, APP).note(Uncounted(covers=lambda _method, _path: True), now_us=us(T))
    begun = {row.evidence_since for row in table_rows(local, ENDPOINT)}
    assert begun == {us(T + MARGIN_SECONDS)}


def test_what_an_older_release_registers_gets_its_shape_at_the_next_look(
    database_url: str,
) -> None:
    database = FlakyDatabase(database_url)
    make_tables(database)
    migrate(database)
    renamed = facts("/orders/{order_id}", name="app.order")
    FirstWorker(database, worker("older")).start([facts("/orders/{id}")])
    registrar = register(database, renamed)
    assert row_of(database, "/orders/{id}").shape_id == 0
    registrar.add_shapes()
    assert row_of(database, "/orders/{id}").shape_id == row_of(database, renamed.path).shape_id
    before = version_of(database)
    registrar.add_shapes()
    assert version_of(database) == before
    database.close()


def test_overrides_follow_the_code(database: Database) -> None:
    yearly = '{"cadence":"yearly"}'
    register(database, replace(A, overrides=yearly), B)
    assert (row_of(database).overrides, row_of(database, "/b").overrides) == (yearly, None)
    register(database, A, replace(B, overrides=yearly))
    assert (row_of(database).overrides, row_of(database, "/b").overrides) == (None, yearly)


def test_a_worker_repeats_what_was_last_seen_before_it_started(local: FlakyDatabase) -> None:
    registrar = Registrar(local, worker(started_at=T))
    registrar.register([A, B], applied=0, now_us=us(T + 1))
    assert A.id not in registrar.outdated(now_us=us(T + 2))
    with local.write() as connection:
        lowered = sa.update(ENDPOINT).where(ENDPOINT.c.id == A.id)
        connection.execute(lowered.values(last_seen_at=us(T - 1)))
    assert A.id in registrar.outdated(now_us=us(T + 2))
    # A start that is far ahead is not one.
    assert A.id not in registrar.outdated(now_us=us(T - 2 * DAY))
