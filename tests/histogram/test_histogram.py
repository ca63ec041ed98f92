from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from math import ceil

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fastapi_lens.histogram.histogram import (
    ABSOLUTE_ERROR_MS,
    BUCKET_MS,
    BUCKETS,
    CEILING_NS,
    LINEAR_END_NS,
    PER_OCTAVE,
    RELATIVE_ERROR,
    Histogram,
    add_durations,
    bucket_edges,
    bucket_index,
)

pytestmark = pytest.mark.unit

# Shrinks to small durations, yet reaches every octave.
DURATIONS_NS = st.integers(0, 41).flatmap(
    lambda bits: st.integers(0, min(1 << bits, CEILING_NS - 1))
)
COUNTS = st.dictionaries(
    st.integers(0, BUCKETS - 1),
    st.integers(0, 4).flatmap(lambda size: st.integers(1, 256 ** (size + 1) // 64)),
    max_size=8,
)
HISTOGRAMS = COUNTS.map(Histogram.from_counts)
PERMILLE = st.integers(0, 1_000)


def recorded(durations_ns: Sequence[int]) -> Histogram:
    return Histogram.from_counts(Counter(map(bucket_index, durations_ns)))


def nearest_rank_ms(durations_ns: Sequence[int], permille: int) -> float:
    rank = max(1, ceil(Fraction(permille, 1_000) * len(durations_ns)))
    return sorted(durations_ns)[rank - 1] / 1e6


def assert_within_the_bound(found_ms: float, exact_ms: float) -> None:
    bound = max(RELATIVE_ERROR * exact_ms, ABSOLUTE_ERROR_MS if exact_ms < 0.27 else 0)
    assert abs(found_ms - exact_ms) <= bound * (1 + 1e-9)


@given(DURATIONS_NS)
@example(0)
@example(LINEAR_END_NS - 1)
@example(LINEAR_END_NS)
@example(CEILING_NS - 1)
def test_a_duration_lies_within_the_edges_of_its_bucket(duration_ns: int) -> None:
    low, high = bucket_edges(bucket_index(duration_ns))
    assert low <= duration_ns < high


def test_the_buckets_follow_each_other_without_gaps() -> None:
    edges = [bucket_edges(index) for index in range(BUCKETS)]
    assert edges[0][0] == 0
    assert edges[-1][1] == CEILING_NS
    for (_, high), (low, _) in pairwise(edges):
        assert high == pytest.approx(low, rel=1e-15)


def test_the_middle_of_every_bucket_is_as_near_as_promised() -> None:
    for index, middle_ms in enumerate(BUCKET_MS):
        for edge_ns in bucket_edges(index):
            assert_within_the_bound(middle_ms, edge_ns / 1e6)


@given(st.integers(CEILING_NS, 1 << 80))
def test_a_huge_duration_is_counted_in_the_last_bucket(duration_ns: int) -> None:
    assert bucket_index(duration_ns) == BUCKETS - 1


@given(COUNTS)
def test_a_histogram_holds_the_calls_that_it_was_made_from(counts: dict[int, int]) -> None:
    histogram = Histogram.from_counts(counts)
    assert dict(histogram.items()) == counts
    assert list(dict(histogram.items())) == sorted(counts)
    assert histogram.calls == sum(counts.values())
    assert repr(histogram) == f"<Histogram calls={sum(counts.values())}>"


@given(HISTOGRAMS)
@example(Histogram())
@example(Histogram.from_counts({0: 1}))
@example(Histogram.from_counts({BUCKETS - 1: 256**5 - 1}))
def test_bytes_bring_a_histogram_back(histogram: Histogram) -> None:
    assert Histogram.from_bytes(histogram.to_bytes()) == histogram


@given(HISTOGRAMS)
@example(Histogram())
def test_the_bytes_of_a_histogram_are_whole_and_a_part_of_them_is_not(histogram: Histogram) -> None:
    blob = histogram.to_bytes()
    assert Histogram.is_whole(blob)
    assert not Histogram.is_whole(blob + b"x")


@given(st.lists(HISTOGRAMS, max_size=5))
def test_many_bring_each_of_them_back(histograms: list[Histogram]) -> None:
    data = Histogram.pack_many(histograms)
    assert Histogram.unpack_many(data, len(histograms)) == histograms


def test_lanes_begin_at_the_first_bucket_unless_another_is_named() -> None:
    assert Histogram(1) == Histogram.from_counts({0: 1})
    assert Histogram(1, 5) == Histogram.from_counts({5: 1})


@given(COUNTS, st.lists(st.integers(0, BUCKETS + 5), max_size=8))
@example({}, [0, BUCKETS])
def test_the_calls_before_a_bucket_are_those_of_all_lower_ones(
    counts: dict[int, int], indexes: list[int]
) -> None:
    expected = [
        sum(count for index, count in counts.items() if index < before) for before in indexes
    ]
    assert Histogram.from_counts(counts).calls_before(indexes) == expected


@given(HISTOGRAMS, HISTOGRAMS, HISTOGRAMS)
def test_merging_is_adding_in_any_order(one: Histogram, two: Histogram, three: Histogram) -> None:
    together = one + two + three
    assert together == three + (two + one) == Histogram.merged([two, three, one])
    assert together == Histogram.merged_bytes([two.to_bytes(), b"", (one + three).to_bytes()])
    assert hash(together) == hash(three + two + one)
    assert dict(together.items()) == Counter(dict(one.items())) + Counter(
        dict(two.items())
    ) + Counter(dict(three.items()))
    assert one + Histogram() == one
    assert Histogram.merged([]) == Histogram()
    assert one != "a histogram"


@given(st.lists(DURATIONS_NS, min_size=1, max_size=60), st.lists(PERMILLE, min_size=1))
@example([7] * 99 + [20_000_000], [990, 500, 999])
@example([10_000_000, 20_000_000], [0, 500, 501, 1_000])
def test_a_quantile_is_as_near_to_the_nearest_rank_as_promised(
    durations_ns: list[int], permille: list[int]
) -> None:
    quantiles = recorded(durations_ns).quantiles([each / 1_000 for each in permille])
    assert quantiles is not None
    for found_ms, each in zip(quantiles, permille, strict=True):
        assert_within_the_bound(found_ms, nearest_rank_ms(durations_ns, each))


@given(st.lists(DURATIONS_NS, min_size=1, max_size=60), PERMILLE)
def test_a_known_maximum_is_never_exceeded_and_exact(durations_ns: list[int], each: int) -> None:
    max_ms = max(durations_ns) / 1e6
    quantiles = recorded(durations_ns).quantiles([each / 1_000, 1], max_ms=max_ms)
    assert quantiles is not None
    assert quantiles[0] <= quantiles[1] == max_ms
    assert_within_the_bound(quantiles[0], nearest_rank_ms(durations_ns, each))


@pytest.mark.unmeasured
@pytest.mark.parametrize("percent", range(1, 101))
def test_a_share_that_is_no_binary_fraction_gets_its_own_rank(percent: int) -> None:
    hundred = [Histogram.from_counts({40 + call: 1}) for call in range(100)]
    found = Histogram.merged(hundred).quantiles([percent / 100])
    assert found == [BUCKET_MS[39 + percent]]


def test_a_histogram_without_calls_has_no_quantiles() -> None:
    assert Histogram().quantiles([0.5]) is None
    assert Histogram().calls == 0


def test_the_documented_bounds_are_those_of_the_buckets() -> None:
    assert RELATIVE_ERROR < 0.015
    assert pytest.approx(1 / PER_OCTAVE / (2 + 1 / PER_OCTAVE)) == RELATIVE_ERROR
    assert pytest.approx(0.004096) == ABSOLUTE_ERROR_MS


@given(st.lists(st.integers(0, 10**6) | st.integers(0, 10**14)), st.lists(st.integers(0, 10**9)))
def test_many_durations_at_once_are_counted_as_one_after_the_other(
    durations_ns: list[int], before_ns: list[int]
) -> None:
    expected = Counter(map(bucket_index, [*before_ns, *durations_ns]))
    counts: dict[int, int] = {}
    add_durations(counts, before_ns)
    add_durations(counts, durations_ns)
    assert counts == expected


def test_the_edges_that_are_counted_by_are_those_of_the_buckets() -> None:
    edges_ns = [ceil(bucket_edges(index)[1]) for index in range(BUCKETS)]
    durations_ns = [edge + by for edge in edges_ns for by in (-1, 0)]
    counts: dict[int, int] = {}
    add_durations(counts, durations_ns)
    assert counts == Counter(map(bucket_index, durations_ns))
