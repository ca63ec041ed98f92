import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fastapi_lens.histogram.codec import (
    LANE_BITS,
    add_up,
    add_up_many,
    fits,
    layers,
    pack,
    pack_many,
    unpack_many,
)
from fastapi_lens.histogram.histogram import BUCKETS

COUNTS = st.integers(0, 20) | st.integers(0, 256**5 - 1)


def lanes(counts: list[int], first: int = 0) -> int:
    return sum(count << LANE_BITS * at for at, count in enumerate(counts, first))


@given(st.lists(COUNTS, max_size=60), st.integers(0, BUCKETS - 60))
@example([], 0)
@example([255, 0, 256], 0)
@example([65_536], BUCKETS - 1)
@example([1, 16 * 256, 1], 7)
@example([256**5 - 1] * 60, BUCKETS - 60)
def test_unpacking_brings_every_count_back(counts: list[int], first: int) -> None:
    found, low = add_up(layers(pack(lanes(counts), first)))
    assert found << LANE_BITS * low == lanes(counts, first)
    assert pack(found, low) == pack(lanes(counts, first))


@given(st.lists(st.tuples(st.lists(COUNTS, max_size=8), st.integers(0, BUCKETS - 8))))
def test_many_add_up_to_what_they_are_one_by_one(parts: list[tuple[list[int], int]]) -> None:
    expected = sum(lanes(counts, first) for counts, first in parts)
    for adding in (add_up, add_up_many):
        total, low = adding((lanes(counts), first) for counts, first in parts)
        assert total << LANE_BITS * low == expected


@pytest.mark.parametrize(
    ("counts", "size"),
    [
        ([], 0),
        ([1], 3 + 1),
        ([15] * 100, 3 + 50),
        ([255] * 100, 3 + 100),
        # The tails need half a byte, and only the middle more.
        ([3] * 50 + [90] * 10 + [3] * 50, 3 + 55 + 3 + 5),
        ([3] * 50 + [900] * 10 + [3] * 50, 3 + 110 + 3 + 5),
        # Of a count whose lowest byte is zero nothing but the higher ones.
        ([65_536], 3 + 1),
    ],
)
def test_bytes_are_as_few_as_the_shape_allows(counts: list[int], size: int) -> None:
    assert len(pack(lanes(counts, 300))) == size


@given(st.lists(st.tuples(st.lists(COUNTS, max_size=8), st.integers(0, BUCKETS - 8))))
@example([])
@example([([], 0), ([0, 256**5 - 1], 3), ([], 9)])
def test_unpacking_many_brings_every_count_back(parts: list[tuple[list[int], int]]) -> None:
    several = [(lanes(counts), first) for counts, first in parts]

    assert unpack_many(pack_many(several), len(several)) == several


SHORT, OTHER = "it is shorter than it says", "it has another length than it says"


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", SHORT),
        (pack_many([(0, 0)])[:-1], SHORT),
        (pack_many([(lanes([1, 2]), 0)]) + b"x", OTHER),
        (pack_many([(lanes([1]), 0)]) + b"x" * 5, OTHER),
        (pack_many([(0, 0)]) + b"x", OTHER),
    ],
)
def test_what_was_not_packed_together_is_not_unpacked(data: bytes, text: str) -> None:
    with pytest.raises(ValueError, match=f"^{text}$"):
        unpack_many(data, 1)


def layer(kind: int, first: int, data: bytes) -> bytes:
    """The bytes of one layer, as the docstring of the module says."""
    return (kind | first << 4 | len(data) << 14).to_bytes(3, "little") + data


HIGHEST_KIND = 14
"""The fifth bytes of all counts."""


@given(st.lists(COUNTS, max_size=60), st.integers(0, BUCKETS - 60))
@example([15, 1, 15], 0)
@example([256**5 - 1] * 60, BUCKETS - 60)
def test_what_was_packed_fits_into_its_lanes(counts: list[int], first: int) -> None:
    packed = pack(lanes(counts, first))
    assert fits(packed, first + len(counts))
    assert not any(fits(packed[:end], BUCKETS) for end in range(1, min(4, len(packed))))
    assert not fits(packed + b"\0", BUCKETS)


@pytest.mark.parametrize(
    ("counts", "size"), [([255] * 3, 3), ([3] * 3, 3), ([3] * 5, 5), ([1, 256**4], 2)]
)
def test_more_lanes_than_there_are_do_not_fit(counts: list[int], size: int) -> None:
    packed = pack(lanes(counts, 300))
    assert fits(packed, 300 + size)
    assert not fits(packed, 300 + size - 1)


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(layer(HIGHEST_KIND + 1, 5, b"\1"), id="a kind that there is not"),
        pytest.param(layer(HIGHEST_KIND, 5, b""), id="no bytes"),
        pytest.param(layer(HIGHEST_KIND, 5, b"\1\2")[:-1], id="fewer bytes than it says"),
        pytest.param(layer(HIGHEST_KIND, BUCKETS, b"\1"), id="behind the last bucket"),
    ],
)
def test_bytes_that_were_not_packed_do_not_fit(broken: bytes) -> None:
    good = layer(HIGHEST_KIND, BUCKETS - 1, b"\1")
    assert fits(good, BUCKETS)
    assert not fits(broken, BUCKETS)
    assert not fits(good + broken, BUCKETS)
    assert not fits(broken + good, BUCKETS)


def test_reading_stops_at_a_kind_that_there_is_not() -> None:
    good = layer(HIGHEST_KIND, 5, b"\1\2")
    assert list(layers(good)) == [(256**4 + (2 * 256**4 << LANE_BITS), 5)]
    assert list(layers(good + layer(HIGHEST_KIND + 1, 5, b"\1") + good)) == list(layers(good))
