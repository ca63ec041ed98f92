from math import log

import pytest

from fastapi_lens.changes.rows import Durations
from fastapi_lens.histogram.histogram import BUCKETS, Histogram
from tests.changes.helpers import histogram

pytestmark = pytest.mark.unit


def test_an_empty_histogram_has_no_durations() -> None:
    assert Durations.of(Histogram()) is None


def test_the_durations_of_lognormal_calls_are_those_of_the_distribution() -> None:
    found = Durations.of(histogram(10_000, 100, 1.0))

    assert found is not None
    assert found.typical_ms == pytest.approx(100, rel=0.03)
    assert found.p95_ms == pytest.approx(100 * 5.18, rel=0.06)
    assert found.typical_error == pytest.approx(0.0093, rel=0.05)
    # sqrt(0.95 * 0.05) / 0.103 / 100, by the density of the normal distribution at p95.
    assert found.p95_error == pytest.approx(0.021, rel=0.5)


def test_one_call_in_fifty_that_takes_half_a_minute_hardly_changes_the_typical_duration() -> None:
    quiet = histogram(1_000, 100, 0.5)
    late = Histogram.from_counts({500: 20})

    before, after = Durations.of(quiet), Durations.of(quiet + late)

    assert before is not None
    assert after is not None
    assert after.typical - before.typical < 0.03


def test_calls_beyond_the_last_bucket_count_as_the_last_bucket() -> None:
    found = Durations.of(Histogram.from_counts({BUCKETS + 3: 5}))

    assert found is not None
    assert found.typical == found.p95 > log(1_000_000)
    assert found.typical_error == 0
