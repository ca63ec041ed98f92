"""How large the database becomes if everything goes on as it does now. An estimate, and cheap.

It counts the rows of a few complete minutes, hours, days and weeks through the primary key, and
looks at some of them; it never reads a table from one end to the other.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.engine.dialects.base import RowBytes
from fastapi_lens.storage.records.audit import AUDIT_KEPT_EACH, AUDIT_KEPT_SECONDS
from fastapi_lens.storage.retention.pruner import KEPT_SECONDS, Retention
from fastapi_lens.storage.schema.models import Tier
from fastapi_lens.storage.schema.sanitized_rows import whole
from fastapi_lens.storage.schema.tables import AUDIT, BUCKET, ENDPOINT, EXCEPTION, STATUS

SAMPLES = 6
"""Complete buckets of a tier that are counted, spread over the time of `_LOOK_BACK`."""

SAMPLED_ROWS = 200
"""Rows of a tier whose histograms are looked at."""

FRESH_SECONDS = 60.0
"""So long an answer holds: the page asks every few seconds."""

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
        name: What a row is a sum of: a minute, or a status code.
        tier: Whose; of the status codes the day.
        rows: Rows that are written for each of its buckets, on average.
        row_bytes: Of each of them on the disk, on average.
        kept_seconds: How long they are kept; None for ever.
    """

    name: str
    tier: Tier
    rows: float
    row_bytes: float
    kept_seconds: int | None

    @property
    def bytes_per_day(self) -> int:
        """Bytes of the rows that a day brings."""
        return round(self.rows * self.row_bytes * Tier.DAY / self.tier)

    @property
    def steady_bytes(self) -> int:
        """Bytes when as many rows go as come.

        Of what is kept for ever, after as many days as the tier of the days has.
        """
        kept = self.kept_seconds or KEPT_SECONDS[Tier.DAY] or 0
        # The bucket that is filling is there, too.
        return round(self.rows * self.row_bytes * (kept / self.tier + 1))


@dataclass(frozen=True, slots=True)
class LogForecast:
    """A log, which is cut to so many rows.

    Attributes:
        name: What a row is.
        rows: As many as there can be.
        row_bytes: Of each of them on the disk, on average.
        kept_seconds: How long they are kept at most.
    """

    name: str
    rows: int
    row_bytes: float
    kept_seconds: int

    @property
    def most_bytes(self) -> int:
        """Bytes when it is full."""
        return round(self.rows * self.row_bytes)


@dataclass(frozen=True, slots=True)
class Forecast:
    """What the database comes to, of all apps that share it.

    Attributes:
        tiers: From minutes to weeks.
        statuses: The status codes.
        fixed_bytes: Of the endpoints' own rows.
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
        """Endpoints that were called in a day, on average."""
        return round(next(each.rows for each in self.tiers if each.tier is Tier.DAY))

    @property
    def bytes_per_day(self) -> int:
        """Bytes of the rows that a day brings; most of them are deleted again."""
        return sum(each.bytes_per_day for each in self.parts)

    @property
    def steady_bytes(self) -> int:
        """Bytes when as many rows go as come, without the logs."""
        return self.fixed_bytes + sum(each.steady_bytes for each in self.parts)

    @property
    def log_bytes(self) -> int:
        """Bytes of the logs when they are full, which come on top."""
        return sum(each.most_bytes for each in self.logs)

    @property
    def bytes_per_year(self) -> int:
        """Bytes that come on top each year from then on, because they are kept for ever."""
        for_ever = [each for each in self.tiers if each.kept_seconds is None]
        return sum(each.bytes_per_day * _DAYS_PER_YEAR for each in for_ever)


class Forecaster:
    """Forecasts, and remembers its last answer for a minute; safe to use from several threads.

    Args:
        database: Whose size.
        retention: How long each tier is kept; may change meanwhile.
    """

    def __init__(self, database: Database, retention: Retention) -> None:
        """Read nothing yet."""
        self._database = database
        self._retention = retention
        self._answer: tuple[float, Hashable, Forecast] | None = None

    def forecast(self, now: float) -> Forecast:
        """The size that the database comes to.

        Raises:
            StorageError: The database cannot be read.
        """
        kept, answer = (self._retention.ttl_days, self._retention.log_max_rows), self._answer
        if answer and abs(now - answer[0]) < FRESH_SECONDS and answer[1] == kept:
            return answer[2]
        sizes = self._database.dialect.row_bytes
        with self._database.read() as connection:
            made = Forecast(
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
                fixed_bytes=round(_count(connection, sa.select(ENDPOINT.c.id)) * sizes.endpoint),
                logs=_logs(connection, self._retention, sizes),
            )
        self._answer = (now, kept, made)
        return made


def _logs(connection: Connection, retention: Retention, sizes: RowBytes) -> tuple[LogForecast, ...]:
    """The logs of all apps, as if each kept as many rows as the one that asks.

    Of exceptions there are as many kinds as there are, which their bound is far from.
    """
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
            _count(connection, sa.select(EXCEPTION.c.id)),
            sizes.exception + float(length or 0),
            kept,
        ),
        LogForecast("audit entry", actions * AUDIT_KEPT_EACH, sizes.audit, AUDIT_KEPT_SECONDS),
    )


def _rows_each(connection: Connection, column: sa.Column[int], tier: Tier, now: float) -> float:
    """Rows that a bucket of a tier has, on average over some complete ones."""
    rows = sa.select(column).where(*_of_tier(column, tier))
    oldest = connection.execute(rows.order_by(column).limit(1)).scalar()
    if oldest is None:
        return 0.0
    last = int(now) // tier
    first = max(whole(oldest), last - _LOOK_BACK[tier] // tier)
    # In the first minutes there is none that is complete.
    complete = range(first, last) or range(last, last + 1)
    sample = complete[:: -(-len(complete) // SAMPLES)]
    return _count(connection, rows.where(column.in_(sample))) / len(sample)


def _row_bytes(connection: Connection, tier: Tier, sizes: RowBytes) -> float:
    """What the latest rows of a tier take on the disk, on average."""
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
