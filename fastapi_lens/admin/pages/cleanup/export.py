"""The cleanup page as a file: all endpoints of its filter, or the chosen ones alone."""

from collections.abc import Iterator, Sequence

from starlette.responses import StreamingResponse

from fastapi_lens.admin.context import Context
from fastapi_lens.admin.display.callers import callers_by_shape, user_names
from fastapi_lens.admin.pages.cleanup.listing import chosen_of, list_of
from fastapi_lens.admin.reports.download import file_response
from fastapi_lens.admin.urls.cleanup import CleanupQuery
from fastapi_lens.reporting.documents.csv_table import csv_line, iso_time
from fastapi_lens.reporting.documents.evidence_markdown import markdown
from fastapi_lens.reporting.evidence.evidence import AppEvidence, Judged
from fastapi_lens.verdict.days import date_of
from fastapi_lens.verdict.sentences import sentence

COLUMNS = (
    *("method", "path", "source", "verdict", "probably_from", "safe_from"),
    *("last_used_at", "present_since", "silence_days", "hole_days", "pattern", "excluded"),
    *("introduced", "last_called", "removed_at", "tags", "reasons"),
    "callers",
)


def as_csv(context: Context) -> StreamingResponse:
    """``GET /cleanup.csv``: a header, then a row for each endpoint, named like the JSON report."""
    query = _query(context)
    return file_response(
        context,
        _csv(context, query),
        "cleanup.csv",
        "text/csv; charset=utf-8; header=present",
        view=query.url(),
    )


def as_markdown(context: Context) -> StreamingResponse:
    """``GET /cleanup.md``: for a pull request; chosen rows are shown in the browser."""
    query = _query(context)
    return file_response(
        context,
        _markdown(context, query),
        "cleanup.md",
        "text/markdown; charset=utf-8",
        view=query.url(),
        inline=bool(query.chosen),
    )


def _query(context: Context) -> CleanupQuery:
    return CleanupQuery.parse(f"?{context.request.url.query}")


def _listed(evidence: AppEvidence, query: CleanupQuery) -> list[Judged]:
    if query.chosen:
        return chosen_of(evidence, query.chosen)
    return list(list_of(evidence, query).matching)


def _markdown(context: Context, query: CleanupQuery) -> Iterator[str]:
    evidence, lens = context.lens.reader.evidence(context.now), context.lens
    listed = _listed(evidence, query)
    callers = _callers(context, listed)
    yield from markdown(
        evidence, listed, app=lens.title, environment=lens.config.environment, callers=callers
    )


def _csv(context: Context, query: CleanupQuery) -> Iterator[str]:
    evidence = context.lens.reader.evidence(context.now)
    yield csv_line(COLUMNS)
    listed = _listed(evidence, query)
    callers = _callers(context, listed)
    for one in listed:
        yield csv_line(_cells(one, callers[one.endpoint.id]))


def _callers(context: Context, listed: Sequence[Judged]) -> dict[int, list[str]]:
    """The names of the callers of each endpoint that use it, the latest first."""
    uses = callers_by_shape(context, listed)
    return {identity: user_names(found) for identity, found in uses.items()}


def _cells(judged: Judged, callers: Sequence[str]) -> tuple[object, ...]:
    endpoint, verdict = judged.endpoint, judged.verdict
    return (
        endpoint.method,
        endpoint.path,
        endpoint.source,
        verdict.level.value,
        _day(verdict.probably_from) if judged.is_read else None,
        _day(verdict.safe_from) if judged.is_read else None,
        iso_time(judged.last_used_at),
        iso_time(judged.present_since),
        verdict.silence_days,
        verdict.hole_days,
        verdict.pattern.value if judged.is_read else None,
        " ".join(str(one.cadence) for one in verdict.exclusions if one.is_excluded),
        judged.introduced,
        judged.last_called,
        iso_time(judged.removed_at),
        " ".join(endpoint.tags),
        " ".join(map(sentence, verdict.reasons)),
        ", ".join(callers),
    )


def _day(day: int | None) -> str | None:
    return None if day is None else date_of(day).isoformat()
