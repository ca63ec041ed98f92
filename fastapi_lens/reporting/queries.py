"""Reader: windows, sums, series and health, read from the roll-up rows. Knows no HTML."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.histogram import Histogram
from fastapi_lens.reporting.model import Endpoint, Health, Point, Series, Usage, Window, Worker
from fastapi_lens.reporting.status import Thresholds, classify
from fastapi_lens.reporting.windows import Span, cover, finest, start_of
from fastapi_lens.reporting.workers import oldest_start, read_health, read_workers
from fastapi_lens.storage.database import Database
from fastapi_lens.storage.models import Tier
from fastapi_lens.storage.retention import kept_seconds
from fastapi_lens.storage.tables import BUCKET, ENDPOINT, STATUS, WORKER

MAX_STEPS = 60
ID_BITS = 63
_STEPS_SECONDS = (
    *(60 * minutes for minutes in (1, 2, 5, 10, 15, 30)),
    *(3_600 * hours for hours in (1, 2, 3, 6, 12)),
    *(86_400 * days for days in (1, 2, 3)),
    *(604_800 * weeks for weeks in (1, 2, 4, 8, 16, 52)),
)
_SUMS = ("calls", "redirects", "errors_4xx", "errors_5xx", "duration_us")


class Reader:
    """Answers questions about one app.

    Args:
        database: Where the rows are.
        app: The app's name; its endpoints are the only ones that are seen.
        thresholds: When an endpoint is cold, and dead.
        shown: Whether an endpoint (method, path) is to be seen at all.
        ttl_days: The configured retention.
    """

    def __init__(
        self,
        database: Database,
        *,
        app: Callable[[], str],
        thresholds: Thresholds,
        shown: Callable[[str, str], bool],
        ttl_days: int | None,
    ) -> None:
        """Read nothing yet."""
        self._database = database
        self._app = app
        self.thresholds = thresholds
        self._shown = shown
        self._ttl_days = ttl_days

    def endpoints(self, *, window: Window, now: float) -> list[Endpoint]:
        """All endpoints with what they did in a window, in no particular order.

        One that was never called and that no living worker's app has any more is left out: it
        is deleted already.

        Raises:
            StorageError: The database cannot be read.
        """
        app = self._app()
        with self._database.read() as connection:
            rows = connection.execute(
                sa.select(ENDPOINT).where(
                    ENDPOINT.c.app == app,
                    (ENDPOINT.c.total_calls > 0)
                    | (ENDPOINT.c.last_seen_at >= oldest_start(connection, app=app, now=now)),
                )
            ).all()
            usages = self._usages(connection, self._spans(window, now), None)
        return [
            self._endpoint(row, usages.get(row.id, Usage()), now)
            for row in rows
            if self._shown(row.method, row.path)
        ]

    def endpoint(self, key: str, *, window: Window, now: float) -> Endpoint | None:
        """One endpoint by its key; None when there is no such endpoint.

        Raises:
            StorageError: The database cannot be read.
        """
        identity = _identity(key)
        if identity is None:
            return None
        with self._database.read() as connection:
            row = connection.execute(
                sa.select(ENDPOINT).where(ENDPOINT.c.id == identity, ENDPOINT.c.app == self._app())
            ).one_or_none()
            if row is None or not self._shown(row.method, row.path):
                return None
            usages = self._usages(connection, self._spans(window, now), [identity])
        return self._endpoint(row, usages.get(identity, Usage()), now)

    def trends(
        self, ids: Sequence[int], *, window: Window, now: float
    ) -> Mapping[int, Sequence[int]]:
        """Calls per step of the window, oldest first, of several endpoints.

        Returns:
            For each id as many numbers as the window has steps (about 30 to 60); the last
            step is still filling.

        Raises:
            StorageError: The database cannot be read.
        """
        with self._database.read() as connection:
            begin, step, tier = self._steps(connection, ids, window, now)
            number = BUCKET.c.bucket * tier.value // step
            rows = connection.execute(
                sa.select(BUCKET.c.endpoint_id, number, sa.func.sum(BUCKET.c.calls))
                .where(
                    BUCKET.c.tier == tier.value,
                    BUCKET.c.bucket >= begin // tier,
                    BUCKET.c.endpoint_id.in_(sorted(ids)),
                )
                .group_by(BUCKET.c.endpoint_id, number)
            ).all()
        first = begin // step
        steps = int(now) // step - first + 1
        found = {identity: [0] * steps for identity in ids}
        for identity, at, calls in rows:
            position = int(at) - first
            if 0 <= position < steps:
                found[identity][position] += int(calls)
        return found

    def series(self, endpoint_id: int, *, window: Window, now: float) -> Series:
        """What one endpoint did over time, without gaps.

        Raises:
            StorageError: The database cannot be read.
        """
        with self._database.read() as connection:
            begin, step, tier = self._steps(connection, [endpoint_id], window, now)
            rows = connection.execute(
                sa.select(BUCKET).where(
                    BUCKET.c.tier == tier.value,
                    BUCKET.c.bucket >= begin // tier,
                    BUCKET.c.endpoint_id == endpoint_id,
                )
            ).all()
        by_step: dict[int, list[Any]] = {}
        for row in rows:
            by_step.setdefault(row.bucket * tier // step, []).append(row)
        return Series(
            step,
            tuple(
                Point(float(number * step), _usage(by_step.get(number, ())))
                for number in range(begin // step, int(now) // step + 1)
            ),
        )

    def status_codes(
        self, endpoint_id: int, *, window: Window, now: float
    ) -> list[tuple[int, int]]:
        """Status codes of one endpoint and how many calls had them, most frequent first.

        They are kept by day, so a window begins with the day that its start falls on.

        Raises:
            StorageError: The database cannot be read.
        """
        condition = STATUS.c.endpoint_id == endpoint_id
        begin = window.begin(now)
        if begin is not None:
            condition &= STATUS.c.day >= begin // Tier.DAY
        calls = sa.func.sum(STATUS.c.calls)
        with self._database.read() as connection:
            rows = connection.execute(
                sa.select(STATUS.c.status, calls)
                .where(condition)
                .group_by(STATUS.c.status)
                .having(calls > 0)
                .order_by(calls.desc(), STATUS.c.status)
            ).all()
        return [(int(status), int(count)) for status, count in rows]

    def health(self, now: float) -> Health:
        """Whether the numbers can be trusted.

        Raises:
            StorageError: The database cannot be read.
        """
        with self._database.read() as connection:
            size = self._database.size_bytes(connection)
            return read_health(connection, app=self._app(), now=now, database_bytes=size)

    def workers(self, now: float) -> list[Worker]:
        """Who records this app or has, see `read_workers`.

        Raises:
            StorageError: The database cannot be read.
        """
        with self._database.read() as connection:
            return read_workers(connection, app=self._app(), now=now)

    def version(self) -> str:
        """A text that changes whenever any number may have changed; cheap to ask for.

        Raises:
            StorageError: The database cannot be read.
        """
        with self._database.read() as connection:
            parts = connection.execute(
                sa.select(sa.func.count(), sa.func.sum(WORKER.c.seq), sa.func.sum(WORKER.c.dropped))
            ).one()
            endpoints = connection.execute(sa.select(sa.func.count()).select_from(ENDPOINT))
            return "-".join(str(part) for part in (*parts, endpoints.scalar_one()))

    def _kept(self, tier: Tier) -> int | None:
        return kept_seconds(tier, self._ttl_days)

    def _spans(self, window: Window, now: float) -> list[Span]:
        return cover(start_of(window, now=now, kept=self._kept))

    def _usages(
        self, connection: Connection, spans: Sequence[Span], ids: Sequence[int] | None
    ) -> dict[int, Usage]:
        columns = (BUCKET.c.endpoint_id, *(BUCKET.c[name] for name in _SUMS))
        rows = connection.execute(
            sa.union_all(
                *(
                    sa.select(*columns, BUCKET.c.max_us, BUCKET.c.histogram).where(
                        *_conditions(span, ids)
                    )
                    for span in spans
                )
            )
        )
        by_endpoint: dict[int, list[Any]] = {}
        for row in rows:
            by_endpoint.setdefault(row.endpoint_id, []).append(row)
        return {identity: _usage(found) for identity, found in by_endpoint.items()}

    def _steps(
        self, connection: Connection, ids: Sequence[int], window: Window, now: float
    ) -> tuple[int, int, Tier]:
        """Where a series begins, how long its steps are, and the tier they are added up from.

        The first step has the calls from the beginning on only, as far as the tier tells.
        """
        begin = window.begin(now)
        if begin is None:
            oldest = connection.execute(
                sa.select(sa.func.min(ENDPOINT.c.first_called_at)).where(
                    ENDPOINT.c.id.in_(sorted(ids)), ENDPOINT.c.first_called_at > 0
                )
            ).scalar()
            # Another host's clock may be ahead of ours.
            begin = int(now if oldest is None else min(now, oldest / 1_000_000))
        reach = finest(begin, now=now, kept=self._kept)
        span = int(now) - begin
        step = next(
            (size for size in _STEPS_SECONDS if size >= reach and span / size <= MAX_STEPS),
            _STEPS_SECONDS[-1],
        )
        tier = next(tier for tier in reversed(list(Tier)) if step % tier == 0)
        return begin, step, tier

    def _endpoint(self, row: Any, usage: Usage, now: float) -> Endpoint:
        last = _seconds(row.last_called_at)
        return Endpoint(
            id=row.id,
            method=row.method,
            path=row.path,
            kind=row.kind,
            name=row.name,
            source=row.source,
            summary=row.summary,
            tags=tuple(json.loads(row.tags)),
            deprecated=bool(row.deprecated),
            first_seen_at=row.first_seen_at / 1_000_000,
            first_called_at=_seconds(row.first_called_at),
            last_called_at=last,
            total_calls=row.total_calls,
            status=classify(last, now=now, thresholds=self.thresholds),
            usage=usage,
        )


def _conditions(span: Span, ids: Sequence[int] | None) -> list[sa.ColumnElement[bool]]:
    conditions = [BUCKET.c.tier == span.tier.value, BUCKET.c.bucket >= span.first]
    if span.last is not None:
        conditions.append(BUCKET.c.bucket < span.last)
    if ids is not None:
        conditions.append(BUCKET.c.endpoint_id.in_(ids))
    return conditions


def _usage(rows: Sequence[Any]) -> Usage:
    """The rows of one endpoint added up; no rows give no calls."""
    return Usage(
        calls=sum(row.calls for row in rows),
        redirects=sum(row.redirects for row in rows),
        errors_4xx=sum(row.errors_4xx for row in rows),
        errors_5xx=sum(row.errors_5xx for row in rows),
        duration_us=sum(row.duration_us for row in rows),
        max_us=max((row.max_us for row in rows), default=0),
        latency=Histogram.merged(Histogram.from_bytes(row.histogram) for row in rows),
    )


def _seconds(microseconds: int) -> float | None:
    return microseconds / 1_000_000 if microseconds else None


def _identity(key: str) -> int | None:
    """The id that a key stands for; None for a text that is no key of any id."""
    try:
        identity = int(key, 16)
    except ValueError:
        return None
    return identity if identity < 1 << ID_BITS and f"{identity:016x}" == key else None
