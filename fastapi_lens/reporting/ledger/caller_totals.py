"""Totals of callers: how much each caller of an app uses, over all of its endpoints."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.reporting.ledger.caller_rows import OF_CALLER, CallerNames, is_of_app, seconds_of
from fastapi_lens.reporting.ledger.callers import CallerTotals
from fastapi_lens.reporting.totals.bucket_rows import fetched
from fastapi_lens.storage.engine.yield_gil import yield_gil
from fastapi_lens.storage.schema.row_checks import MOST
from fastapi_lens.storage.schema.sanitized_rows import whole
from fastapi_lens.storage.schema.tables import CALLER, USE


def read_caller_totals(
    connection: Connection, app: str, names: CallerNames, hidden: Sequence[int], *, most: int
) -> list[CallerTotals]:
    """All callers of an app, the latest first.

    Args:
        connection: In a reading transaction.
        app: The name of the app.
        names: Names the callers.
        hidden: Ids of endpoints that do not count.
        most: Most callers to return.
    """
    rows = fetched(connection, _totals(app, hidden, most))
    callers = names.callers((row[0], row[6:]) for row in rows)
    return [
        CallerTotals(
            caller=replace(
                callers[identity], first_at=seconds_of(first_at), last_at=seconds_of(last_at)
            ),
            endpoints=whole(endpoints),
            calls=whole(calls, MOST),
            refused=whole(refused, MOST),
        )
        for identity, endpoints, calls, refused, first_at, last_at, *_ in yield_gil(rows)
    ]


def _totals(app: str, hidden: Sequence[int], most: int) -> sa.Select[Any]:
    """Id, endpoints, calls, refused calls, first and last time of callers, and `OF_CALLER`."""
    # The sum of big integers is a decimal number on PostgreSQL.
    calls, refused = (
        sa.cast(sa.func.sum(USE.c[name]), sa.BigInteger) for name in ("calls", "refused")
    )
    # 0 is no time: all calls of that endpoint were refused.
    first_at = sa.func.min(sa.case((USE.c.first_at > 0, USE.c.first_at)))
    last_at = sa.func.max(USE.c.last_at).label("latest")
    sums = (
        sa.select(USE.c.caller_id, sa.func.count(), calls, refused, first_at, last_at)
        .where(is_of_app(app), *([USE.c.endpoint_id.not_in(hidden)] if hidden else []))
        .group_by(USE.c.caller_id)
        .order_by(last_at.desc(), USE.c.caller_id)
        .limit(most)
        .subquery()
    )
    return (
        sa.select(*sums.c, *OF_CALLER)
        .select_from(sums.outerjoin(CALLER, CALLER.c.id == sums.c.caller_id))
        .order_by(sums.c.latest.desc(), sums.c.caller_id)
    )
