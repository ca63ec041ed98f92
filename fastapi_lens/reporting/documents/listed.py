"""Endpoints as the list exports them: the report's members, and more. No I/O."""

from datetime import UTC, datetime
from typing import Self

from fastapi_lens.reporting.documents.report import EndpointStats
from fastapi_lens.reporting.evidence.evidence import Judged
from fastapi_lens.reporting.model import Endpoint


class ListedEndpoint(EndpointStats):
    """One endpoint in the files of the list.

    `first_seen`, `first_called` and `last_called` are times in ISO 8601 (UTC). `all_time_calls` are
    the calls since recording began. `total_calls_before` are the calls in the period before, scaled
    to the length of the window; None if that period is not known. The changes (per cent) and
    `p95_before_ms` are None where either period has fewer than 100 calls; durations of WebSockets
    are not compared.
    """

    source: str
    tags: list[str]
    deprecated: bool
    first_seen: str
    first_called: str | None
    last_called: str | None
    all_time_calls: int
    error_4xx_rate_pct: float
    error_5xx_rate_pct: float
    total_calls_before: int | None
    calls_change_pct: float | None
    p95_before_ms: float | None
    p95_change_pct: float | None

    @classmethod
    def of(cls, endpoint: Endpoint, *, now: float, judged: Judged | None = None) -> Self:
        """The list's view of an endpoint with its calls in the period before."""
        usage, before = endpoint.usage, endpoint.before
        reported = EndpointStats.of(endpoint, now=now, judged=judged)
        timed = before if endpoint.is_timed_comparable else None
        return cls(
            **reported.model_dump(),
            source=endpoint.source,
            tags=list(endpoint.tags),
            deprecated=endpoint.deprecated,
            first_seen=_iso(endpoint.first_seen_at),
            first_called=_iso_or_none(endpoint.first_called_at),
            last_called=_iso_or_none(endpoint.last_called_at),
            all_time_calls=endpoint.total_calls,
            error_4xx_rate_pct=round(100 * usage.share_4xx, 2),
            error_5xx_rate_pct=round(100 * usage.share_5xx, 2),
            total_calls_before=None if before is None else round(before.calls),
            calls_change_pct=_percent(endpoint.calls_ratio) if endpoint.is_comparable else None,
            p95_before_ms=None if timed is None else round(timed.usage.percentiles_ms[1], 2),
            p95_change_pct=None if timed is None else _percent(endpoint.p95_ratio),
        )


def _percent(ratio: float) -> float:
    return round(100 * (ratio - 1), 2)


def _iso_or_none(epoch: float | None) -> str | None:
    return None if epoch is None else _iso(epoch)


def _iso(epoch: float) -> str:
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
