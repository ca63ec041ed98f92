"""Cadences, and the pattern of past use. Pure."""

from enum import StrEnum

from fastapi_lens.verdict.gaps import FEWEST_GAPS, Gaps, median_of


class Cadence(StrEnum):
    """Frequency of use, in words that people use."""

    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    QUARTERLY = "quarterly"
    HALF_YEARLY = "half-yearly"
    YEARLY = "yearly"


CADENCE_DAYS = {
    Cadence.DAILY: 1,
    Cadence.WEEKLY: 7,
    Cadence.MONTHLY: 31,
    Cadence.QUARTERLY: 92,
    Cadence.HALF_YEARLY: 184,
    Cadence.YEARLY: 366,
}
"""The longest period of each in days."""


class Pattern(StrEnum):
    """The pattern of past use, as pages show it."""

    NEVER = "never used"
    FEW = "too few uses"
    DAILY = "daily"
    WORKING_DAYS = "working days"
    ALMOST_DAILY = "almost daily"
    BURSTS = "in bursts"
    WEEKLY = "weekly"
    TWO_WEEKLY = "every two weeks"
    MONTHLY = "monthly"
    QUARTERLY = "quarterly"
    HALF_YEARLY = "half-yearly"
    YEARLY = "yearly"
    IRREGULAR = "irregular"


ONE_LEFT_OUT, WEEKEND, HOLIDAYS, EPISODE = 2, 3, 14, 30
"""Days of gaps in a use on neighbouring days."""

_MEDIANS = (
    (Pattern.WEEKLY, 6, 8),
    (Pattern.TWO_WEEKLY, 13, 15),
    (Pattern.MONTHLY, 27, 34),
    (Pattern.QUARTERLY, 85, 98),
    (Pattern.HALF_YEARLY, 175, 192),
    (Pattern.YEARLY, 355, 376),
)
"""Patterns by the smallest and the largest median of their gaps in days."""


def pattern_of(gaps: Gaps, *, is_used: bool) -> Pattern:
    """The name of the pattern that gaps follow.

    Args:
        gaps: Between the uses of an endpoint.
        is_used: True if it was ever used.
    """
    if not is_used:
        return Pattern.NEVER
    if len(gaps.lengths) < FEWEST_GAPS:
        return Pattern.FEW
    ordered = gaps.ordered
    median, longest = median_of(ordered), ordered[-1]
    if median == 1:
        return _pattern_of_days(longest, ordered[int(0.9 * len(ordered))])
    for pattern, low, high in _MEDIANS:
        if low <= median <= high and longest <= 1.3 * high + 2:
            return pattern
    return Pattern.IRREGULAR


def _pattern_of_days(longest: int, tenth_longest: int) -> Pattern:
    """The pattern of an endpoint that is mostly used on neighbouring days.

    Args:
        longest: Days of the longest gap.
        tenth_longest: Days of the gap that nine of ten do not exceed.
    """
    if longest <= ONE_LEFT_OUT:
        return Pattern.DAILY
    if tenth_longest == WEEKEND and longest <= HOLIDAYS:
        return Pattern.WORKING_DAYS
    return Pattern.ALMOST_DAILY if longest <= EPISODE else Pattern.BURSTS
