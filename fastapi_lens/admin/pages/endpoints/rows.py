"""The rows of the list of endpoints, as its table shows them. No HTML."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fastapi_lens.admin.context import Context
from fastapi_lens.admin.display import formats
from fastapi_lens.admin.display.comparison import Change, calls_change, no_period, p95_change
from fastapi_lens.admin.display.labels import STATUS_LABELS, open_words
from fastapi_lens.admin.display.source_links import SourceLinks
from fastapi_lens.admin.display.times import Times
from fastapi_lens.admin.display.verdicts import judged_headline, level_css, level_label
from fastapi_lens.admin.pages.endpoints.earlier import Earlier
from fastapi_lens.admin.urls.endpoint import EndpointQuery
from fastapi_lens.admin.urls.endpoints import EndpointsQuery
from fastapi_lens.reporting.evidence.evidence import Judged
from fastapi_lens.reporting.model import Endpoint


@dataclass(frozen=True, slots=True)
class Row:
    """An endpoint as a row of the table.

    Attributes:
        href: Its own page.
        hint: The name of its handler, with that of its module; may be empty, as `handler` may.
        handler: File and line of the handler, without the folders above.
        source_href: The link to the handler; empty without one.
        verdict: May it be deleted, in a few words; empty where there is no verdict.
        level: The same in two or three words.
        level_css: Class of the level.
        trend: Calls per step of the window; empty if the trend is not shown.
        open: Its open connections, in words; empty if there are none.
        is_slow: True if its p95 is above the configured limit.
        is_ignored: True if a rule ignores it.
        calls_change: Against the period before; without a text if it is not known or not shown.
        p95_change: The same of the p95.
        present_since: Epoch seconds since which it has been in the routes.
    """

    endpoint: Endpoint
    href: str
    hint: str
    handler: str
    source_href: str
    status: str
    verdict: str
    level: str
    level_css: str
    trend: Sequence[int]
    open: str
    percentiles_ms: tuple[float, float, float]
    is_slow: bool
    is_ignored: bool
    calls_change: Change
    p95_change: Change
    present_since: float


@dataclass(frozen=True, slots=True)
class Found:
    """Facts that the rows of one page need besides the endpoints, by id.

    Attributes:
        trends: Calls per step of the window; empty if the trend is not shown.
        judged: The verdicts.
        earlier: The period before.
        sources: The links to handlers, which are not by id.
    """

    trends: Mapping[int, Sequence[int]]
    judged: Mapping[int, Judged]
    earlier: Earlier
    sources: SourceLinks


def row_of(context: Context, query: EndpointsQuery, endpoint: Endpoint, found: Found) -> Row:
    """The row of an endpoint."""
    usage, judged = endpoint.usage, found.judged.get(endpoint.id)
    p50, p95, p99 = usage.percentiles_ms
    calls_changed, p95_changed = _changes(query, endpoint, found, Times.of(context.zone))
    return Row(
        endpoint=endpoint,
        href=EndpointQuery(window=query.window).url(context.url(f"/endpoints/{endpoint.key}")),
        hint=formats.short_name(endpoint.name),
        handler=formats.last_parts(endpoint.source),
        source_href=found.sources.href(endpoint.source),
        status=STATUS_LABELS[endpoint.status],
        verdict="" if judged is None else judged_headline(judged),
        level="" if judged is None else level_label(judged),
        level_css="" if judged is None else level_css(judged),
        trend=found.trends.get(endpoint.id, ()),
        open=open_words(endpoint, now=context.now),
        percentiles_ms=(p50, p95, p99),
        is_slow=endpoint.is_slow(limit_ms=context.lens.settings.slow_threshold_ms),
        is_ignored=context.lens.settings.rules.ignores(endpoint.method, endpoint.path),
        calls_change=calls_changed,
        p95_change=p95_changed,
        present_since=endpoint.first_seen_at if judged is None else judged.present_since,
    )


def _changes(
    query: EndpointsQuery, endpoint: Endpoint, found: Found, times: Times
) -> tuple[Change, Change]:
    """The changes of calls and of the p95; empty ones with the reason where there are none."""
    before = found.earlier.before
    if before is None:
        reason = Change(title=no_period(everything=query.window.window.seconds is None))
        return reason, reason
    is_timed = found.earlier.has_durations
    return (
        calls_change(endpoint, before, times),
        p95_change(endpoint, before, times) if is_timed else Change(),
    )
