"""Required length of a silence after the uses so far. Pure.

A silence is long enough for `probably_unused` when fewer than one in 20 such uses would pause for
so long, for `safe_to_remove` when it is fewer than one in 1,000; see `needs_of`.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from fastapi_lens.verdict.gaps import (
    DAYS_PER_WEEK,
    FEWEST_GAPS,
    TOLERANCE,
    Gaps,
    Uses,
    is_regular,
    median_of,
)
from fastapi_lens.verdict.silence import Clock

# With it, an endpoint that was used daily is probably unused after 32 days.
FLOOR = 30.0
"""Days of silence on top of what the pattern asks for."""

QUARTER = 100.0
"""Silent days that exclude a quarterly use: 92 and a week."""

YEAR = 400.0
"""Silent days that exclude a yearly use: 366 and a month."""

# After two uses, the distribution alone would ask for decades.
MOST_IRREGULAR_PROBABLY, MOST_IRREGULAR_SAFE = 400.0, 800.0
"""Days beyond which no bound of an irregular use goes, without `FLOOR`."""

CHANCE_PROBABLY, CHANCE_SAFE = 0.05, 0.001
"""The chance of a pause as long as the silence, were the endpoint still in use."""

SCALES = (1, 7, 30)
"""Days. Uses no further apart than that are one episode; the gaps between episodes are judged."""

FEWEST_USES = 4
"""Used days below which nothing is known of how often a use comes."""

SHORTEST_SPAN = 14
"""Days from the first to the last use below which they are one attempt."""

LONGEST_HOLIDAY, GAPS_PER_HOLIDAY = 21, 50
"""Days of the longest pause that may be a holiday, and the gaps that there must be for each."""

_SAFE_FACTORS = ((1, 3.0), (2, 2.5), (3, 2.25), (7, 2.0), (math.inf, 1.75))
"""Numbers of irregular gaps, each with the factor on the longest gap that a silence must reach."""

# With 1.5, a quarterly job that left out a quarter was safe on day 178 and came on day 183.
LEFT_OUT = 2.1
"""Periods of silence after which one use that was left out cannot explain it."""


@dataclass(frozen=True, slots=True)
class Needs:
    """Required lengths of a silence.

    Attributes:
        probably: Days for `probably_unused`.
        safe: Days for `safe_to_remove`, as far as the pattern of the endpoint goes.
        clock: The period of the use; None where it is irregular.
    """

    probably: float
    safe: float
    clock: Clock | None = None


def needs_of(uses: Uses, gaps: Gaps, *, is_used: bool) -> Needs:
    """The required lengths of a silence after the uses so far.

    The gaps are looked at on three scales, see `SCALES`, up to the first on which they are regular;
    the longest need counts. With m gaps, of which the longest is top, in span days from the first
    use to the last:

    * Regular gaps (three or more, that differ by at most 3 days or a fifth of their median; by 7
      days where weeks are among them): 1.5 * top for probably; for safe also 2.1 * top + 3 in all,
      so that one use that was left out is no end.
    * Other gaps: the predictive distribution of the next gap of a Poisson process, a Lomax
      distribution (the gaps so far with the prior 1 / rate): P(gap > t) = (1 + t / sum) ** -m, so
      t = sum * (P ** (-1 / m) - 1) for a chance P and gaps of sum days together; for safe the whole
      span counts as the sum. At least 1.5 * top (2 * top for fewer than three gaps), for safe 1.75
      to 3 * top, the more the fewer gaps there are or if they grow.
    * Holidays (see `LONGEST_HOLIDAY`) need no more than the least of that for probably: one closed
      week would otherwise make the pauses of a use on working days unknown for a year.

    `FLOOR` is added to the longest. Fewer than four used days never need less than a quarter for
    probably; by the distribution they need more than a year for safe.

    Args:
        uses: Of one endpoint.
        gaps: Between them.
        is_used: True if it was ever used, even if the days of that are no longer kept.
    """
    if not is_used:
        return Needs(QUARTER, YEAR)
    if uses.count <= 1 or uses.span < SHORTEST_SPAN:
        return Needs(2 * QUARTER, YEAR)
    probably = safe = 0.0
    clock: Clock | None = None
    for scale in SCALES:
        ordered = gaps.ordered[bisect_right(gaps.ordered, scale) if scale > 1 else 0 :]
        found = _regular_needs(ordered, is_blurred=gaps.longest_of_weeks > 0)
        if found is None and ordered:
            chosen = [length for length in gaps.lengths if length >= ordered[0]]
            found = Needs(
                _irregular_probably(chosen, ordered[-1], among=len(gaps.lengths)),
                _irregular_safe(chosen, ordered[-1], uses.span),
            )
        if found is not None:
            probably, safe = max(probably, found.probably), max(safe, found.safe)
            clock = found.clock
        if clock is not None:
            # Regular gaps are not pauses between episodes, so longer scales add nothing.
            break
    if uses.count < FEWEST_USES:
        probably = max(probably, QUARTER - FLOOR)
    return Needs(probably + FLOOR, safe + FLOOR, clock)


def _regular_needs(ordered: Sequence[int], *, is_blurred: bool) -> Needs | None:
    """The needs without `FLOOR` if gaps of one scale are regular, else None.

    Args:
        ordered: Days, ascending.
        is_blurred: True if some days are known to the week only.
    """
    tolerance = DAYS_PER_WEEK if is_blurred else TOLERANCE
    if len(ordered) < FEWEST_GAPS or not is_regular(ordered, tolerance=tolerance):
        return None
    period, longest = median_of(ordered), ordered[-1]
    safe = max(1.5 * longest, LEFT_OUT * longest + TOLERANCE - FLOOR)
    return Needs(1.5 * longest, safe, Clock(period, max(TOLERANCE, 0.2 * period)))


def _irregular_probably(lengths: Sequence[int], longest: int, *, among: int) -> float:
    """The days without `FLOOR` that irregular gaps of one scale ask for to be probably unused.

    Args:
        lengths: Days, at least one.
        longest: Of them.
        among: The number of gaps on all scales.
    """
    count = len(lengths)
    least = (1.5 if count >= FEWEST_GAPS else 2.0) * longest
    if longest <= LONGEST_HOLIDAY and GAPS_PER_HOLIDAY * count <= among:
        return least
    by_chance = _lomax_quantile(CHANCE_PROBABLY, sum(lengths), count)
    return min(max(least, by_chance), MOST_IRREGULAR_PROBABLY)


def _irregular_safe(lengths: Sequence[int], longest: int, span: int) -> float:
    """The same to be safe to remove.

    Args:
        lengths: Days, oldest first, at least one.
        longest: Of them.
        span: Days from the first to the last use.
    """
    by_chance = _lomax_quantile(CHANCE_SAFE, span, len(lengths))
    return min(max(_safe_factor(lengths) * longest, by_chance), MOST_IRREGULAR_SAFE)


def _lomax_quantile(chance: float, days: int, count: int) -> float:
    """The days that the next gap exceeds with a chance, after `count` gaps of so many days."""
    return days * (math.pow(chance, -1 / count) - 1)


def _safe_factor(lengths: Sequence[int]) -> float:
    """Multiple of the longest of irregular gaps that a silence must last to be safe."""
    latest, earlier = lengths[-3:], lengths[:-3]
    if earlier and sum(latest) / len(latest) > 2 * sum(earlier) / len(earlier):
        # The use fades: the next gap may be longer than any before.
        return 3.0
    return next(factor for most, factor in _SAFE_FACTORS if len(lengths) <= most)
