"""Latency histograms: buckets, merging, quantiles. Pure; no I/O, no clock.

Durations below `LINEAR_END_NS` fall into equal buckets of 8.192 µs. Above, each octave is cut
into `PER_OCTAVE` equal parts (a log-linear histogram as in HdrHistogram), so that a bucket is
at most 1/36 as wide as its lower edge is high. A quantile is the harmonic mean of its bucket's
edges, which is off by at most ``(b - a) / (a + b)`` = `RELATIVE_ERROR`, whatever the
distribution and however few the calls.

A histogram is held as one big integer with a lane of `LANE_BITS` bits for each bucket: adding
two histograms is adding two integers.
"""

import struct
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from math import ceil, inf
from typing import Self

from fastapi_lens.histogram.codec import (
    LANE_BITS,
    LANE_BYTES,
    add_up,
    add_up_many,
    fits,
    layers,
    pack,
    pack_many,
    unpack_many,
)

PER_OCTAVE = 36
LINEAR_SHIFT = 13
LINEAR_BUCKETS = 32
LINEAR_END_NS = LINEAR_BUCKETS << LINEAR_SHIFT
FIRST_OCTAVE = LINEAR_END_NS.bit_length()
OCTAVES = 22
BUCKETS = LINEAR_BUCKETS + PER_OCTAVE * OCTAVES
CEILING_NS = LINEAR_END_NS << OCTAVES
"""Longer durations (18.3 minutes) are counted in the last bucket."""

RELATIVE_ERROR = 1 / (2 * PER_OCTAVE + 1)
"""1.37 %: how far a quantile can be from the exact one, from 0.26 ms to 18 minutes."""

ABSOLUTE_ERROR_MS = (1 << LINEAR_SHIFT) / 2 / 1e6
"""0.004 ms: the same below 0.26 ms."""


def bucket_index(duration_ns: int) -> int:
    """The bucket of a duration, from 0 to ``BUCKETS - 1``.

    Args:
        duration_ns: Nanoseconds, not negative.
    """
    if duration_ns < LINEAR_END_NS:
        return duration_ns >> LINEAR_SHIFT
    if duration_ns >= CEILING_NS:
        return BUCKETS - 1
    octave = duration_ns.bit_length() - FIRST_OCTAVE
    # In whole numbers: a float could put a duration at an edge into the wrong bucket.
    part = ((duration_ns * PER_OCTAVE) >> (octave + FIRST_OCTAVE - 1)) - PER_OCTAVE
    return LINEAR_BUCKETS + PER_OCTAVE * octave + part


def add_durations(counts: dict[int, int], durations_ns: list[int]) -> None:
    """Count many durations at once, which is far cheaper than one by one.

    Args:
        counts: Calls per bucket index, which are added to.
        durations_ns: Nanoseconds, not negative; sorted in place.
    """
    # In order, one search finds all calls of a bucket.
    durations_ns.sort()
    begin, end = 0, len(durations_ns)
    while begin < end:
        index = bucket_index(durations_ns[begin])
        following = bisect_left(durations_ns, _FIRST_NS[index + 1], begin)
        counts[index] = counts.get(index, 0) + following - begin
        begin = following


def bucket_edges(index: int) -> tuple[float, float]:
    """The half-open interval ``[low, high)`` of a bucket, in nanoseconds."""
    if index < LINEAR_BUCKETS:
        return float(index << LINEAR_SHIFT), float((index + 1) << LINEAR_SHIFT)
    octave, part = divmod(index - LINEAR_BUCKETS, PER_OCTAVE)
    base = LINEAR_END_NS << octave
    return base * (1 + part / PER_OCTAVE), base * (1 + (part + 1) / PER_OCTAVE)


def _first_ns(index: int) -> float:
    """The shortest whole duration in a bucket; infinite behind the last."""
    if index < LINEAR_BUCKETS:
        return index << LINEAR_SHIFT
    octave, part = divmod(index - LINEAR_BUCKETS, PER_OCTAVE)
    return (
        inf
        if octave == OCTAVES
        # Rounded up, because an edge may lie between two nanoseconds.
        else -(-(LINEAR_END_NS << octave) * (PER_OCTAVE + part) // PER_OCTAVE)
    )


def _representative_ms(index: int) -> float:
    low, high = bucket_edges(index)
    if index < LINEAR_BUCKETS:
        return (low + high) / 2 / 1e6
    return 2 * low * high / (low + high) / 1e6


_FIRST_NS = tuple(_first_ns(index) for index in range(BUCKETS + 1))
BUCKET_MS: tuple[float, ...] = tuple(_representative_ms(index) for index in range(BUCKETS))
"""The duration that stands for each bucket, in milliseconds, shape ``(BUCKETS,)``."""


class Histogram:
    """Number of calls per bucket. Immutable; the empty one is ``Histogram()``."""

    __slots__ = ("_lanes", "_low")

    def __init__(self, lanes: int = 0, low: int = 0) -> None:
        """Wrap a big integer of lanes; use the class methods to make one from data.

        Args:
            lanes: From bucket `low` on. Without the empty lanes below it takes a fifth of the
                memory, and adding is as much cheaper.
            low: A bucket at or below the first in use.
        """
        self._lanes = lanes
        self._low = low

    @classmethod
    def from_counts(cls, counts: Mapping[int, int]) -> Self:
        """A histogram from calls per bucket index; an empty mapping gives the empty one."""
        if not counts:
            return cls()
        low = min(counts)
        lanes = bytearray((max(counts) - low + 1) * LANE_BYTES)
        if max(counts.values()) < 1 << 8:
            # The usual case, five times as fast as the general one below.
            for index, count in counts.items():
                lanes[(index - low) * LANE_BYTES] = count
            return cls(int.from_bytes(lanes, "little"), low)
        for index, count in counts.items():
            start = (index - low) * LANE_BYTES
            lanes[start : start + LANE_BYTES] = count.to_bytes(LANE_BYTES, "little")
        return cls(int.from_bytes(lanes, "little"), low)

    @classmethod
    def from_bytes(cls, blob: bytes) -> Self:
        """The inverse of `to_bytes`; ``b""`` gives the empty histogram."""
        return cls(*add_up(layers(blob)))

    @staticmethod
    def pack_many(histograms: Iterable["Histogram"]) -> bytes:
        """The bytes of many histograms, to be compressed: see `codec.pack_many`."""
        return pack_many([(one._lanes, one._low) for one in histograms])  # noqa: SLF001  Its own.

    @classmethod
    def unpack_many(cls, data: bytes, number: int) -> list[Self]:
        """The inverse of `pack_many` for this number of histograms.

        Raises:
            ValueError: The data was not written by `pack_many`.
        """
        return [cls(*lanes) for lanes in unpack_many(data, number)]

    @staticmethod
    def is_whole(blob: bytes) -> bool:
        """True if `to_bytes` may have written these bytes."""
        return fits(blob, BUCKETS)

    @classmethod
    def merged(cls, histograms: Iterable[Self]) -> Self:
        """The sum of several histograms; the empty one for none."""
        return cls(*add_up_many((one._lanes, one._low) for one in histograms))  # noqa: SLF001  Its own.

    @classmethod
    def merged_bytes(cls, blobs: Iterable[bytes]) -> Self:
        """The sum of several histograms, each as `to_bytes` wrote it; the empty one for none."""
        return cls(*add_up(part for blob in blobs for part in layers(blob)))

    def __add__(self, other: Self) -> Self:
        """The calls of both."""
        return type(self)(*add_up(((self._lanes, self._low), (other._lanes, other._low))))

    def __eq__(self, other: object) -> bool:
        """Equal when every bucket holds the same number of calls."""
        # By their bytes, because equal counts may begin at different lanes.
        return isinstance(other, Histogram) and self.to_bytes() == other.to_bytes()

    def __hash__(self) -> int:
        """Equal histograms hash alike."""
        return hash(self.to_bytes())

    def __repr__(self) -> str:
        """Show the number of calls."""
        return f"<Histogram calls={self.calls}>"

    @property
    def calls(self) -> int:
        """The number of calls in all buckets."""
        return sum(count for _, count in self.items())

    def items(self) -> Iterator[tuple[int, int]]:
        """Yield ``(bucket index, calls)`` of the buckets that hold any, lowest first."""
        low, counts = self._counts()
        return ((index, count) for index, count in enumerate(counts, low) if count)

    def calls_before(self, indexes: Sequence[int]) -> list[int]:
        """The number of calls in all buckets before each of some bucket indexes."""
        low, counts = self._counts()
        ranks = [0, *accumulate(counts)]
        return [ranks[max(0, min(index - low, len(counts)))] for index in indexes]

    def to_bytes(self) -> bytes:
        """Compact bytes, see `fastapi_lens.histogram.codec`; ``b""`` of the empty histogram."""
        return pack(self._lanes, self._low)

    def quantiles(
        self, fractions: Sequence[float], *, max_ms: float | None = None
    ) -> list[float] | None:
        """Nearest-rank quantiles: the smallest value with at least that share at or below it.

        Args:
            fractions: Each between 0 and 1, in any order.
            max_ms: The exact maximum in milliseconds where it is known: no quantile exceeds it,
                and those whose rank is the last call's are exact.

        Returns:
            Milliseconds, each within `RELATIVE_ERROR` (below 0.26 ms: `ABSOLUTE_ERROR_MS`) of
            the exact value; ``None`` when no call was recorded.
        """
        low, counts = self._counts()
        if not counts:
            return None
        ranks = list(accumulate(counts))
        return [_at_rank(low, ranks, _rank(q, ranks[-1]), max_ms) for q in fractions]

    def _counts(self) -> tuple[int, tuple[int, ...]]:
        """The first bucket in use, and the calls per bucket from there to the last one."""
        lanes = self._lane_bytes()
        empty = (len(lanes) - len(lanes.lstrip(b"\0"))) // LANE_BYTES
        lanes = lanes[empty * LANE_BYTES :]
        size = len(lanes) // LANE_BYTES
        # The module struct knows no integers of five bytes.
        wide = bytearray(size * 8)
        for byte in range(LANE_BYTES):
            wide[byte::8] = lanes[byte::LANE_BYTES]
        return self._low + empty, struct.unpack(f"<{size}Q", wide)

    def _lane_bytes(self) -> bytes:
        lanes = -(-self._lanes.bit_length() // LANE_BITS)
        return self._lanes.to_bytes(lanes * LANE_BYTES, "little")


def _at_rank(low: int, ranks: Sequence[int], rank: int, max_ms: float | None) -> float:
    if max_ms is not None and rank == ranks[-1]:
        return max_ms
    # Foreign data may lie beyond the last bucket; a page must not fail because of it.
    value = BUCKET_MS[min(low + bisect_left(ranks, rank), BUCKETS - 1)]
    return value if max_ms is None else min(value, max_ms)


def _rank(fraction: float, total: int) -> int:
    """The nearest rank ``ceil(fraction * total)``, at least 1.

    The factor keeps a product such as 0.07 * 100 = 7.000000000000001 from becoming rank 8.
    """
    return max(1, min(total, ceil(fraction * total * (1 - 1e-12))))
