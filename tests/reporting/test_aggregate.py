"""Histograms of few and of many endpoints, read in parts of any size."""

import pytest

from benchmarks.support.rows import delta, facts, worker
from benchmarks.support.writing import Writer
from fastapi_lens.histogram.histogram import Histogram
from fastapi_lens.reporting import aggregate
from fastapi_lens.reporting.model import Usage, Window
from fastapi_lens.reporting.reader import NAMED
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.migrations import migrate
from fastapi_lens.storage.writing.batches import Batch
from tests.reporting.recount import NOW, reader_of

MINUTE, DAY = int(NOW) // 60, 24 * 60
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
