"""Endpoints as the read side answers with them, and small applications with an admin."""

from fastapi_lens.histogram.histogram import Histogram, bucket_index
from fastapi_lens.reporting.model import Endpoint, Usage
from fastapi_lens.settings.status import Status
from fastapi_lens.storage.schema.identities import endpoint_id

NOW = 1_775_243_992.0
DAY = 86_400


def usage(
    calls: int = 0, *, errors_4xx: int = 0, errors_5xx: int = 0, redirects: int = 0, ms: float = 10
) -> Usage:
    """So many calls that all took the same time."""
    return Usage(
        calls=calls,
        redirects=redirects,
        errors_4xx=errors_4xx,
        errors_5xx=errors_5xx,
        duration_us=round(calls * ms * 1000),
        max_us=round(ms * 1000) if calls else 0,
        histogram=Histogram.from_counts({bucket_index(round(ms * 1e6)): calls} if calls else {}),
    )


def endpoint(
    path: str = "/items",
    *,
    method: str = "GET",
    status: Status = Status.ACTIVE,
    tags: tuple[str, ...] = (),
    used: Usage | None = None,
    last_called_at: float | None = NOW - 60,
) -> Endpoint:
    """An endpoint with what a test says of it."""
    never = status is Status.NEVER_CALLED
    return Endpoint(
        id=endpoint_id("app", method, path),
        method=method,
        path=path,
        kind="http",
        name=f"app.views.{path.strip('/').replace('/', '_')}",
        source="app/views.py:41",
        summary="",
        tags=tags,
        deprecated=False,
        first_seen_at=NOW - 90 * DAY,
        first_called_at=None if never else NOW - 80 * DAY,
        last_called_at=None if never else last_called_at,
        total_calls=0 if never else 1_000,
        status=status,
        usage=used or usage(),
    )
