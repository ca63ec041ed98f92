"""The sections of the overview: rows that fail, are slow or unused, and what changed. No I/O."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from fastapi_lens.admin.context import Context
from fastapi_lens.admin.display import formats
from fastapi_lens.admin.display.comparison import change_of, points_of
from fastapi_lens.admin.display.times import Times
from fastapi_lens.admin.display.verdicts import LEVEL_LABELS, css_of
from fastapi_lens.admin.urls.endpoint import EndpointQuery
from fastapi_lens.admin.urls.overview import OverviewQuery
from fastapi_lens.changes.change import Kind
from fastapi_lens.changes.sentences import (
    DURATION_RULE,
    FAILURE_RULE,
    TRAFFIC_RULE,
    sentence,
    title,
)
from fastapi_lens.reporting.changes import MOST_DAYS, MOST_READ, EndpointChange
from fastapi_lens.reporting.evidence.evidence import Judged
from fastapi_lens.reporting.model import FEWEST_CALLS, AppBefore, Endpoint, Usage
from fastapi_lens.settings.status import UNUSED
from fastapi_lens.text.sources import file_and_line
from fastapi_lens.verdict.level import Level
from fastapi_lens.verdict.sentences import headline

ROWS = 5
MOST_UNUSED = 9
MOST_OF_A_KIND, MOST_RECOVERED = 3, 12
"""Changes of one kind that are shown; their number is said of the others."""

CANDIDATES = (Level.SAFE_TO_REMOVE, Level.PROBABLY_UNUSED)
"""Verdicts of endpoints that can be looked at for deletion, the surest first."""

_LIMITS = (
    f"Of a longer period the last {MOST_DAYS} days count, and of many endpoints the {MOST_READ} "
    "with the most calls."
)
RULES = (DURATION_RULE, FAILURE_RULE, TRAFFIC_RULE, _LIMITS)

_KIND_CSS: Mapping[Kind, str] = {
    Kind.FAILING_MORE: "worse",
    Kind.SLOWER: "worse",
    Kind.WENT_DEAD: "dead",
    Kind.WENT_COLD: "cold",
    Kind.FASTER: "better",
    Kind.RECOVERED: "better",
}


@dataclass(frozen=True, slots=True)
class Row:
    """An endpoint in a short list.

    Attributes:
        href: Its page, in the same period.
        value: The number that the list is about.
        share: A second number; may be empty.
        change: Against the period before; empty below `FEWEST_CALLS` calls.
        kind: ``better``, ``worse``, or empty for what is neither.
        trend: Calls, or failed calls, per step.
        slow: True if the value is above the limit.
    """

    endpoint: Endpoint
    href: str
    value: str
    share: str = ""
    change: str = ""
    kind: str = ""
    trend: Sequence[int] = ()
    slow: bool = False


class Unused(NamedTuple):
    """An endpoint that nobody seems to use.

    Attributes:
        href: Its page, with the evidence.
        css: Class of the verdict.
        verdict: In two or three words.
        headline: The same with its date.
        last_use: The day of its last use, or since when there was none.
        source: End of the location of its handler; empty if it is unknown.
        file_href: This page, of the handler's file alone; empty without one.
    """

    endpoint: Endpoint
    href: str
    css: str
    verdict: str
    headline: str
    last_use: str
    source: str
    file_href: str


class ChangeLine(NamedTuple):
    """A change of one endpoint in words."""

    endpoint: Endpoint
    href: str
    text: str


@dataclass(frozen=True, slots=True)
class ChangeGroup:
    """Changes of one kind.

    Attributes:
        lines: Those that are shown, the largest first.
        more: Number of those that are not shown.
        summary: Number of all in words, where only that is shown at first; else empty.
    """

    label: str
    css: str
    lines: Sequence[ChangeLine]
    more: int = 0
    summary: str = ""


def failing(endpoints: Iterable[Endpoint]) -> list[Endpoint]:
    """The endpoints with the most 5xx."""
    found = [one for one in endpoints if one.usage.errors_5xx]
    return sorted(found, key=lambda one: (-one.usage.errors_5xx, one.path))[:ROWS]


def slowest(endpoints: Iterable[Endpoint]) -> list[Endpoint]:
    """The endpoints with the highest p95; WebSockets have none."""
    found = [one for one in endpoints if one.usage.calls and one.is_timed]
    return sorted(found, key=lambda one: (-one.usage.percentiles_ms[1], one.path))[:ROWS]


def failing_row(
    context: Context,
    query: OverviewQuery,
    endpoint: Endpoint,
    before: AppBefore | None,
    trend: Sequence[int],
) -> Row:
    """A row of the list of failing endpoints."""
    usage, earlier = endpoint.usage, _comparable(endpoint, before)
    share = usage.errors_5xx / usage.calls
    change, kind = "", ""
    if earlier is not None:
        change, kind = points_of(share, earlier.errors_5xx / earlier.calls)
    return Row(
        endpoint,
        href_of(context, query, endpoint),
        formats.number(usage.errors_5xx),
        formats.percent(share),
        change,
        kind,
        trend,
    )


def slow_row(
    context: Context,
    query: OverviewQuery,
    endpoint: Endpoint,
    before: AppBefore | None,
    trend: Sequence[int],
) -> Row:
    """A row of the list of the slowest endpoints."""
    p95, earlier = endpoint.usage.percentiles_ms[1], _comparable(endpoint, before)
    change, kind = "", ""
    if earlier is not None:
        was = earlier.percentiles_ms[1]
        change, kind = change_of(p95, was, is_better=p95 < was)
    return Row(
        endpoint,
        href_of(context, query, endpoint),
        formats.milliseconds(p95),
        formats.number(endpoint.usage.calls),
        change,
        kind,
        trend,
        slow=endpoint.is_slow(limit_ms=context.lens.settings.slow_threshold_ms),
    )


def unused(endpoints: Iterable[Endpoint], judged: Mapping[int, Judged]) -> list[Judged]:
    """The endpoints that nobody seems to use: the surest verdicts first, then the longest unused.

    Args:
        endpoints: All that are shown.
        judged: By id; those without a verdict are left out.
    """
    found = [judged[one.id] for one in endpoints if one.id in judged]
    return sorted((one for one in found if _is_unused(one)), key=_unused_rank)


def _is_unused(judged: Judged) -> bool:
    level = judged.verdict.level
    return level in CANDIDATES or (judged.endpoint.status in UNUSED and level is not Level.KEPT)


def _unused_rank(judged: Judged) -> tuple[int, float, str]:
    level, path = judged.verdict.level, judged.endpoint.path
    place = CANDIDATES.index(level) if level in CANDIDATES else len(CANDIDATES)
    return place, judged.last_used_at or judged.present_since, path


def unused_row(context: Context, query: OverviewQuery, judged: Judged) -> Unused:
    """A row of the list of unused endpoints."""
    endpoint, verdict = judged.endpoint, judged.verdict
    file, _ = file_and_line(endpoint.source)
    last = judged.last_used_at
    return Unused(
        endpoint,
        context.url(f"/endpoints/{endpoint.key}#evidence"),
        css_of(verdict.level),
        LEVEL_LABELS[verdict.level],
        headline(verdict),
        formats.day(last) if last else f"none since {formats.day(judged.present_since)}",
        formats.last_parts(endpoint.source),
        replace(query, file=file).url(context.url("/")) if file else "",
    )


def change_groups(
    context: Context,
    query: OverviewQuery,
    changes: Iterable[EndpointChange],
    before: AppBefore | None,
) -> list[ChangeGroup]:
    """Changes by kind, in the order of the kinds.

    Args:
        context: The request.
        query: The state of the page.
        changes: The changes, those of one kind in their order.
        before: All endpoints in the period before; None if it is not known.
    """
    by_kind: dict[Kind, list[EndpointChange]] = {}
    for one in changes:
        counted = _counted(one, before) if one.change.kind is Kind.DEPRECATED_BUT_CALLED else one
        by_kind.setdefault(one.change.kind, []).append(counted)
    return [_group(context, query, kind, found) for kind, found in by_kind.items()]


def _counted(found: EndpointChange, before: AppBefore | None) -> EndpointChange:
    """The change with the calls that other lists show of the period, not those of whole days."""
    endpoint, change = found
    earlier = None if before is None else before.of_one(endpoint)
    was = 0.0 if earlier is None else earlier.calls
    return EndpointChange(endpoint, replace(change, before=was, after=endpoint.usage.calls))


def _group(
    context: Context, query: OverviewQuery, kind: Kind, found: Sequence[EndpointChange]
) -> ChangeGroup:
    is_over = kind is Kind.RECOVERED
    most = MOST_RECOVERED if is_over else MOST_OF_A_KIND
    return ChangeGroup(
        title(kind),
        _KIND_CSS.get(kind, ""),
        [_change_line(context, query, one) for one in found[:most]],
        max(0, len(found) - most),
        f"{formats.plural(_endpoints(found), 'endpoint')} failed more, and no longer"
        if is_over
        else "",
    )


def _endpoints(changes: Iterable[EndpointChange]) -> int:
    return len({one.endpoint.id for one in changes})


def _change_line(context: Context, query: OverviewQuery, one: EndpointChange) -> ChangeLine:
    text = sentence(one.change, Times.of(context.zone).zone)
    return ChangeLine(one.endpoint, href_of(context, query, one.endpoint), text)


def _comparable(endpoint: Endpoint, before: AppBefore | None) -> Usage | None:
    """The calls of the period before where both have enough."""
    found = None if before is None else before.of_one(endpoint)
    if found is None or min(found.usage.calls, endpoint.usage.calls) < FEWEST_CALLS:
        return None
    return found.usage


def href_of(context: Context, query: OverviewQuery, endpoint: Endpoint) -> str:
    """The page of an endpoint, in the same period."""
    return EndpointQuery(window=query.window).url(context.url(f"/endpoints/{endpoint.key}"))
