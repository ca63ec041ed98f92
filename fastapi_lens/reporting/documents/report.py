"""Models of the JSON reports. Programs depend on every name in them. No I/O."""

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Self

from pydantic import BaseModel

from fastapi_lens.reporting.documents.evidence_report import iso_date
from fastapi_lens.reporting.evidence.evidence import Judged
from fastapi_lens.reporting.model import Endpoint
from fastapi_lens.settings.status import SECONDS_PER_DAY, UNUSED, Status
from fastapi_lens.storage.engine.yield_gil import yield_gil
from fastapi_lens.verdict.level import Level

Verdicts = Mapping[int, Judged]
"""Judged endpoints by id."""

NO_VERDICTS: Verdicts = MappingProxyType({})


class EndpointStats(BaseModel):
    """One endpoint in a report.

    Times are seconds since the epoch (UTC), durations milliseconds, percentages 0 to 100; all
    except the times are rounded to two decimals. A never-called endpoint has the times None, the
    durations 0.0 and the success rate 100.0. Open connections count as use, but not as calls yet;
    without any, `oldest_open_since` is None. `verdict` is None for an endpoint that is not in the
    routes, `safe_from` (a date) also where waiting alone never leads there and for one that was
    used in the last seven days.
    """

    path: str
    method: str
    status: Status
    total_calls: int
    error_4xx_count: int
    error_5xx_count: int
    error_rate_pct: float
    success_rate_pct: float
    avg_duration_ms: float
    p50_duration_ms: float
    p95_duration_ms: float
    p99_duration_ms: float
    max_duration_ms: float
    last_called_at: float | None
    first_called_at: float | None
    days_since_last_call: float | None
    open_connections: int
    oldest_open_since: float | None
    verdict: Level | None
    safe_from: str | None

    @classmethod
    def of(cls, endpoint: Endpoint, *, now: float, judged: Judged | None = None) -> Self:
        """The report's view of an endpoint; `total_calls` are the calls in the window."""
        usage = endpoint.usage
        p50, p95, p99 = usage.percentiles_ms
        error_rate = round(100 * usage.error_share, 2)
        last = endpoint.last_called_at
        return cls(
            path=endpoint.path,
            method=endpoint.method,
            status=endpoint.status,
            total_calls=usage.calls,
            error_4xx_count=usage.errors_4xx,
            error_5xx_count=usage.errors_5xx,
            error_rate_pct=error_rate,
            # From the rounded one, so that both add up to 100.
            success_rate_pct=round(100 - error_rate, 2),
            avg_duration_ms=round(usage.avg_ms, 2),
            p50_duration_ms=round(p50, 2),
            p95_duration_ms=round(p95, 2),
            p99_duration_ms=round(p99, 2),
            max_duration_ms=round(usage.max_ms, 2),
            last_called_at=last,
            first_called_at=endpoint.first_called_at,
            days_since_last_call=(
                # The clock of another host may be ahead.
                None if last is None else round(max(0.0, now - last) / SECONDS_PER_DAY, 2)
            ),
            open_connections=endpoint.open_connections,
            oldest_open_since=endpoint.open_since,
            verdict=None if judged is None else judged.verdict.level,
            safe_from=None if judged is None else iso_date(judged.safe_day),
        )


class Filters(BaseModel):
    """The filters of a report; None for those that were not given."""

    days: int | None
    status: Status | None


class Summary(BaseModel):
    """Counts over the endpoints that the report lists; `total_requests` adds up their calls."""

    total_endpoints: int
    total_requests: int
    active: int
    cold: int
    dead: int
    never_called: int


class Report(BaseModel):
    """``GET /lens/report``: the endpoints, most-called first, then by path and method."""

    generated_at: float
    filters: Filters
    summary: Summary
    endpoints: list[EndpointStats]

    @classmethod
    def of(
        cls,
        endpoints: Sequence[Endpoint],
        *,
        days: int | None,
        status: Status | None,
        now: float,
        judged: Verdicts = NO_VERDICTS,
    ) -> Self:
        """The report of these endpoints, or of those of one status."""
        chosen = [one for one in endpoints if status is None or one.status is status]
        counts = {each: sum(one.status is each for one in chosen) for each in Status}
        return cls(
            generated_at=now,
            filters=Filters(days=days, status=status),
            summary=Summary(
                total_endpoints=len(chosen),
                total_requests=sum(one.usage.calls for one in chosen),
                **{each.value: count for each, count in counts.items()},
            ),
            endpoints=_stats(chosen, now, judged),
        )


class TopReport(BaseModel):
    """``GET /lens/report/top``: called endpoints only; `window_days` None is everything kept."""

    generated_at: float
    window_days: int | None
    endpoints: list[EndpointStats]

    @classmethod
    def of(
        cls,
        endpoints: Sequence[Endpoint],
        *,
        days: int | None,
        limit: int,
        now: float,
        judged: Verdicts = NO_VERDICTS,
    ) -> Self:
        """The `limit` endpoints with the most calls."""
        called = _ordered(one for one in endpoints if one.usage.calls)
        stats = _stats(called[:limit], now, judged)
        return cls(generated_at=now, window_days=days, endpoints=stats)


class DeadReport(BaseModel):
    """``GET /lens/report/dead``: endpoints that are dead or were never called."""

    generated_at: float
    dead_endpoint_count: int
    endpoints: list[EndpointStats]

    @classmethod
    def of(
        cls, endpoints: Sequence[Endpoint], *, now: float, judged: Verdicts = NO_VERDICTS
    ) -> Self:
        """The unused ones of these endpoints."""
        unused = [one for one in endpoints if one.status in UNUSED]
        stats = _stats(unused, now, judged)
        return cls(generated_at=now, dead_endpoint_count=len(unused), endpoints=stats)


def _stats(endpoints: Iterable[Endpoint], now: float, judged: Verdicts) -> list[EndpointStats]:
    return [
        EndpointStats.of(one, now=now, judged=judged.get(one.id))
        for one in yield_gil(_ordered(endpoints))
    ]


def _ordered(endpoints: Iterable[Endpoint]) -> list[Endpoint]:
    return sorted(endpoints, key=lambda one: (-one.usage.calls, one.path, one.method))
