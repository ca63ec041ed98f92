"""Sums and histograms of few and of many endpoints, and the rows of one."""

from dataclasses import replace

import pytest

from benchmarks.support.rows import delta, facts, worker
from benchmarks.support.writing import Writer
from fastapi_lens.histogram.histogram import Histogram
from fastapi_lens.reporting.model import Usage, Window
from fastapi_lens.reporting.reader import NAMED
from fastapi_lens.reporting.totals import aggregate
from fastapi_lens.reporting.windows import Span
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.migrations import migrate
from fastapi_lens.storage.schema.models import Tier
from fastapi_lens.storage.writing.batches import Batch, Delta
from tests.reporting.recount import NOW, reader_of

MINUTE, DAY = int(NOW) // 60, 24 * 60
HOUR = MINUTE // 60
WINDOWS = [Window(), Window.of_days(1), Window.of_days(30)]


@pytest.mark.parametrize("at_once", [1, 7, 16_000])
@pytest.mark.parametrize("endpoints", [2, NAMED, NAMED + 1])
def test_percentiles_are_those_of_all_calls_however_many_endpoints_and_rows(
    memory: Database, monkeypatch: pytest.MonkeyPatch, at_once: int, endpoints: int
) -> None:
    monkeypatch.setattr(aggregate, "AT_ONCE", at_once)
    migrate(memory)
    called = [facts(f"/{number}") for number in range(endpoints)]
    writer = Writer(memory, worker())
    writer.register([*called, facts("/never")], applied=0, now_us=1)
    written = [
        delta(one.id, (1_000 * (number + 1), 77), minute=MINUTE - ago)
        for number, one in enumerate(called)
        for ago in (0, 5, 61, 3 * DAY, 50 * DAY)
    ]
    writer.write(Batch(1, tuple(written)))
    for window in WINDOWS:
        since = MINUTE - (window.seconds or 10**9) // 60
        found = reader_of(memory).endpoints(window=window, now=NOW)
        for one in found:
            mine = [it for it in written if it.endpoint_id == one.id and it.minute >= since]
            assert one.usage.histogram == Histogram.merged(it.histogram for it in mine)
            assert one.usage.calls == sum(it.calls for it in mine)


def test_percentiles_that_were_not_read_are_no_zeros(memory: Database) -> None:
    migrate(memory)
    writer = Writer(memory, worker())
    writer.register([facts("/a")], applied=0, now_us=1)
    writer.write(Batch(1, (delta(facts("/a").id, minute=MINUTE),)))
    reader = reader_of(memory)
    (one,) = reader.endpoints(window=Window(), now=NOW, with_histograms=False)
    with pytest.raises(LookupError, match="was not read"):
        _ = one.usage.percentiles_ms
    assert Usage.total([one.usage, Usage()]).histogram is None
    (read,) = reader.with_histograms([one], window=Window(), now=NOW)
    assert read == reader.endpoint(one.key, window=Window(), now=NOW)


def usage(deltas: list[Delta]) -> Usage:
    def of_class(hundreds: int) -> int:
        return sum(one.calls for one in deltas if one.status // 100 == hundreds)

    return Usage(
        calls=sum(one.calls for one in deltas),
        redirects=of_class(3),
        errors_4xx=of_class(4),
        errors_5xx=of_class(5),
        duration_us=sum(one.duration_us for one in deltas),
        max_us=max((one.max_us for one in deltas), default=0),
        histogram=Histogram.merged(one.histogram for one in deltas),
    )


def test_rows_of_an_endpoint_come_in_the_groups_that_were_asked_for(memory: Database) -> None:
    migrate(memory)
    mine, other = facts("/a"), facts("/b")
    writer = Writer(memory, worker())
    writer.register([mine, other], applied=0, now_us=1)
    minutes = [60 * HOUR - 90, 60 * HOUR - 30, 60 * HOUR - 29, 60 * HOUR, MINUTE]
    deltas = [
        delta(one.id, (1_000 * number, 77), minute=minute, status=status)
        for one in (mine, other)
        for number, (minute, status) in enumerate(
            zip(minutes, (200, 302, 404, 500, 200), strict=True), 1
        )
    ]
    writer.write(Batch(1, tuple(deltas)))
    groups = [
        [Span(Tier.HOUR, HOUR - 2, HOUR)],
        [Span(Tier.HOUR, HOUR - 1, HOUR), Span(Tier.HOUR, HOUR, None)],
        [Span(Tier.DAY, 0, 1)],
        [Span(Tier.MINUTE, MINUTE, None)],
    ]
    with memory.read() as connection:
        found = aggregate.read_rows(connection, mine.id, *groups, now=NOW)
    starts = [sorted(at for at, _ in rows) for rows in found]
    assert starts == [
        [3_600 * (HOUR - 2), 3_600 * (HOUR - 1)],
        [3_600 * (HOUR - 1), 3_600 * HOUR],
        [],
        [60 * MINUTE],
    ]
    expected = [deltas[:3], deltas[1:5], [], deltas[4:5]]
    for rows, called in zip(found, expected, strict=True):
        assert aggregate.usage_of([row for _, row in rows]) == usage(called)


def test_the_sums_of_all_endpoints_are_those_of_their_calls(memory: Database) -> None:
    migrate(memory)
    called, never = [facts("/a"), facts("/b")], facts("/never")
    writer = Writer(memory, worker())
    writer.register([*called, never], applied=0, now_us=1)
    deltas = [
        delta(one.id, (500 * number, 77), minute=minute, status=status)
        for number, one in enumerate(called, 1)
        for minute, status in ((MINUTE, 500), (MINUTE - 7 * DAY, 404), (MINUTE - 90 * DAY, 302))
    ]
    writer.write(Batch(1, tuple(deltas)))
    for window in WINDOWS:
        since = MINUTE - (window.seconds or 10**9) // 60
        for one in reader_of(memory).endpoints(window=window, now=NOW, with_histograms=False):
            mine = [it for it in deltas if it.endpoint_id == one.id and it.minute >= since]
            expected = replace(usage(mine), histogram=one.usage.histogram)
            assert one.usage == expected
