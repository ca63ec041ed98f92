from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import event

from fastapi_lens.reporting.bucket_rows import FEW, Row
from fastapi_lens.reporting.catalogue import Catalogue
from fastapi_lens.reporting.facts import FACTS, METHOD, PATH, TOTAL_CALLS
from fastapi_lens.reporting.sums import COMPLETE_SECONDS
from fastapi_lens.storage.batches import Batch, EndpointFacts
from fastapi_lens.storage.database import Database
from fastapi_lens.storage.migrations import migrate
from fastapi_lens.storage.tables import ENDPOINT
from tests.storage.helpers import delta, facts, worker
from tests.support.writing import Writer

NOW = 1_000_000.0
APP = facts("/any").app
MANY = [facts(f"/things/{number}") for number in range(FEW + 10)]


class Seen:
    """A database with endpoints, and what a catalogue finds there."""

    def __init__(self, database: Database) -> None:
        migrate(database)
        self.database = database
        self.catalogue = Catalogue()
        self.writer = Writer(database, worker())
        self.seq = self.seen_at_us = 0
        self.register(*MANY)

    def register(self, *endpoints: EndpointFacts) -> None:
        self.seen_at_us += 1
        self.writer.register(endpoints, applied=self.seq, now_us=self.seen_at_us)

    def call(self, endpoint: EndpointFacts) -> None:
        self.seq += 1
        self.writer.write(Batch(self.seq, (delta(endpoint.id, (1_000,), minute=1),)))

    def read(
        self, *, oldest: int = 0, sign: str | None = None, now: float = NOW
    ) -> Mapping[int, Row]:
        with self.database.read() as connection:
            return self.catalogue.read(connection, app=APP, oldest=oldest, sign=sign, now=now)

    @contextmanager
    def reading(self) -> Iterator[list[Any]]:
        """The ids of the rows that are read meanwhile, as their parameters; all as a text."""
        found: list[Any] = []

        @event.listens_for(self.database._opened(), "before_cursor_execute")
        def note(_: Any, _cursor: Any, statement: str, parameters: Any, *_rest: Any) -> None:
            if "lens_endpoint.summary" in statement:
                found.append(sorted(parameters) if " IN (" in statement else "all")

        yield found
        event.remove(self.database._opened(), "before_cursor_execute", note)


@pytest.fixture
def seen(database: Database) -> Seen:
    return Seen(database)


@pytest.fixture
def quick(memory: Database) -> Seen:
    return Seen(memory)


def test_it_has_every_row_ordered_by_path_and_method(seen: Seen) -> None:
    seen.register(facts("/a", method="POST"), facts("/a"), facts("/elsewhere", app="another"))
    rows = list(seen.read().values())
    with seen.database.read() as connection:
        there = connection.execute(sa.select(*FACTS).where(ENDPOINT.c.app == APP)).all()
    assert rows == sorted(map(tuple, there), key=lambda row: (row[PATH], row[METHOD]))
    assert [row[METHOD] for row in rows[:2]] == ["GET", "POST"]


def test_only_rows_that_have_changed_are_read_again(quick: Seen) -> None:
    first = quick.read()
    called, named = MANY[3], facts(MANY[5].path, name="shop.renamed")
    quick.call(called)
    quick.register(named)
    with quick.reading() as read:
        second = quick.read()
        assert quick.read() is second
    assert read == [sorted([called.id, named.id])]
    assert second[called.id][TOTAL_CALLS] == 1
    assert "shop.renamed" in second[named.id]
    assert [one for one in first if second[one] is not first[one]] == [
        one for one in first if one in (called.id, named.id)
    ]


def test_a_new_endpoint_is_put_where_it_belongs(quick: Seen) -> None:
    quick.read()
    quick.register(facts("/things/20a"))
    paths = [row[PATH] for row in quick.read().values()]
    assert paths == sorted(paths)
    assert "/things/20a" in paths


def test_what_no_living_worker_has_and_nobody_called_is_not_there(quick: Seen) -> None:
    quick.call(MANY[7])
    assert len(quick.read()) == len(MANY)
    assert list(quick.read(oldest=2)) == [MANY[7].id]
    assert len(quick.read()) == len(MANY)


def told_to(seen: Seen) -> Mapping[int, Row]:
    seen.catalogue.forget()
    return seen.read()


CHANGES: dict[str, Callable[[Seen], Mapping[int, Row]]] = {
    "after a minute": lambda seen: seen.read(now=NOW + COMPLETE_SECONDS),
    "when a clock was set back": lambda seen: seen.read(now=NOW - 1),
    "when somebody has rewritten them": lambda seen: seen.read(sign="another"),
    "when told to": told_to,
}


@pytest.mark.parametrize("when", CHANGES)
def test_all_rows_are_read_again(quick: Seen, when: str) -> None:
    quick.read()
    with quick.database.write() as connection:
        connection.execute(sa.update(ENDPOINT).values(summary="Changed behind its back."))
    assert not any("Changed behind its back." in row for row in quick.read().values())
    assert all("Changed behind its back." in row for row in CHANGES[when](quick).values())
