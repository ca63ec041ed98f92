"""The overview: the state of the application, and what changed."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from starlette.responses import Response

from fastapi_lens.admin import templates
from fastapi_lens.admin.context import Context
from fastapi_lens.admin.display import formats
from fastapi_lens.admin.display.app_charts import app_charts
from fastapi_lens.admin.display.first_call import first_call_of
from fastapi_lens.admin.display.labels import STATUS_LABELS
from fastapi_lens.admin.display.part_choices import part_choices
from fastapi_lens.admin.display.periods import periods_of
from fastapi_lens.admin.display.printed_filters import part_filters, printed_filters
from fastapi_lens.admin.display.request_log import exception_rows
from fastapi_lens.admin.display.times import Times
from fastapi_lens.admin.http.history import history_headers, is_live_update
from fastapi_lens.admin.pages.overview import sections
from fastapi_lens.admin.pages.overview.figures import Numbers, Part, figures, sentence
from fastapi_lens.admin.pages.overview.first_day import first_day
from fastapi_lens.admin.pages.overview.reading import Found, read
from fastapi_lens.admin.response_cache import again, cached_page
from fastapi_lens.admin.urls.cleanup import MAX_CHOSEN, CleanupQuery
from fastapi_lens.admin.urls.endpoints import EndpointsQuery, Sort
from fastapi_lens.admin.urls.exceptions import ExceptionsQuery
from fastapi_lens.admin.urls.overview import OverviewQuery
from fastapi_lens.changes.usual import FEWEST_DAYS
from fastapi_lens.reporting.workers import State
from fastapi_lens.settings.status import SECONDS_PER_DAY, Status

PATH, CHANGES = "/", "/changes"
MOST_EXCEPTIONS = 5


def overview_page(context: Context) -> Response:
    """``GET /``: the page, its fragment, or 304 if nothing has changed."""
    query = _query_of(context)
    state = context.lens.reader.state(context.now)
    # The version of the log, because the page also shows exceptions.
    tag = templates.entity_tag(context, state.log_version, "overview", query.url())
    if templates.is_unchanged(context.request, tag):
        return templates.unchanged(tag, state.complete_to)
    base = context.url(PATH)
    headers = {"ETag": tag, **history_headers(context.request, query.url(base))}
    # Nobody waits for a live update, so it may look for changes.
    with_changes = is_live_update(context.request)
    page = cached_page(
        context, state, lambda: _made(context, query, state, with_changes=with_changes)
    )
    return again(page, headers)


def changes_section(context: Context) -> Response:
    """``GET /changes``: the page with its changes, which may take some seconds to find."""
    return _made(
        context, _query_of(context), context.lens.reader.state(context.now), with_changes=True
    )


def _query_of(context: Context) -> OverviewQuery:
    return OverviewQuery.parse(f"?{context.request.url.query}")


def _made(context: Context, query: OverviewQuery, state: State, *, with_changes: bool) -> Response:
    found = read(context, query, state, with_changes=with_changes)
    values = {
        "current": "Overview",
        "heading": "Overview",
        "slow_ms": context.lens.settings.slow_threshold_ms,
        **_head(context, query, found),
        **_first_day(context, query, found),
        **_changes(context, query, found),
        **_lists(context, query, found),
        **_unused(context, query, found),
        **_charts(context, query, found),
    }
    return templates.page(context, "overview/page.html", values, state=state)


def _head(context: Context, query: OverviewQuery, found: Found) -> Mapping[str, Any]:
    base, numbers = context.url(PATH), found.numbers
    return {
        "address": query.url(base),
        "path": base,
        "query": query,
        "choices": part_choices(found.everything, query),
        **printed_filters(part_filters(query)),
        "clear": OverviewQuery(window=query.window).url(base),
        "periods": periods_of(
            context,
            query.window,
            lambda period: query.with_window(period).url(base),
            bounds=context.lens.reader.bounds(query.window.window, now=context.now),
            since=min(
                (e.first_called_at for e in found.endpoints if e.first_called_at), default=None
            ),
        ),
        "sentence": _sentence(context, query, found, numbers),
        "figures": figures(numbers, slow_ms=context.lens.settings.slow_threshold_ms),
        "statuses": [
            (status, STATUS_LABELS[status], count, _list_href(context, query, status=status))
            for status, count in numbers.counts
        ],
    }


def _first_day(context: Context, query: OverviewQuery, found: Found) -> Mapping[str, Any]:
    is_called = found.is_called
    return {
        "is_called": is_called,
        "first_call": None if is_called else first_call_of(context),
        "first_day": first_day(context, query, found.evidence, is_called=is_called),
    }


def _sentence(context: Context, query: OverviewQuery, found: Found, numbers: Numbers) -> list[Part]:
    if not found.is_called:
        return [Part("Nobody has called this application since recording began.")]
    before, changes = numbers.before, found.changes or ()
    unused = sections.unused(found.endpoints, found.judged)
    candidates = sum(one.verdict.level in sections.CANDIDATES for one in unused)
    return sentence(
        numbers,
        changes,
        hrefs=[sections.href_of(context, query, one.endpoint) for one in changes],
        candidates=(candidates, len(unused), _cleanup_href(context, query)),
        length="" if before is None else f"the {formats.lasting(before.seconds)} before",
    )


def _changes(context: Context, query: OverviewQuery, found: Found) -> Mapping[str, Any]:
    observation = found.evidence.observation
    since = observation.since_day
    groups = None
    if found.changes is not None:
        groups = sections.change_groups(context, query, found.changes, found.before)
    return {
        "changes": groups,
        "changes_href": query.url(context.url(CHANGES)),
        "rules": sections.RULES,
        "needed_days": FEWEST_DAYS,
        "recorded_since": "" if since is None else formats.day(since * SECONDS_PER_DAY),
        # The first day was not recorded as a whole.
        "is_new": since is None or observation.today - since <= FEWEST_DAYS,
    }


def _lists(context: Context, query: OverviewQuery, found: Found) -> Mapping[str, Any]:
    before, slowest, failing = found.before, found.slowest, sections.failing(found.endpoints)
    trends = partial(context.lens.reader.trends, window=query.window.window, now=context.now)
    calls = trends([one.id for one in slowest])
    failed = trends([one.id for one in failing], counter="errors_5xx")
    return {
        "failing": [
            sections.failing_row(context, query, one, before, failed[one.id]) for one in failing
        ],
        "slowest": [
            sections.slow_row(context, query, one, before, calls[one.id]) for one in slowest
        ],
        "failing_href": _list_href(context, query, "errors_5xx"),
        "slowest_href": _list_href(context, query, "p95"),
        "exceptions": exception_rows(context, found.exceptions[:MOST_EXCEPTIONS], query.window),
        "exceptions_count": len(found.exceptions),
        "exceptions_href": ExceptionsQuery(window=query.window).url(context.url("/exceptions")),
    }


def _unused(context: Context, query: OverviewQuery, found: Found) -> Mapping[str, Any]:
    unused = sections.unused(found.endpoints, found.judged)
    return {
        "unused": [
            sections.unused_row(context, query, one) for one in unused[: sections.MOST_UNUSED]
        ],
        "unused_keys": [one.endpoint.key for one in unused[:MAX_CHOSEN]],
        "unused_count": len(unused),
        "cleanup_href": _cleanup_href(context, query),
    }


def _charts(context: Context, query: OverviewQuery, found: Found) -> Mapping[str, Any]:
    reader, window = context.lens.reader, query.window.window
    over_time, marks = app_charts(
        found.series,
        reader.releases(),
        ends_now=reader.bounds(window, now=context.now).end is None,
        before=f"{formats.lasting(found.series.before_seconds)} before",
        times=Times.of(context.zone),
    )
    return {"over_time": over_time, "marks": marks}


def _list_href(
    context: Context, query: OverviewQuery, column: str = "", *, status: Status | None = None
) -> str:
    """The list of the same endpoints."""
    listed = EndpointsQuery(
        window=query.window,
        status=status,
        **query.part,
    )
    if column:
        listed = listed.with_sort(Sort.first_of(column))
    return listed.url(context.url("/endpoints"))


def _cleanup_href(context: Context, query: OverviewQuery) -> str:
    return CleanupQuery(**query.part).url(context.url("/cleanup"))
