"""Requests and exceptions of the log as tables show them, and the links between their lists."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fastapi_lens.admin.context import Context
from fastapi_lens.admin.display import formats
from fastapi_lens.admin.display.links import Link
from fastapi_lens.admin.tables import exceptions as exceptions_table
from fastapi_lens.admin.tables import requests as requests_table
from fastapi_lens.admin.tables.column import heads
from fastapi_lens.admin.urls.exceptions import ExceptionQuery, ExceptionsQuery
from fastapi_lens.admin.urls.period import Period
from fastapi_lens.admin.urls.requests import RequestsQuery
from fastapi_lens.config.lens_config import LensConfig
from fastapi_lens.reporting.log.exception_reader import ExceptionKind
from fastapi_lens.reporting.log.request_log import LoggedCall
from fastapi_lens.reporting.model import Endpoint, Window, key_from_id
from fastapi_lens.reporting.workers import State
from fastapi_lens.storage.schema.models import OTHERS_ID

RECENT = 10
"""Requests that the page of an endpoint shows."""


REASONS = {"error": "Error", "slow": "Slowest", "sample": "Sample"}


@dataclass(frozen=True, slots=True)
class Row:
    """A request as a row of a table.

    Attributes:
        href: Its own page.
        css: The class of its status code: ``c5``.
        reason: Why it is in the log, in a word.
        who: Its caller with the link to its page; None if it was not recorded, or is forgotten.
        exception: The bare name of its exception's type; empty without.
        duration: Its duration; for a WebSocket, the time that it was open.
        is_slow: True if it took longer than the configured limit.
    """

    call: LoggedCall
    href: str
    css: str
    reason: str
    who: Link | None
    exception: str
    duration: str
    is_slow: bool


@dataclass(frozen=True, slots=True)
class ExceptionRow:
    """A kind of exception as a row of a table.

    Attributes:
        href: Its own page, for the same period.
        name: The bare name of its type.
        message: The first line of its message.
        trend: Its number per step of the period.
    """

    exception: ExceptionKind
    href: str
    name: str
    message: str
    trend: Sequence[int]


def of_endpoint(context: Context, endpoint: Endpoint, period: Period) -> dict[str, object]:
    """The log's requests and exceptions of one endpoint, for its own page."""
    reader, now = context.lens.reader, context.now
    log, query = reader.log, RequestsQuery(endpoint=endpoint.key, window=period)
    exceptions = reader.exceptions(window=period.window, now=now, endpoint=endpoint.key)[:RECENT]
    rows = rows_of(context, log.requests(query.wanted(now), limit=RECENT))
    return {
        "heads": heads(requests_table.columns(with_callers=any(row.who for row in rows))),
        "exception_heads": heads(exceptions_table.COLUMNS),
        "rows": rows,
        "exceptions": exception_rows(context, exceptions, period),
        "requests_href": query.url(context.url("/requests")),
        "exceptions_href": ExceptionsQuery(endpoint=endpoint.key, window=period).url(
            context.url("/exceptions")
        ),
        "kept": kept_words(context.lens.settings.config),
    }


def rows_of(context: Context, calls: Sequence[LoggedCall]) -> list[Row]:
    """The table rows of requests.

    Raises:
        StorageError: The database cannot be read.
    """
    ids = {call.caller_id for call in calls if call.caller_id > OTHERS_ID}
    names = context.lens.reader.callers.names(ids) if ids else dict[int, str]()
    return [_row(context, call, names.get(call.caller_id)) for call in calls]


def who_link(context: Context, identity: int, name: str) -> Link:
    """A caller with the link to its page."""
    return Link(name, context.url(f"/callers/{key_from_id(identity)}"), current=False)


def _row(context: Context, call: LoggedCall, name: str | None) -> Row:
    is_websocket = call.method == "WEBSOCKET"
    return Row(
        call=call,
        href=context.url(f"/requests/{call.key}"),
        css=f"c{call.status // 100}",
        # A worker of a newer release may have other reasons.
        reason=REASONS.get(call.reason, call.reason),
        who=None if name is None else who_link(context, call.caller_id, name),
        exception=call.exception_type.rpartition(".")[2],
        duration=(formats.open_for if is_websocket else formats.duration)(call.duration_ms),
        # A WebSocket is open for as long as it is used, so none is slow.
        is_slow=call.duration_ms > context.lens.settings.slow_threshold_ms and not is_websocket,
    )


def message_values(context: Context) -> Mapping[str, object]:
    """The variables of the sentence that messages of exceptions are switched off."""
    return {
        "has_messages": context.lens.settings.config.log_exception_messages,
        "settings_href": context.url("/settings#recording"),
    }


def exception_rows(
    context: Context, kinds: Sequence[ExceptionKind], period: Period
) -> list[ExceptionRow]:
    """The table rows of kinds of exceptions.

    Args:
        context: The request.
        kinds: The kinds, with their numbers in the period.
        period: The period of the page.

    Raises:
        StorageError: The database cannot be read.
    """
    ids = [one.id for one in kinds]
    trends = context.lens.reader.exception_trends(ids, window=period.window, now=context.now)
    query = ExceptionQuery(window=period)
    return [
        ExceptionRow(
            exception=one,
            href=query.url(context.url(f"/exceptions/{one.key}")),
            name=one.type.rpartition(".")[2],
            message=one.message.strip().partition("\n")[0],
            trend=trends[one.id],
        )
        for one in kinds
    ]


def kept_words(config: LensConfig) -> str:
    """The requests that the log keeps: completes the sentence ``Each worker keeps …``."""
    parts = [
        f"up to {formats.plural(config.log_errors_per_minute, 'server error')} per minute"
        if config.log_errors_per_minute
        else "",
        f"the slowest {config.log_slowest:,} per minute" if config.log_slowest else "",
        f"{config.log_sample_rate * 100:g}% of all requests" if config.log_sample_rate else "",
    ]
    named = [part for part in parts if part]
    return ", ".join(named[:-1]) + (" and " if named[1:] else "") + named[-1] if named else ""


def endpoint_filter(context: Context, key: str, href: str, state: State) -> Link | None:
    """The selected endpoint, and the link to all endpoints; None without a selection."""
    if not key:
        return None
    # The shortest window, because only the name of the endpoint is needed.
    endpoint = context.lens.reader.endpoint(key, window=Window(1), now=context.now, state=state)
    name = f"{endpoint.method} {endpoint.path}" if endpoint else f"endpoint {key}"
    return Link(name, href, current=True)
