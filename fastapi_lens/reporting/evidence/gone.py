"""Calls of removed endpoints, read from `lens_gone`. Judges nothing."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.reporting.totals.bucket_rows import fetched
from fastapi_lens.storage.retention.chunks import ids_of
from fastapi_lens.storage.schema.row_checks import MOST
from fastapi_lens.storage.schema.sanitized_rows import whole
from fastapi_lens.storage.schema.tables import GONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """Calls of one endpoint after its removal. Days are numbers of days since the epoch, UTC.

    Attributes:
        calls: Calls by callers that are not noise.
        noise_calls: Calls by bots, scanners and health checks.
        days: Number of days with `calls`.
        last_day: The last day with `calls`; None without any.
        noise_last_day: The last day with `noise_calls`; None without any.
    """

    calls: int = 0
    noise_calls: int = 0
    days: int = 0
    last_day: int | None = None
    noise_last_day: int | None = None


def read_gone(
    connection: Connection, app: str, *, since_day: int, today: int
) -> Mapping[int, Gone]:
    """Calls of an app's removed endpoints, by endpoint id; endpoints without any are missing.

    An endpoint that is back in the routes keeps the calls from the time of its removal.

    Args:
        connection: A connection that reads.
        app: Name of the app.
        since_day: First day to read, in days since the epoch.
        today: Last day to read; later ones come from a wrong clock.
    """
    # The sum of big integers is a decimal number on PostgreSQL.
    calls = sa.cast(sa.func.sum(GONE.c.calls), sa.BigInteger)
    sums = (
        sa.select(
            GONE.c.endpoint_id, GONE.c.is_noise, calls, sa.func.count(), sa.func.max(GONE.c.day)
        )
        .where(
            GONE.c.day.between(since_day, today),
            GONE.c.endpoint_id.in_(ids_of(app)),
            # A row begins without calls.
            GONE.c.calls > 0,
        )
        .group_by(GONE.c.endpoint_id, GONE.c.is_noise)
    )
    found: dict[int, Gone] = {}
    for endpoint, is_noise, added, days, last in fetched(connection, sums):
        before, total = found.get(endpoint, Gone()), whole(added, MOST)
        found[endpoint] = (
            replace(before, noise_calls=total, noise_last_day=last)
            if is_noise
            else replace(before, calls=total, days=days, last_day=last)
        )
    return found
