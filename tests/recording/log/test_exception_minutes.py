"""Exceptions by minute, in memory and on their way to the database."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.support.rows import table_rows
from fastapi_lens.recording.log.request_log import MAX_MINUTES
from fastapi_lens.storage.schema.tables import EXCEPTION_COUNT
from tests.recording.flush.test_log_carrier import fail
from tests.recording.log.test_request_log import Log
from tests.recording.rig import opened


@pytest.mark.unit
@given(st.lists(st.integers(0, 5 * 60), max_size=300))
def test_no_exception_is_lost_however_long_the_database_is_down(steps: list[int]) -> None:
    log = Log()
    minutes = Counter[int]()
    for step in steps:
        log.now += step
        log.call("/a", 1, 500, ValueError("why"))
        minutes[int(log.now // 60)] += 1
    kinds = list(log.recorder.log.harvest(choose=True).exceptions.values())
    if not steps:
        assert kinds == []
        return
    (kind,) = kinds
    assert sum(kind.minutes.values()) == kind.calls == len(steps)
    hours = {minute // 60 for minute in minutes}
    assert len(kind.minutes) <= MAX_MINUTES + len(hours)
    by_hour = Counter[int]()
    for minute, calls in kind.minutes.items():
        by_hour[minute // 60] += calls
    assert by_hour == Counter(minute // 60 for minute in minutes.elements())
    if len(minutes) <= MAX_MINUTES:
        assert kind.minutes == dict(minutes)


def test_a_batch_of_exceptions_in_many_minutes_is_cut_at_the_limit_of_rows() -> None:
    with opened("sqlite:///:memory:", max_batch_size=4) as rig:
        fail(rig)
        for path in ("/v1/orders", "/v2/orders"):
            fail(rig, path=path)
        assert rig.flusher.flush()
        rows = table_rows(rig.database, EXCEPTION_COUNT)
        assert sum(row.calls for row in rows if row.tier == 60) == 3
        assert sum(row.calls for row in rows if row.tier == 3_600) == 3
