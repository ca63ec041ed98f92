"""Which rows of which tier make up a window. Pure arithmetic; no clock, no database."""

from collections.abc import Callable
from dataclasses import dataclass

from fastapi_lens.reporting.model import Window
from fastapi_lens.storage.models import Tier

COARSE_FIRST = (Tier.WEEK, Tier.DAY, Tier.HOUR, Tier.MINUTE)

Kept = Callable[[Tier], int | None]
"""Seconds that a tier is kept; None for ever."""


@dataclass(frozen=True, slots=True)
class Span:
    """Buckets of one tier: ``first <= bucket < last``; ``last`` None is open.

    The row of the present hour, day or week holds all that was recorded in it so far, so a
    window that ends now needs no finer rows at its end.
    """

    tier: Tier
    first: int
    last: int | None


def start_of(window: Window, *, now: float, kept: Kept) -> int | None:
    """Where a window begins, to the precision of the finest tier that reaches back to it.

    Returns:
        Epoch seconds, at the edge of a minute (windows up to 6 hours by default), an hour (35
        days), a day (400 days) or a week; None for everything.
    """
    begin = window.begin(now)
    if begin is None:
        return None
    return begin // (tier := finest(begin, now=now, kept=kept)) * tier


def finest(start: float, *, now: float, kept: Kept) -> Tier:
    """The finest tier whose rows still reach back to a time."""
    for tier in reversed(COARSE_FIRST):
        reach = kept(tier)
        # Whole seconds, as retention counts: the last six hours are minutes all of them.
        if reach is None or int(now) - start <= reach:
            return tier
    return Tier.WEEK


def cover(start: int | None, *, end: int | None = None) -> list[Span]:
    """The fewest rows that make up a window exactly.

    Args:
        start: Epoch seconds at the edge of a tier's bucket; None for everything.
        end: Epoch seconds at the edge of a bucket; None for up to now.

    Returns:
        Spans that do not overlap, without empty ones.
    """
    if start is None:
        start = 0
    spans: list[Span] = []
    _cover(start, end, COARSE_FIRST, spans)
    return spans


def _cover(start: int, end: int | None, tiers: tuple[Tier, ...], spans: list[Span]) -> None:
    """Take the whole buckets of the coarsest tier, and finer ones for what is left."""
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
