from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager

import pytest
import sqlalchemy as sa

from fastapi_lens.histogram import Histogram
from fastapi_lens.reporting.bucket_rows import FEW
from fastapi_lens.reporting.model import Usage
from fastapi_lens.reporting.sums import UNKNOWN, State, Sums
from fastapi_lens.reporting.windows import Span
from fastapi_lens.storage.batches import Batch, Delta
from fastapi_lens.storage.database import Database
from fastapi_lens.storage.migrations import migrate
from fastapi_lens.storage.models import Tier
from tests.storage.helpers import delta, facts, worker
from tests.support.writing import Writer

MINUTE = 29_550_000
"""At the beginning of an hour."""

NOW = MINUTE * 60.0 + 3_600
PAST = Span(Tier.MINUTE, MINUTE, MINUTE + 30)
LATER = Span(Tier.MINUTE, MINUTE + 30, None)
OPEN = Span(Tier.MINUTE, MINUTE, None)
ENDPOINTS = [facts(f"/{number}").id for number in range(FEW + 10)]


class Written:
    """A database and what was written to it."""

    def __init__(self, database: Database) -> None:
        migrate(database)
        self.database = database
        self._writer = Writer(database, worker())
        self._writer.register([], applied=0, now_us=1)
        self._deltas: list[Delta] = []
        self._seq = 0

    def add(self, *deltas: Delta) -> None:
        self._seq += 1
        self._writer.write(Batch(self._seq, deltas))
        self._deltas += deltas

    def expected(self, span: Span) -> dict[int, Usage]:
        """Added up without the code that is tested."""
        found: dict[int, list[Delta]] = {}
        for one in self._deltas:
            if span.first <= one.minute and (span.last is None or one.minute < span.last):
                found.setdefault(one.endpoint_id, []).append(one)
        return {
            identity: Usage(
                calls=sum(one.calls for one in mine),
                duration_us=sum(one.duration_us for one in mine),
                max_us=max(one.max_us for one in mine),
                latency=Histogram.merged(one.latency for one in mine),
            )
            for identity, mine in found.items()
        }

    def summed(
        self, sums: Sums, *spans: Span, now: float = NOW, totals: Mapping[int, int] | None = None
    ) -> dict[int, Usage]:
        with self.database.read() as connection:
            state = UNKNOWN if totals is None else State(totals)
            return sums.all(connection, spans, now=now, state=state)

    def totals(self) -> dict[int, int]:
        found: Counter[int] = Counter()
        for one in self._deltas:
            found[one.endpoint_id] += one.calls
        return dict(found)


@pytest.fixture
def written(memory: Database) -> Written:
    return Written(memory)


def histograms_read(database: Database) -> AbstractContextManager[list[str]]:
    """Statements that ask for histograms."""
    return reads(database, "histogram")


@contextmanager
def reads(database: Database, what: str = "") -> Iterator[list[str]]:
    """Statements that ask for something."""
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        if statement.startswith("SELECT") and what in statement:
            statements.append(statement)

    engine = database._opened()
    sa.event.listen(engine, "before_cursor_execute", note)
    yield statements
    sa.event.remove(engine, "before_cursor_execute", note)


def calls(endpoint: int, minute: int, *durations_us: int) -> Delta:
    return delta(endpoint, durations_us or (1_000, 20_000), minute=MINUTE + minute)


def test_histograms_of_the_past_are_read_once(written: Written) -> None:
    sums = Sums(max_windows=0)
    written.add(*(calls(one, minute) for one in ENDPOINTS for minute in (0, 7)))
    assert written.summed(sums, PAST) == written.expected(PAST)
    with histograms_read(written.database) as statements:
        assert written.summed(sums, PAST) == written.expected(PAST)
    assert statements == []


@pytest.mark.parametrize("max_windows", [0, 2])
def test_counts_that_come_late_are_in_the_next_answer(database: Database, max_windows: int) -> None:
    sums, written = Sums(max_windows=max_windows), Written(database)
    written.add(*(calls(one, 3) for one in ENDPOINTS))
    assert written.summed(sums, PAST) == written.expected(PAST)
    written.add(calls(ENDPOINTS[1], 3, 77), calls(ENDPOINTS[2], 29, 5_000_000))
    assert written.summed(sums, PAST) == written.expected(PAST)
    written.add(*(calls(one, 4) for one in ENDPOINTS), calls(facts("/new").id, 4))
    assert written.summed(sums, PAST) == written.expected(PAST)


def test_what_lies_in_the_present_or_ahead_of_the_clock_is_added_too(written: Written) -> None:
    sums = Sums()
    for minutes in ((0, 59), (60, 61), (60, 200)):
        written.add(*(calls(ENDPOINTS[0], minute) for minute in minutes))
        assert written.summed(sums, OPEN) == written.expected(OPEN)
    later = Span(Tier.MINUTE, MINUTE + 61, None)
    assert written.summed(sums, later) == written.expected(later)


def test_spans_are_added_to_each_other(written: Written) -> None:
    written.add(*(calls(ENDPOINTS[0], minute) for minute in (1, 5, 30, 60)))
    later = Span(Tier.MINUTE, MINUTE + 30, None)
    assert written.summed(Sums(), PAST, later) == written.expected(OPEN)
    assert written.summed(Sums(), Span(Tier.MINUTE, MINUTE - 9, MINUTE)) == {}


def test_rows_that_are_deleted_are_forgotten(written: Written) -> None:
    sums = Sums()
    written.add(*(calls(one, minute) for one in ENDPOINTS[:2] for minute in (0, 7)))
    assert set(written.summed(sums, PAST)) == set(ENDPOINTS[:2])
    with written.database.write() as connection:
        connection.execute(sa.text("DELETE FROM lens_bucket"))
    assert written.summed(sums, PAST) == {}


def test_what_an_endpoint_did_is_made_anew_only_after_another_call(written: Written) -> None:
    sums = Sums()
    written.add(*(calls(one, minute) for one in ENDPOINTS for minute in (0, 59, 60)))
    first = written.summed(sums, OPEN)
    with histograms_read(written.database) as statements:
        assert written.summed(sums, OPEN) == first
        assert statements == []
        written.add(calls(ENDPOINTS[3], 60), calls(ENDPOINTS[4], 5))
        second = written.summed(sums, OPEN)
        assert all(" IN (" in statement for statement in statements)
    assert second == written.expected(OPEN)
    anew = {one for one in ENDPOINTS if second[one] is not first[one]}
    assert anew == {ENDPOINTS[3], ENDPOINTS[4]}


def test_windows_that_nobody_asked_for_lately_are_forgotten(written: Written) -> None:
    sums = Sums(max_windows=1)
    written.add(calls(ENDPOINTS[0], 3))
    first = written.summed(sums, PAST)[ENDPOINTS[0]]
    assert written.summed(sums, PAST)[ENDPOINTS[0]] is first
    written.summed(sums, OPEN)
    assert written.summed(sums, PAST)[ENDPOINTS[0]] is not first


def test_fewer_windows_are_remembered_where_they_are_of_many_endpoints(written: Written) -> None:
    sums = Sums(max_made=3)
    written.add(*(calls(one, 3) for one in ENDPOINTS[:2]))
    first = written.summed(sums, PAST)[ENDPOINTS[0]]
    assert written.summed(sums, PAST)[ENDPOINTS[0]] is first
    second = written.summed(sums, OPEN)[ENDPOINTS[0]]
    assert written.summed(sums, OPEN)[ENDPOINTS[0]] is second
    assert written.summed(sums, PAST)[ENDPOINTS[0]] is not first


def test_only_so_many_histograms_are_remembered(written: Written) -> None:
    sums = Sums(max_remembered=3, max_windows=0)
    spans = [Span(Tier.MINUTE, MINUTE, MINUTE + length) for length in (10, 20)]
    written.add(*(calls(one, 3) for one in ENDPOINTS[:2]))
    with histograms_read(written.database) as statements:
        for span in (*spans, *spans[1:], spans[0]):
            assert written.summed(sums, span) == written.expected(span)
    assert len(statements) == 3


def test_with_the_calls_of_all_time_only_those_that_were_called_are_read(
    database: Database,
) -> None:
    sums, written = Sums(), Written(database)
    written.add(*(calls(one, minute) for one in ENDPOINTS for minute in (0, 59, 60)))
    first = written.summed(sums, PAST, LATER, totals=written.totals())
    assert first == written.expected(OPEN)
    with reads(database) as statements:
        assert written.summed(sums, PAST, LATER, totals=written.totals()) == first
        assert statements == []
        # Late counts, present ones, and an endpoint that was never called before.
        written.add(calls(ENDPOINTS[3], 60), calls(ENDPOINTS[4], 5), calls(facts("/new").id, 60))
        second = written.summed(sums, PAST, LATER, totals=written.totals())
        assert statements
        assert all("endpoint_id IN (" in statement for statement in statements)
    assert second == written.expected(OPEN)
    assert {one for one in second if first.get(one) is not second[one]} == {
        *(ENDPOINTS[3], ENDPOINTS[4], facts("/new").id)
    }


def test_all_rows_are_read_again_after_a_minute_and_when_told_to(written: Written) -> None:
    sums = Sums()
    written.add(*(calls(one, 3) for one in ENDPOINTS[:2]))
    totals = written.totals()
    before = written.summed(sums, PAST, totals=totals)
    with written.database.write() as connection:
        connection.execute(sa.text("DELETE FROM lens_bucket"))
    assert written.summed(sums, PAST, totals=totals, now=NOW + 59) == before
    assert written.summed(sums, PAST, totals=totals, now=NOW + 60) == {}
    written.add(*(calls(one, 3) for one in ENDPOINTS[:2]))
    assert written.summed(sums, PAST, totals=totals, now=NOW + 61) == {}
    sums.forget()
    assert written.summed(sums, PAST, totals=totals, now=NOW + 61) == before


def test_when_many_were_called_all_rows_are_read(written: Written) -> None:
    sums = Sums()
    written.add(*(calls(one, 3) for one in ENDPOINTS))
    written.summed(sums, PAST, totals=written.totals())
    written.add(*(calls(one, 3) for one in ENDPOINTS))
    with reads(written.database) as statements:
        assert written.summed(sums, PAST, totals=written.totals()) == written.expected(PAST)
    assert not any("endpoint_id IN (" in statement for statement in statements)
