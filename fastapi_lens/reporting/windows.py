"""Windows as rows of several tiers. Pure arithmetic; no clock, no database."""

from collections.abc import Callable
from dataclasses import dataclass

from fastapi_lens.reporting.model import Bounds, Window
from fastapi_lens.storage.schema.models import Tier

COARSE_FIRST = (Tier.WEEK, Tier.DAY, Tier.HOUR, Tier.MINUTE)

Kept = Callable[[Tier], int | None]
"""Seconds that a tier is kept; None for ever."""


@dataclass(frozen=True, slots=True)
class Span:
    """Buckets of one tier: ``first <= bucket < last``; ``last`` None is open.

    The row of the present hour, day or week contains everything recorded in it so far, so a window
    that ends now needs no finer rows at its end.

    Attributes:
        until: For an open span, the first bucket that only a wrong clock could have written; None
            while the present time is not known.
    """

    tier: Tier
    first: int
    last: int | None
    until: int | None = None


def bounds_of(window: Window, *, now: float, kept: Kept) -> Bounds:
    """Bounds of a window, widened to edges of the finest tier that still reaches back to its start.

    Returns:
        Edges of minutes (windows that begin up to 6 hours ago, by default), hours (35 days),
        days (400 days) or weeks. An end in the future or in the present bucket becomes None,
        which means now.
    """
    begin = window.begin(now)
    if begin is None:
        return Bounds()
    tier = finest(begin, now=now, kept=kept)
    start = begin // tier * tier
    if window.end is None:
        return Bounds(start)
    end = -(-max(window.end, start + 1) // tier) * tier
    return Bounds(start, None if end > now else end)


def period_before(bounds: Bounds, *, now: float, kept: Kept) -> Bounds | None:
    """The period before a window, of the same length, to the precision of the rows that are kept.

    Returns:
        None for a window of everything, and if the rows that are kept do not reach back so far
        or are so coarse that the period would be off by more than a tenth of its length.
    """
    if bounds.start is None:
        return None
    length = (int(now) if bounds.end is None else bounds.end) - bounds.start
    begin, reach = bounds.start - length, kept(Tier.WEEK)
    if length <= 0 or begin < 0 or (reach is not None and int(now) - begin > reach):
        return None
    tier = finest(begin, now=now, kept=kept)
    start = _nearest(begin, tier)
    end = _nearest(bounds.start, _tier_at_end(bounds.start, tier, now=now, kept=kept))
    off = max(abs(end - start - length), abs(end - bounds.start))
    return Bounds(start, end) if off <= length / 10 else None


def code_days(window: Window, *, now: float, kept: Kept) -> tuple[int, int]:
    """The first and the last day of a window, counted from the epoch, as far as days are kept.

    The last one is today if the window ends now; without any day it lies before the first.
    """
    reach, begin = kept(Tier.DAY), window.begin(now) or 0
    oldest = 0 if reach is None else max(0, int(now) - reach)
    last = int(now) if window.end is None else min(window.end - 1, int(now))
    return max(begin, oldest) // Tier.DAY, last // Tier.DAY


def _nearest(moment: int, tier: Tier) -> int:
    return (moment + tier // 2) // tier * tier


def _tier_at_end(end: int, tier: Tier, *, now: float, kept: Kept) -> Tier:
    """The finest tier at whose edge a window can end if it begins at an edge of a coarser one.

    From the last whole bucket of a tier to the end, rows of the next finer tier are needed.
    """
    for finer in COARSE_FIRST[COARSE_FIRST.index(tier) + 1 :]:
        reach = kept(finer)
        if reach is not None and int(now) - end // tier * tier > reach:
            return tier
        tier = finer
    return tier


def finest(start: float, *, now: float, kept: Kept) -> Tier:
    """The finest tier whose rows still reach back to a time."""
    for tier in reversed(COARSE_FIRST):
        reach = kept(tier)
        # Whole seconds, as in the retention: all of the last six hours consist of minutes.
        if reach is None or int(now) - start <= reach:
            return tier
    return Tier.WEEK


def cover(start: int, *, end: int | None = None, coarsest: Tier = Tier.WEEK) -> list[Span]:
    """The fewest rows that make up a window exactly.

    Args:
        start: Epoch seconds at the edge of a tier's bucket.
        end: Epoch seconds at the edge of a bucket; None for up to now.
        coarsest: Rows of coarser tiers are not used.

    Returns:
        Spans that do not overlap, without empty ones.
    """
    spans: list[Span] = []
    _cover(start, end, COARSE_FIRST[COARSE_FIRST.index(coarsest) :], spans)
    return spans


def _cover(start: int, end: int | None, tiers: tuple[Tier, ...], spans: list[Span]) -> None:
    """Take the whole buckets of the coarsest tier, and finer ones for the rest."""
    tier, *finer = tiers
    first = -(-start // tier)
    last = None if end is None else end // tier
    if last is not None and first >= last:
        if finer:
            _cover(start, end, tuple(finer), spans)
        return
    spans.append(Span(tier, first, last))
    if finer and start < first * tier:
        _cover(start, first * tier, tuple(finer), spans)
    if finer and end is not None and last is not None and last * tier < end:
        _cover(last * tier, end, tuple(finer), spans)
