"""Uses of endpoints by callers, made of stored ones. Reads the calls of weeks only."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.reporting.evidence.evidence import WEEKS, Judged
from fastapi_lens.reporting.ledger.caller_rows import StoredUse, seconds_of
from fastapi_lens.reporting.ledger.callers import CallerUse, ListedCallers
from fastapi_lens.reporting.ledger.ledgers import merged
from fastapi_lens.reporting.model import key_from_id
from fastapi_lens.reporting.totals.bucket_rows import fetched
from fastapi_lens.storage.engine.yield_gil import yield_gil
from fastapi_lens.storage.schema.models import Tier
from fastapi_lens.storage.schema.row_checks import MOST
from fastapi_lens.storage.schema.sanitized_rows import whole
from fastapi_lens.storage.schema.tables import USE_WEEK


def latest_first(uses: Iterable[CallerUse]) -> list[CallerUse]:
    """Uses, the latest first."""
    return sorted(
        uses, key=lambda use: (-(use.last_at or 0), use.caller.name, use.path, use.method)
    )


def use_of(use: StoredUse, endpoint: Any) -> CallerUse:
    """The use of an endpoint.

    Args:
        use: As it is stored.
        endpoint: The row of the endpoint.
    """
    return CallerUse(
        caller=use.caller,
        endpoint=key_from_id(use.endpoint_id),
        method=str(endpoint.method),
        path=str(endpoint.path),
        calls=use.calls,
        refused=use.refused,
        errors_5xx=use.errors_5xx,
        first_at=seconds_of(use.first_at_us),
        last_at=seconds_of(use.last_at_us),
        days=use.days,
        longest_gap_days=use.longest_gap,
        is_removed=bool(endpoint.removed_at),
    )


def with_weeks(
    connection: Connection,
    uses: Iterable[CallerUse],
    condition: sa.ColumnElement[bool],
    *,
    now: float,
) -> tuple[CallerUse, ...]:
    """Uses with the calls of their last weeks, where weeks are kept."""
    this_week = int(now) // Tier.WEEK
    # Listed, because rows are ordered by week.
    weeks = range(this_week - WEEKS + 1, this_week + 1)
    rows = sa.select(
        USE_WEEK.c.week, USE_WEEK.c.endpoint_id, USE_WEEK.c.caller_id, USE_WEEK.c.calls
    ).where(USE_WEEK.c.week.in_(weeks), condition)
    found: dict[tuple[str, int], list[int]] = {}
    for week, endpoint, caller, calls in yield_gil(fetched(connection, rows)):
        steps = found.setdefault((key_from_id(endpoint), caller), [0] * WEEKS)
        steps[week - weeks.start] = whole(calls, MOST)
    return tuple(
        replace(use, weeks=tuple(found.get((use.endpoint, use.caller.id), ()))) for use in uses
    )


def listed(
    judged: Judged,
    found: Mapping[int, tuple[list[StoredUse], int]],
    endpoint: Any,
    *,
    most: int,
) -> ListedCallers:
    """The latest callers of an endpoint.

    Args:
        judged: The endpoint.
        found: Latest callers and their number, by endpoint.
        endpoint: Its row.
        most: Most callers to return.
    """
    parts = [found[identity] for identity in judged.ids if identity in found]
    uses = merged(use for part, _ in parts for use in part)
    more = sum(number - sum(use.days > 0 for use in part) for part, number in parts)
    ordered = latest_first(use_of(use, endpoint) for use in uses)
    cut = sum(use.days > 0 for use in ordered[most:])
    return ListedCallers(uses=tuple(ordered[:most]), more=more + cut)
