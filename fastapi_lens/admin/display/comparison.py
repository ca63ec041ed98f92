"""Figures of a window beside those of the period before it. Pure; no I/O, no HTML."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from fastapi_lens.admin.display import formats
from fastapi_lens.admin.display.times import IN_UTC, Times
from fastapi_lens.reporting.model import FEWEST_CALLS, AppBefore, Before, Endpoint, Usage

UNCHANGED = 0.005
"""A change by less than half a percent, or half a tenth of a percentage point, is none."""

ERRORS: Mapping[str, str] = MappingProxyType({"Server errors": "5xx", "Client errors": "4xx"})
"""The figures of errors, each with its class of status codes."""

_FEW = f"fewer than {FEWEST_CALLS} calls in one of the two"
_POINT_DIGIT = 0.0005
_PRECISION = 0.03
"""Share within which two percentiles are alike: each is known within 1.4 %."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A number with its change.

    Attributes:
        detail: More of the number itself.
        change: ``+12%``; empty where there is nothing to compare with.
        before: The former value, with its unit.
        kind: ``better``, ``worse``, ``few`` if either period has too few calls to tell, or empty.
        slow: True if it is above the configured limit.
    """

    name: str
    value: str
    detail: str = ""
    change: str = ""
    before: str = ""
    kind: str = ""
    slow: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """A change against the period before, in a cell.

    Attributes:
        text: ``+12%``; empty where there is nothing to compare with.
        title: The former value, or the reason for no comparison.
        kind: ``better``, ``worse``, ``few`` if either period has too few calls, or empty.
    """

    text: str = ""
    title: str = ""
    kind: str = ""


def figures(
    usage: Usage, before: Before | None, *, slow: bool, is_timed: bool = True
) -> list[Figure]:
    """The figures of a window.

    Args:
        usage: Of the window.
        before: Of the period before; None where there is nothing to compare with.
        slow: True if the p95 is above the configured limit.
        is_timed: False if a longer duration is not worse: a WebSocket lasts as long as it is open.
    """
    if not usage.calls:
        names = (*ERRORS, "p50", "p95", "p99", "Mean", "Longest")
        return [_calls(usage, before), *(Figure(name, formats.NOTHING) for name in names)]
    times = [("p50", 0), ("p95", 1)]
    earlier = None if before is None else before.usage
    found = [
        _calls(usage, before),
        *(errors_of(name, unit, usage, earlier) for name, unit in ERRORS.items()),
        *(_latency(name, at, usage, before, slow=slow and name == "p95") for name, at in times),
        Figure("p99", formats.duration(usage.percentiles_ms[2])),
        Figure("Mean", formats.duration(usage.avg_ms)),
        Figure("Longest", formats.duration(usage.max_ms)),
    ]
    if not is_timed:
        found = [
            replace(each, kind="" if each.name in dict(times) else each.kind) for each in found
        ]
    if earlier is None or min(usage.calls, earlier.calls) >= FEWEST_CALLS:
        return found
    return [replace(each, kind="few" if each.change else "") for each in found]


def comparison(
    endpoint: Endpoint, before: Before | None, *, everything: bool, times: Times = IN_UTC
) -> str:
    """A sentence that names the period of comparison, or the reason for none.

    Args:
        endpoint: Which endpoint.
        before: The period before; None where too little is kept of it.
        everything: True if the window is all time.
        times: The zone of the page.
    """
    if before is None:
        return no_period(everything=everything)
    if not is_seen(endpoint, before):
        return _new(endpoint, times)
    length = formats.lasting(before.seconds)
    if not (endpoint.usage.calls or before.calls):
        return f"No calls in the {length} before either."
    return f"Compared with the {length} before: {times.between(before.start, before.end)}."


def no_period(*, everything: bool) -> str:
    """The reason why there is no period before; `everything` is true for all time."""
    if everything:
        return "All time: no earlier period to compare with."
    return "No comparison: the data of the period before has expired."


def calls_change(endpoint: Endpoint, before: AppBefore, times: Times = IN_UTC) -> Change:
    """The change of an endpoint's calls; more or fewer are neither better nor worse.

    Args:
        endpoint: With its calls in the period before.
        before: That period.
        times: The zone of the page.
    """
    found = endpoint.before
    if found is None:
        return Change(title=_new(endpoint, times))
    length = f"in the {formats.lasting(before.seconds)} before"
    if not (found.usage.calls or endpoint.usage.calls):
        return Change(title=f"No calls {length} either.")
    text = _change(endpoint.usage.calls, found.calls)
    title = f"{formats.plural(round(found.calls), 'call')} {length}"
    return _marked(Change(text, title), is_enough=endpoint.is_comparable)


def p95_change(endpoint: Endpoint, before: AppBefore, times: Times = IN_UTC) -> Change:
    """The change of an endpoint's p95; see `calls_change`. Both histograms must have been read."""
    found = endpoint.before
    if not endpoint.is_timed:
        return Change(title="A WebSocket lasts as long as it is open.")
    if found is None:
        return Change(title=_new(endpoint, times))
    length = f"in the {formats.lasting(before.seconds)} before"
    if not (found.usage.calls and endpoint.usage.calls):
        return Change(title=f"No calls {'in this period' if found.usage.calls else length}.")
    now, was = endpoint.usage.percentiles_ms[1], found.usage.percentiles_ms[1]
    text, kind = change_of(now, was, is_better=now < was)
    title = f"{formats.duration(was)} {length}"
    return _marked(Change(text, title, kind), is_enough=endpoint.is_comparable)


def _marked(change: Change, *, is_enough: bool) -> Change:
    """A change, without good and bad where the calls are too few to tell."""
    if is_enough:
        return change
    return replace(change, kind="few", title=f"{change.title}; {_FEW}")


def change_of(now: float, was: float, *, is_better: bool) -> tuple[str, str]:
    """A change in percent, and ``better`` or ``worse`` where it is more than the precision."""
    near = abs(now - was) <= was * _PRECISION
    return _change(now, was), "" if near else "better" if is_better else "worse"


def points_of(share: float, was: float) -> tuple[str, str]:
    """The change of a share of failed calls in percentage points, and ``better`` or ``worse``."""
    change = share - was
    if abs(change) < _POINT_DIGIT:
        return "±0", ""
    return _signed(change * 100, ".1f"), "worse" if change > 0 else "better"


def is_seen(endpoint: Endpoint, before: Before) -> bool:
    """True if an endpoint existed when a period began."""
    return endpoint.first_seen_at <= before.start


def _new(endpoint: Endpoint, times: Times) -> str:
    since = times.minute(endpoint.first_seen_at)
    return f"No comparison: first seen {since}, after the period before began."


def _calls(usage: Usage, before: Before | None) -> Figure:
    value = formats.number(usage.calls)
    if before is None or not (usage.calls or before.calls):
        return Figure("Calls", value)
    was = formats.number(round(before.calls))
    return Figure("Calls", value, change=_change(usage.calls, before.calls), before=was)


def errors_of(name: str, unit: str, usage: Usage, before: Usage | None) -> Figure:
    """The share of server errors or of client errors, which are never added up.

    Args:
        name: Of the figure.
        unit: ``5xx`` or ``4xx``.
        usage: Of the window, with a call at least.
        before: Of the period before; None where there is nothing to compare with.
    """
    count = _count(usage, unit)
    share = count / usage.calls
    value, detail = formats.percent(share), f"{count:,} × {unit}"
    if before is None or not before.calls:
        return Figure(name, value, detail)
    was = _count(before, unit) / before.calls
    change, kind = points_of(share, was)
    return Figure(name, value, detail, f"{change} points", formats.percent(was), kind)


def _count(usage: Usage, unit: str) -> int:
    return usage.errors_5xx if unit == "5xx" else usage.errors_4xx


def _latency(name: str, at: int, usage: Usage, before: Before | None, *, slow: bool) -> Figure:
    now = usage.percentiles_ms[at]
    if before is None or not before.usage.calls:
        return Figure(name, formats.duration(now), slow=slow)
    was = before.usage.percentiles_ms[at]
    text, kind = change_of(now, was, is_better=now < was)
    return Figure(name, formats.duration(now), "", text, formats.duration(was), kind, slow)


def _change(now: float, was: float) -> str:
    """The change in percent; ``new`` if there was nothing before."""
    if not was:
        return "new" if now else "±0%"
    change = now / was - 1
    if abs(change) < UNCHANGED:
        return "±0%"
    # From tenfold on, a factor is easier to read than a percentage.
    return f"×{now / was:,.0f}" if change >= 9 else f"{_signed(change * 100, '.0f')}%"  # noqa: PLR2004


def _signed(value: float, form: str) -> str:
    return f"{'+' if value > 0 else '−'}{abs(value):{form}}"  # noqa: RUF001  A minus sign.
