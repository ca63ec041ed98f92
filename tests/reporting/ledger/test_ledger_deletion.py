"""Nothing becomes safe to remove by what is deleted, forgotten, ignored, renamed or moved."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import pytest
import sqlalchemy as sa

from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.records.callers import label_caller
from fastapi_lens.storage.retention.caller_deletion import forget_caller, forget_callers
from fastapi_lens.storage.retention.pruner import Retention, prune
from fastapi_lens.storage.retention.purge import Choice, purge
from fastapi_lens.storage.schema.migrations import migrate
from fastapi_lens.storage.schema.models import CallerKind
from fastapi_lens.storage.schema.tables import MOVED, USE
from fastapi_lens.storage.transfer.export import rows_of
from fastapi_lens.storage.transfer.import_ import Importer
from fastapi_lens.storage.writing.evidence import Evidence, Uncounted
from fastapi_lens.verdict.level import Level
from tests.reporting.past import APP, DAY_US, NOW, TODAY, Past, ago, every

LAST = 150
"""Days since the last use but by noise."""


class Shop(NamedTuple):
    """An endpoint that a caller may still need, behind others that are gone."""

    past: Past
    endpoint: int
    rare: int


@pytest.fixture
def past(memory: Database) -> Past:
    return Past(memory, watched=1_200)


def shop(past: Past) -> Shop:
    """A daily caller that is gone, one that comes each half year, and a health check."""
    endpoint = past.endpoint("/o/{id}", since=TODAY - 1_100)
    rare, probe = past.caller("half-yearly"), past.caller("kube-probe", CallerKind.AGENT)
    past.use(endpoint, rare, *every(182, 5, last=LAST + 10))
    past.use(endpoint, past.caller("web"), *every(1, 800, last=LAST))
    past.use(endpoint, probe, *ago(700, 2))
    return Shop(past, endpoint, rare)


def delete_history(shop: Shop) -> None:
    choice = Choice(APP, [shop.endpoint], keeps_endpoints=True)
    assert list(purge(shop.past.database, choice, now=NOW))


def purge_before(shop: Shop) -> None:
    before = (TODAY - LAST - 5) * 86_400
    assert list(purge(shop.past.database, Choice(APP, [shop.endpoint], before=before), now=NOW))


def forget_one(shop: Shop) -> None:
    assert forget_caller(shop.past.database, APP, shop.rare).callers == 1


def forget_all(shop: Shop) -> None:
    assert forget_callers(shop.past.database, APP).callers == 3


def delete_old(shop: Shop) -> None:
    assert prune(shop.past.database, Retention(None), now=NOW + 700 * 86_400) > 0


def ignore(shop: Shop) -> None:
    rule = Uncounted(covers=lambda _method, path: path == "/o/{id}")
    Evidence(shop.past.database, APP).note(rule, now_us=round(NOW * 1e6))


def leave_and_return(shop: Shop) -> None:
    shop.past.change(shop.endpoint, present_since=(TODAY - 1) * DAY_US)


def label(shop: Shop) -> None:
    assert label_caller(shop.past.database, APP, shop.rare, "Partner") == 1


def count_without_callers(shop: Shop) -> None:
    shop.past.change(shop.endpoint, last_called_at=(TODAY - LAST) * DAY_US + 1)


CHANGES: Mapping[str, Callable[[Shop], None]] = MappingProxyType(
    {
        "delete_history": delete_history,
        "purge_before": purge_before,
        "forget_one": forget_one,
        "forget_all": forget_all,
        "delete_old": delete_old,
        "ignore": ignore,
        "leave_and_return": leave_and_return,
        "label": label,
        "count_without_callers": count_without_callers,
    }
)


def test_the_rare_caller_is_what_keeps_the_endpoint(past: Past) -> None:
    found = shop(past).past.judged("/o/{id}")
    assert found.verdict.level is Level.WAIT
    assert found.history.last_used == TODAY - LAST


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_no_endpoint_becomes_safe_by_a_change_of_its_rows(
    past: Past, change: Callable[[Shop], None]
) -> None:
    made = shop(past)
    change(made)
    found = past.judged("/o/{id}").verdict
    assert found.level is not Level.SAFE_TO_REMOVE
    assert found.safe_from is None or found.safe_from >= TODAY


@pytest.mark.parametrize("change", [forget_one, forget_all])
def test_a_forgotten_caller_with_long_gaps_is_still_waited_for(
    memory: Database, change: Callable[[Shop], None]
) -> None:
    past = Past(memory, watched=1_600)
    endpoint, rare = past.endpoint("/o/{id}", since=TODAY - 1_550), past.caller("rare")
    past.use(endpoint, past.caller("web"), *every(1, 1_000, last=450))
    past.use(endpoint, rare, *ago(1_500, 1_499, 569, 560))
    past.use(endpoint, past.caller("kube-probe", CallerKind.AGENT), *ago(700, 2))
    before = past.judged("/o/{id}").verdict
    assert before.safe_from is not None
    assert before.safe_from > TODAY + 400
    change(Shop(past, endpoint, rare))
    after = past.judged("/o/{id}").verdict
    assert after.safe_from is not None
    assert after.safe_from >= before.safe_from


def test_a_gap_of_a_forgotten_caller_between_two_names_of_a_path_is_waited_for(
    memory: Database,
) -> None:
    past = Past(memory, watched=1_600)
    old, new = past.endpoint("/o/{id}", since=TODAY - 1_550), past.endpoint("/o/{order}")
    past.change(old, removed_at=(TODAY - 700) * DAY_US)
    rare, web = past.caller("rare"), past.caller("web")
    past.use(old, web, *every(1, 800, last=700))
    past.use(old, rare, *every(10, 10, last=1_400))
    past.use(new, web, *every(1, 249, last=450))
    past.use(new, rare, *every(10, 10, last=460))
    calls = calls_of_callers(memory)
    before = past.judged("/o/{order}").verdict
    assert before.safe_from is not None
    assert before.safe_from > TODAY + 400
    assert forget_callers(memory, APP).callers == 2
    after = past.judged("/o/{order}").verdict
    assert after.safe_from is not None
    assert after.safe_from >= before.safe_from
    assert calls_of_callers(memory) == calls


def calls_of_callers(database: Database) -> int:
    with database.read() as connection:
        found: int = connection.execute(sa.select(sa.func.sum(USE.c.calls))).scalar_one()
    return found


def test_no_endpoint_becomes_safe_by_the_name_of_a_parameter(past: Past) -> None:
    made = shop(past)
    past.change(made.endpoint, removed_at=(TODAY - 1) * DAY_US)
    renamed = past.endpoint("/o/{order}", since=TODAY - 1)
    found = past.judged("/o/{order}")
    assert found.verdict.level is Level.WAIT
    assert found.history.ledger is not None
    assert len(found.history.ledger.callers) == 3
    past.use(renamed, made.rare, TODAY - 1)
    assert past.judged("/o/{order}").verdict.level is Level.IN_USE


def test_no_endpoint_becomes_safe_by_a_move_to_another_database(past: Past) -> None:
    shop(past)
    there = Database("sqlite://")
    migrate(there)
    importer = Importer(there, "1" * 32, 1, {APP: ["1"]}, now=NOW)
    importer.repeated_apps()
    importer.begin()
    start = 0
    with past.database.read() as connection:
        for table in MOVED:
            rows = [
                dict(zip(table.c.keys(), row, strict=True))
                for row in rows_of(connection, table, [APP])
            ]
            if rows:
                importer.add(table, start, rows)
            start += len(rows)
    moved = Past(there, watched=0)
    found = moved.judged("/o/{id}")
    assert found.verdict.level is not Level.SAFE_TO_REMOVE
    assert found.history.last_used == TODAY - LAST
    there.close()
