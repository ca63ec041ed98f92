"""The figures of the overview and the sentence above them. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from fastapi_lens.admin.display import formats
from fastapi_lens.admin.display.comparison import (
    ERRORS,
    Figure,
    change_of,
    errors_of,
)
from fastapi_lens.changes.change import Change, Kind
from fastapi_lens.reporting.changes import EndpointChange
from fastapi_lens.reporting.model import FEWEST_CALLS, Before, Usage
from fastapi_lens.settings.status import Status

ABOUT_EQUAL = 0.05
"""A change of traffic below this share is about none."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a sentence; a link where `href` is not empty."""

    text: str
    href: str = ""


@dataclass(frozen=True, slots=True)
class Numbers:
    """The sums that figures are made of.

    Attributes:
        usage: Of the period; its histogram is that of `timed` endpoints alone.
        timed: Of all endpoints but WebSockets.
        before: The period before, scaled; None if it is not known or has too few calls.
        timed_before: The same of `timed`, not scaled; None if it is not known.
        exceptions: Number of exceptions in the period, of their types, and of types new in it.
        counts: Endpoints by status.
    """

    usage: Usage
    timed: Usage
    before: Before | None
    exceptions: tuple[int, int, int]
    counts: Sequence[tuple[Status, int]]
    timed_before: Usage | None = None


def figures(numbers: Numbers, *, slow_ms: float) -> list[Figure]:
    """Calls, server errors, client errors, p95 and exceptions."""
    usage, before = numbers.usage, numbers.before
    if not usage.calls:
        names = (*ERRORS, "p95")
        return [Figure("Calls", "0"), *(Figure(name, formats.NOTHING) for name in names)]
    earlier = None if before is None else before.usage
    return [
        _calls(usage, before),
        *(errors_of(name, unit, usage, earlier) for name, unit in ERRORS.items()),
        _p95(numbers, slow_ms),
        _exceptions(*numbers.exceptions),
    ]


def _exceptions(count: int, types: int, new: int) -> Figure:
    """The number of exceptions; that of their types, and how many of these are new."""
    if not types:
        return Figure("Exceptions", "0")
    change = "all new" if new == types else f"{formats.number(new)} new" if new else ""
    return Figure("Exceptions", formats.number(count), formats.plural(types, "type"), change)


def _calls(usage: Usage, before: Before | None) -> Figure:
    value = formats.number(usage.calls)
    if before is None:
        return Figure("Calls", value)
    # More or fewer calls are neither better nor worse.
    change, _ = change_of(usage.calls, before.calls, is_better=True)
    return Figure("Calls", value, change=change, before=formats.number(round(before.calls)))


def _p95(numbers: Numbers, slow_ms: float) -> Figure:
    timed, earlier = numbers.timed, numbers.timed_before
    if not timed.calls:
        return Figure("p95", formats.NOTHING)
    p95 = timed.percentiles_ms[1]
    found = Figure("p95", formats.duration(p95), slow=p95 > slow_ms)
    if numbers.before is None or earlier is None:
        return found
    if min(timed.calls, earlier.calls) < FEWEST_CALLS:
        return found
    was = earlier.percentiles_ms[1]
    change, kind = change_of(p95, was, is_better=p95 < was)
    return replace(found, change=change, before=formats.duration(was), kind=kind)


def sentence(
    numbers: Numbers,
    changes: Sequence[EndpointChange] | None,
    *,
    hrefs: Sequence[str],
    candidates: tuple[int, int, str],
    length: str,
) -> list[Part]:
    """One sentence on traffic, one on the largest change, one on what may be deleted.

    Args:
        numbers: The sums.
        changes: The changes, the largest first; None while they are not known.
        hrefs: Addresses of the endpoints of `changes`.
        candidates: Number of endpoints that can be looked at for deletion, number of all that are
            unused, and their address.
        length: The period before in words: ``the 7 days before``.
    """
    parts = [Part(_traffic(numbers, length))]
    worst = [
        (one, href)
        for one, href in zip(changes or (), hrefs, strict=True)
        if one.change.kind in (Kind.FAILING_MORE, Kind.SLOWER)
    ]
    if worst:
        (endpoint, change), href = worst[0]
        verb = "is slower" if change.kind is Kind.SLOWER else "fails more often"
        if change.kind is Kind.SLOWER and change.ratio is not None:
            verb = f"is {change.ratio - 1:.0%} slower"
        since = f" since {_since(change)}"
        parts += [
            Part(" "),
            Part(f"{endpoint.method} {endpoint.path}", href),
            Part(f" {verb}{since}."),
        ]
    cold = sum(one.change.kind in (Kind.WENT_COLD, Kind.WENT_DEAD) for one in changes or ())
    if cold:
        parts.append(Part(f" {formats.plural(cold, 'endpoint')} went cold or dead."))
    count, unused, address = candidates
    if count:
        of = "" if count == unused else f"{formats.number(count)} of "
        words = f"{of}{formats.plural(unused, 'unused endpoint')} can be looked at for deletion"
        parts += [Part(" "), Part(words, address), Part(".")]
    return parts


def _since(change: Change) -> str:
    return f"release {change.release}" if change.release else formats.day(change.since)


def _traffic(numbers: Numbers, length: str) -> str:
    usage, before = numbers.usage, numbers.before
    if not usage.calls:
        return "No calls in this period."
    share = usage.errors_5xx / usage.calls
    errors = f"{formats.percent(share)} of calls failed with a server error."
    if before is None:
        return f"{formats.plural(usage.calls, 'call')}; {errors}"
    ratio = usage.calls / before.calls
    direction = "up" if ratio > 1 else "down"
    traffic = f"Traffic is {direction} {abs(ratio - 1):.0%} on {length}"
    if abs(ratio - 1) < ABOUT_EQUAL:
        traffic = f"Traffic is about the same as in {length}"
    return f"{traffic}; {errors}"
