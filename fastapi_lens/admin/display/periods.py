"""The choice of a page's period: windows, a from–to picker, and the way to earlier and later ones.

Reads nothing. Every page with a period shows ``_period.html`` with a value of `periods_of`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from fastapi_lens.admin.context import Context
from fastapi_lens.admin.display.links import Link
from fastapi_lens.admin.display.times import Times
from fastapi_lens.admin.urls.period import Period, WindowChoice
from fastapi_lens.reporting.model import Bounds


@dataclass(frozen=True, slots=True)
class Periods:
    """The shown period, and the ways to others.

    Attributes:
        choices: The windows that are offered.
        words: Completes a sentence: ``calls in …``.
        exact: From when to when, to the minute.
        widened: True if only less precise rows than requested are kept.
        back: The window that a part of time was chosen in; None where none was.
        earlier: The period before it; None where there is none.
        later: The period after it; None where it has not begun.
        path: The address that the picker leads to.
        view: The query of the shown address, which the picker keeps besides the period.
        pairs: The shown period as hidden fields of another form of the page.
        start: The picker's values, as `end`: times without a zone.
        error: A sentence about what was typed in the picker; empty if it is fine.
    """

    choices: Sequence[Link]
    words: str
    exact: str
    widened: bool
    back: Link | None
    earlier: Link | None
    later: Link | None
    path: str
    view: str
    pairs: Sequence[tuple[str, str]]
    start: str
    end: str
    error: str

    @property
    def is_part(self) -> bool:
        """True if a part of time is shown."""
        return self.back is not None


def periods_of(
    context: Context,
    period: Period,
    link: Callable[[Period], str],
    *,
    bounds: Bounds,
    since: float | None = None,
    nothing: str = "no calls yet",
) -> Periods:
    """The choice of the period of a page.

    Args:
        context: The request.
        period: The shown one.
        link: The address of the same page in another period.
        bounds: Start and end of what is shown.
        since: Epoch seconds of the start of all time; None if there is none.
        nothing: Stands for all time where it has no start.
    """
    now, times = context.now, Times.of(context.zone)
    path, _, view = link(period).partition("?")
    earlier, later = period.earlier(now), period.later(now)
    start, end = _typed(period, bounds, times, now=now)
    return Periods(
        choices=[
            Link(choice.label, link(Period(choice)), period == Period(choice))
            for choice in WindowChoice
        ],
        words=_words(period, times),
        exact=_exact(bounds, since, times) or nothing,
        widened=_is_widened(period, bounds),
        back=Link(period.choice.words, link(period.whole()), current=False)
        if period.part
        else None,
        earlier=Link("Earlier", link(earlier), current=False) if earlier else None,
        later=Link("Later", link(later), current=False) if later else None,
        path=path,
        view=view,
        pairs=replace(period, typed=("", "")).pairs,
        start=start,
        end=end,
        error=what_is_wrong(period, times, now=now) if any(period.typed) else "",
    )


def what_is_wrong(period: Period, times: Times, *, now: float) -> str:
    """A sentence about the typed start and end of a period."""
    start, end = map(times.typed, period.typed)
    if start is None or end is None:
        return f"Enter {'a start' if start is None else 'an end'} like 2026-04-03 14:00."
    if end <= start:
        return "The end must be later than the start."
    return "The start lies in the future." if start > now else "Times lie between 1970 and 2099."


def _words(period: Period, times: Times) -> str:
    return times.between(*period.part) if period.part else period.words


def _exact(bounds: Bounds, since: float | None, times: Times) -> str:
    start = since if bounds.start is None else bounds.start
    if start is None:
        return ""
    return times.between(start, bounds.end) if bounds.end else f"{times.minute(start)} – now"


def _is_widened(period: Period, bounds: Bounds) -> bool:
    if period.part is None:
        return False
    first, last = period.part
    return bounds.start != first or bounds.end not in (last, None)


def _typed(period: Period, bounds: Bounds, times: Times, *, now: float) -> tuple[str, str]:
    """The picker's values: what was typed, or the shown period."""
    if any(period.typed):
        return period.typed
    if period.part is not None:
        start, end = period.part
    else:
        start, end = bounds.start or int(now), bounds.end or int(now)
    return times.field(start), times.field(end)
