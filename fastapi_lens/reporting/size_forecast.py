"""Forecast of the database's size at the present load. An estimate, and cheap.

It counts the rows of a few complete minutes, hours, days and weeks through the primary key, and
reads some of them; it scans no table but those whose number of rows is bounded by the endpoints.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.engine.dialects.base import RowBytes
from fastapi_lens.storage.records.audit import AUDIT_KEPT_EACH, AUDIT_KEPT_SECONDS
from fastapi_lens.storage.retention.pruner import KEPT_SECONDS, Retention
from fastapi_lens.storage.schema.models import BASELINE_BUCKET, Tier
from fastapi_lens.storage.schema.sanitized_rows import whole
from fastapi_lens.storage.schema.tables import (
    AUDIT,
    BUCKET,
    CALLER,
    ENDPOINT,
    EXCEPTION,
    EXCEPTION_COUNT,
    STATUS,
    USE,
    USE_WEEK,
)

SAMPLES = 6
"""Complete buckets of a tier to count, spread over the time of `_LOOK_BACK`."""

SAMPLED_ROWS = 200
"""Rows of a tier whose histograms are measured."""

FRESH_SECONDS = 60.0
"""Lifetime of a forecast, because pages request it every few seconds."""

_DAYS_PER_YEAR = 365
_LOOK_BACK: Mapping[Tier, int] = {
    Tier.MINUTE: Tier.HOUR,
    Tier.HOUR: Tier.DAY,
    Tier.DAY: Tier.WEEK,
    Tier.WEEK: 4 * Tier.WEEK,
}


@dataclass(frozen=True, slots=True)
class TierForecast:
    """One tier, or the status codes, which are kept by day.

    Attributes:
        name: The unit that a row sums up: a minute, or a status code.
        tier: Its tier; the tier of days for status codes.
        rows: Average number of rows in each of its buckets.
        row_bytes: Average bytes of a row on disk.
        kept_seconds: Retention in seconds; None for ever.
    """

    name: str
    tier: Tier
    rows: float
    row_bytes: float
    kept_seconds: int | None

    @property
    def bytes_per_day(self) -> int:
        """Bytes of the rows that a day adds."""
        return round(self.rows * self.row_bytes * Tier.DAY / self.tier)

    @property
    def steady_bytes(self) -> int:
        """Bytes in the steady state, in which as many rows are deleted as added.

        For rows that are kept for ever: the bytes after the retention of the tier of days.
        """
        kept = self.kept_seconds or KEPT_SECONDS[Tier.DAY] or 0
        # Plus the present bucket.
        return round(self.rows * self.row_bytes * (kept / self.tier + 1))


@dataclass(frozen=True, slots=True)
class LogForecast:
    """A log with a limited number of rows.

    Attributes:
        name: The kind of a row.
        rows: The limit, or the present number where the limit is far above it.
        row_bytes: Average bytes of a row on disk.
        kept_seconds: Longest retention in seconds.
        is_limited: True if `rows` is the limit.
    """

    name: str
    rows: int
    row_bytes: float
    kept_seconds: int
    is_limited: bool = True

    @property
    def most_bytes(self) -> int:
        """Bytes when it is full."""
        return round(self.rows * self.row_bytes)


@dataclass(frozen=True, slots=True)
class Forecast:
    """Forecast of the size of the database, for all apps that share it.

    Attributes:
        tiers: From minutes to weeks.
        statuses: The status codes.
        fixed_bytes: Bytes of the endpoints' own rows, and of their present callers.
        logs: Requests, exceptions, and the audit log.
    """

    tiers: tuple[TierForecast, ...]
    statuses: TierForecast
    fixed_bytes: int
    logs: tuple[LogForecast, ...] = ()

    @property
    def parts(self) -> tuple[TierForecast, ...]:
        """The tiers and the status codes."""
        return (*self.tiers, self.statuses)

    @property
    def endpoints(self) -> int:
        """Average number of endpoints called in a day."""
        return round(next(each.rows for each in self.tiers if each.tier is Tier.DAY))

    @property
    def bytes_per_day(self) -> int:
        """Bytes of the rows that a day adds; most of them are deleted later."""
        return sum(each.bytes_per_day for each in self.parts)

    @property
    def steady_bytes(self) -> int:
        """Bytes in the steady state, without the logs."""
        return self.fixed_bytes + sum(each.steady_bytes for each in self.parts)

    @property
    def log_bytes(self) -> int:
        """Bytes of the logs when they are full."""
        return sum(each.most_bytes for each in self.logs)

    @property
    def bytes_per_year(self) -> int:
        """Bytes that each further year adds, because some rows are kept for ever."""
        for_ever = [each for each in self.tiers if each.kept_seconds is None]
        return sum(each.bytes_per_day * _DAYS_PER_YEAR for each in for_ever)


class Forecaster:
    """Computes forecasts, and caches the last one for a minute; safe to use from several threads.

    Args:
        database: The database to measure.
        retention: Retention of each tier; may change while the forecaster exists.
    """

    def __init__(self, database: Database, retention: Retention) -> None:
        """Read nothing yet."""
        self._database = database
        self._retention = retention
        self._latest: tuple[float, Hashable, Forecast] | None = None

    def forecast(self, now: float) -> Forecast:
        """The forecast of the database's size.

        Raises:
            StorageError: The database cannot be read.
        """
        kept, latest = (self._retention.ttl_days, self._retention.log_max_rows), self._latest
        # Either way: after a step back, it would be shown for much longer.
        if latest and abs(now - latest[0]) < FRESH_SECONDS and latest[1] == kept:
            return latest[2]
        sizes = self._database.dialect.row_bytes
        with self._database.read() as connection:
            forecast = Forecast(
                tiers=tuple(
                    TierForecast(
                        name=tier.name.lower(),
                        tier=tier,
                        rows=_rows_each(connection, BUCKET.c.bucket, tier, now),
                        row_bytes=_row_bytes(connection, tier, sizes),
                        kept_seconds=self._retention.kept_seconds(tier),
                    )
                    for tier in Tier
                ),
                statuses=TierForecast(
                    name="status code",
                    tier=Tier.DAY,
                    rows=_rows_each(connection, STATUS.c.day, Tier.DAY, now),
                    row_bytes=sizes.status,
                    kept_seconds=self._retention.kept_seconds(Tier.DAY),
                ),
                fixed_bytes=_fixed_bytes(connection, sizes),
                logs=_logs(connection, self._retention, sizes),
            )
        self._latest = (now, kept, forecast)
        return forecast


def _fixed_bytes(connection: Connection, sizes: RowBytes) -> int:
    """Bytes of rows whose number does not follow from time, but has a bound for each endpoint."""
    kinds = (
        (ENDPOINT.c.id, sizes.endpoint),
        (USE.c.endpoint_id, sizes.use),
        (USE_WEEK.c.endpoint_id, sizes.use_week),
        (CALLER.c.id, sizes.caller),
    )
    return round(sum(_count(connection, sa.select(column)) * size for column, size in kinds))


def _logs(connection: Connection, retention: Retention, sizes: RowBytes) -> tuple[LogForecast, ...]:
    """The logs of all apps, as if each had this app's limit.

    For exceptions, the present number of kinds counts, which is far below their limit, each with
    its share of the counts by minute and hour.
    """
    kinds = _count(connection, sa.select(EXCEPTION.c.id))
    counts = _count(connection, sa.select(EXCEPTION_COUNT.c.failure_id)) / max(1, kinds)
    apps = max(1, _count(connection, sa.select(ENDPOINT.c.app).distinct()))
    texts = sa.func.length(EXCEPTION.c.traceback) + sa.func.length(EXCEPTION.c.message)
    some = sa.select(texts.label("length")).limit(SAMPLED_ROWS).subquery()
    length = connection.execute(sa.select(sa.func.avg(some.c.length))).scalar()
    actions = _count(connection, sa.select(AUDIT.c.app, AUDIT.c.action).distinct())
    kept = retention.log_kept_seconds
    return (
        LogForecast("request", apps * (retention.log_max_rows or 0), sizes.request, kept),
        LogForecast(
            "exception type",
            kinds,
            sizes.exception + float(length or 0) + counts * sizes.exception_count,
            kept,
            is_limited=False,
        ),
        LogForecast("audit entry", actions * AUDIT_KEPT_EACH, sizes.audit, AUDIT_KEPT_SECONDS),
    )


def _rows_each(connection: Connection, column: sa.Column[int], tier: Tier, now: float) -> float:
    """Average rows of a tier's bucket, over some complete ones."""
    rows = sa.select(column).where(*_of_tier(column, tier))
    # Baselines are not the rows of a week.
    oldest = connection.execute(
        rows.where(column > BASELINE_BUCKET).order_by(column).limit(1)
    ).scalar()
    if oldest is None:
        return 0.0
    last = int(now) // tier
    first = max(whole(oldest), last - _LOOK_BACK[tier] // tier)
    # In the first minutes, no bucket is complete.
    complete = range(first, last) or range(last, last + 1)
    sample = complete[:: -(-len(complete) // SAMPLES)]
    return _count(connection, rows.where(column.in_(sample))) / len(sample)


def _row_bytes(connection: Connection, tier: Tier, sizes: RowBytes) -> float:
    """Average bytes on disk of the latest rows of a tier."""
    latest = (
        sa.select(sa.func.length(BUCKET.c.histogram).label("length"))
        .where(BUCKET.c.tier == tier.value)
        .order_by(BUCKET.c.bucket.desc(), BUCKET.c.endpoint_id.desc())
        .limit(SAMPLED_ROWS)
        .subquery()
    )
    length = connection.execute(sa.select(sa.func.avg(latest.c.length))).scalar()
    return sizes.bucket + float(length or 0)


def _of_tier(column: sa.Column[int], tier: Tier) -> list[sa.ColumnElement[bool]]:
    return [BUCKET.c.tier == tier.value] if column.table is BUCKET else []


def _count(connection: Connection, rows: sa.SelectBase) -> int:
    found = connection.execute(sa.select(sa.func.count()).select_from(rows.subquery()))
    return int(found.scalar_one())
