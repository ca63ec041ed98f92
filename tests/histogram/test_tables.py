"""The tables of the buckets, which are made when the module is imported."""

from collections import Counter
from fractions import Fraction
from importlib.util import find_spec, module_from_spec
from math import ceil
from types import ModuleType

import pytest

from fastapi_lens.histogram.histogram import (
    BUCKETS,
    LINEAR_BUCKETS,
    LINEAR_END_NS,
    LINEAR_SHIFT,
    PER_OCTAVE,
    bucket_index,
)

pytestmark = pytest.mark.unit


@pytest.fixture
def imported() -> ModuleType:
    """The module, imported once more beside the one that is in use."""
    spec = find_spec("fastapi_lens.histogram.histogram")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def edge_ns(index: int) -> Fraction:
    """The lower edge of a bucket, without rounding."""
    if index <= LINEAR_BUCKETS:
        return Fraction(index << LINEAR_SHIFT)
    octave, part = divmod(index - LINEAR_BUCKETS, PER_OCTAVE)
    return (LINEAR_END_NS << octave) * (1 + Fraction(part, PER_OCTAVE))


def test_the_duration_of_a_bucket_is_the_arithmetic_or_the_harmonic_mean_of_its_edges(
    imported: ModuleType,
) -> None:
    for index, found_ms in enumerate(imported.BUCKET_MS):
        low, high = edge_ns(index), edge_ns(index + 1)
        mean = (low + high) / 2 if index < LINEAR_BUCKETS else 2 * low * high / (low + high)
        assert found_ms == pytest.approx(float(mean / 1_000_000), rel=1e-14)
    assert len(imported.BUCKET_MS) == BUCKETS


def test_durations_beside_every_edge_are_counted_in_their_buckets(imported: ModuleType) -> None:
    durations_ns = [
        duration_ns
        for index in range(BUCKETS + 1)
        for duration_ns in (ceil(edge_ns(index)) - 1, ceil(edge_ns(index)))
        if duration_ns >= 0
    ]
    counts: dict[int, int] = {}
    imported.add_durations(counts, [*durations_ns])
    assert counts == Counter(map(bucket_index, durations_ns))


def test_durations_far_beyond_the_last_bucket_are_counted_in_it(imported: ModuleType) -> None:
    counts: dict[int, int] = {}
    imported.add_durations(counts, [10**18, 10**30])
    assert counts == {BUCKETS - 1: 2}
