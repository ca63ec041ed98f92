"""Model of the callers of endpoints as JSON. Programs depend on every name in it. No I/O."""

from collections.abc import Iterable, Iterator
from typing import Self

from pydantic import BaseModel

from fastapi_lens.reporting.documents.csv_table import csv_line
from fastapi_lens.reporting.documents.evidence_report import CallersSince
from fastapi_lens.reporting.ledger.callers import CallerUse, EndpointCallers
from fastapi_lens.storage.engine.yield_gil import yield_gil
from fastapi_lens.storage.schema.models import CallerKind

NOT_RECORDED = "Callers are not recorded. Set LensConfig(consumer=…) or callers to record them."
NOT_ANY_MORE = "Callers are not recorded any more: these are from before."


class CallerStats(BaseModel):
    """The calls of one endpoint by one caller, since callers were recorded.

    `endpoint` and `caller` are keys, the last parts of the addresses of their pages. Calls include
    refused ones; times and days are those of calls that were not refused, None without any. A
    removed endpoint is no longer in the routes.
    """

    endpoint: str
    method: str
    path: str
    removed: bool
    caller: str
    name: str
    label: str | None
    kind: CallerKind
    noise: bool
    calls: int
    refused: int
    errors_5xx: int
    first_at: float | None
    last_at: float | None
    days: int
    longest_gap_days: int

    @classmethod
    def of(cls, use: CallerUse) -> Self:
        """One pair of an endpoint and a caller."""
        caller = use.caller
        return cls(
            endpoint=use.endpoint,
            method=use.method,
            path=use.path,
            removed=use.is_removed,
            caller=caller.key,
            name=caller.own_name,
            label=caller.label or None,
            kind=caller.kind,
            noise=caller.is_noise,
            calls=use.calls,
            refused=use.refused,
            errors_5xx=use.errors_5xx,
            first_at=use.first_at,
            last_at=use.last_at,
            days=use.days,
            longest_gap_days=use.longest_gap_days,
        )


class CallersFilters(BaseModel):
    """The filters of a report: the key of an endpoint, None for all."""

    endpoint: str | None


class CallersReport(BaseModel):
    """``GET /lens/report/callers``: the callers of all endpoints or of one, the latest first.

    `since` is None where no caller was ever recorded. `more` are not listed, because they called
    longer ago. `sentence` says that callers are not recorded; otherwise it is None.
    """

    generated_at: float
    filters: CallersFilters
    since: CallersSince | None
    sentence: str | None
    more: int
    callers: list[CallerStats]

    @classmethod
    def of(
        cls, found: EndpointCallers, *, endpoint: str | None, now: float, is_recording: bool
    ) -> Self:
        """The report of one endpoint or of all.

        Args:
            found: The callers.
            endpoint: The key of the endpoint; None for all.
            now: Epoch seconds.
            is_recording: True if callers are recorded at present.
        """
        silent = NOT_ANY_MORE if found.uses else NOT_RECORDED
        since = found.since
        return cls(
            generated_at=now,
            filters=CallersFilters(endpoint=endpoint),
            since=None if since is None else CallersSince(since=since, complete=found.is_complete),
            sentence=None if is_recording else silent,
            more=found.more,
            callers=[CallerStats.of(use) for use in yield_gil(found.uses)],
        )


COLUMNS = tuple(CallerStats.model_fields)


def csv_rows(uses: Iterable[CallerUse]) -> Iterator[str]:
    """The header, then a line for each pair, as the JSON report has them.

    Yields:
        Lines that end with CRLF.
    """
    yield csv_line(COLUMNS)
    for use in uses:
        values = CallerStats.of(use).model_dump(mode="json")
        yield csv_line(values[name] for name in COLUMNS)
