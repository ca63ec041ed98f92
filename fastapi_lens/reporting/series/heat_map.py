"""Heat map of latencies: calls by step and band of duration. Pure arithmetic; no I/O, no HTML."""

from dataclasses import dataclass

from fastapi_lens.histogram.histogram import (
    LINEAR_BUCKETS,
    OCTAVES,
    PER_OCTAVE,
    Histogram,
    bucket_edges,
)
from fastapi_lens.reporting.model import Series

MAX_FINE_BANDS = 10
"""If more half octaves are in use, bands are whole octaves."""

MIN_BANDS = 6
_HALF = PER_OCTAVE // 2


@dataclass(frozen=True, slots=True)
class Heat:
    """Calls by step and band of duration.

    Attributes:
        bands_ms: Start and end of each band in milliseconds, the shortest first. They are edges of
            histogram buckets, so that every call is known to be in its band.
        columns: For each step the calls in each band.
    """

    bands_ms: tuple[tuple[float, float], ...]
    columns: tuple[tuple[int, ...], ...]


def heat_of(series: Series) -> Heat:
    """The latencies of a series as bands, from the fastest call to the slowest."""
    found = [_bands(point.usage.measured) for point in series.points]
    used = {band for bands in found for band in bands} or {0}
    width = 1 if max(used) - min(used) < MAX_FINE_BANDS else 2
    # Rounded up, so that band 0, which is no half octave, stays a band of its own.
    first, last = ((band + width - 1) // width for band in (min(used), max(used)))
    # Empty bands around, because a single band would fill the whole height of the chart.
    missing = max(0, MIN_BANDS - (last - first + 1))
    highest = 2 * OCTAVES // width
    first = max(0, min(first - missing // 2, highest - MIN_BANDS + 1))
    last = max(last, first + MIN_BANDS - 1)
    columns: list[tuple[int, ...]] = []
    for bands in found:
        column = [0] * (last - first + 1)
        for band, calls in bands.items():
            column[(band + width - 1) // width - first] += calls
        columns.append(tuple(column))
    edges = tuple((_edge_ms(n - 1, width), _edge_ms(n, width)) for n in range(first, last + 1))
    return Heat(edges, tuple(columns))


def _bands(histogram: Histogram) -> dict[int, int]:
    """Calls per half octave; band 0 is everything below the first octave."""
    bands: dict[int, int] = {}
    for index, calls in histogram.items():
        band = 0 if index < LINEAR_BUCKETS else 1 + (index - LINEAR_BUCKETS) // _HALF
        bands[band] = bands.get(band, 0) + calls
    return bands


def _edge_ms(number: int, width: int) -> float:
    """Start of the octave or half octave with this number; -1 is the lower edge of all."""
    if number < 0:
        return 0.0
    return bucket_edges(LINEAR_BUCKETS + number * width * _HALF)[0] / 1e6
