"""Years of calls as rows, for what is made of them. Days are numbers since the epoch (UTC)."""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from fastapi_lens.reporting.evidence import AppEvidence, Judged
from fastapi_lens.reporting.reader import Reader
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.identities import endpoint_id, release_id, shape_id
from fastapi_lens.storage.schema.migrations import migrate
from fastapi_lens.storage.schema.models import Tier
from fastapi_lens.storage.schema.tables import (
    BUCKET,
    ENDPOINT,
    GONE,
    OBSERVED,
    RELEASE,
    STATUS,
    WORKER,
)
from tests.reporting.recount import reader_of

APP = "orders"
TODAY = 20_500
NOW = TODAY * 86_400.0 + 43_200
"""Noon of today."""

DAY_US = 86_400_000_000
WHOLE_HOUR = (1 << 60) - 1


class Past:
    """The rows of one app that has been watched for 800 days, or as many as are said.

    Args:
        database: Without tables.
        watched: Days.
    """

    def __init__(self, database: Database, *, watched: int = 800) -> None:
        self.database = database
        migrate(database)
        if watched:
            self.observe(TODAY - watched, TODAY)

    def observe(self, first: int, last: int, *, release: str = "1.0", app: str = APP) -> None:
        """Watch from the begin of a day to the end of another, or until now."""
        identity = release_id(app, release)
        row = {"id": identity, "app": app, "name": release}
        hours = range(first * 24, min((last + 1) * 24, int(NOW) // 3_600))
        marks = [{"release_id": identity, "hour": hour, "minutes": WHOLE_HOUR} for hour in hours]
        with self.database.write() as connection:
            connection.execute(
                self.database.insert_ignore(RELEASE),
                {**row, "first_at": first * DAY_US, "last_at": (last + 1) * DAY_US},
            )
            connection.execute(sa.insert(OBSERVED), marks)

    def miss(self, first: int, last: int) -> None:
        """Forget what was watched from the begin of a day to the end of another."""
        hours = OBSERVED.c.hour.between(first * 24, last * 24 + 23)
        with self.database.write() as connection:
            connection.execute(sa.delete(OBSERVED).where(hours))

    def endpoint(
        self, path: str, *, method: str = "GET", since: int = TODAY - 700, app: str = APP, **of: Any
    ) -> int:
        """An endpoint that has been in the routes since a day; returns its id."""
        identity = endpoint_id(app, method, path)
        row = {
            "id": identity,
            "app": app,
            "method": method,
            "path": path,
            "kind": "http",
            "name": "shop.read",
            "first_seen_at": since * DAY_US,
            "last_seen_at": TODAY * DAY_US,
            "shape_id": shape_id(app, method, path),
            **of,
        }
        with self.database.write() as connection:
            connection.execute(sa.insert(ENDPOINT), row)
        return identity

    def call(self, identity: int, *days: int, status: int = 200, calls: int = 1) -> None:
        """Calls on each of some days, as the drain adds them; days before 400 are only weeks."""
        for day in days:
            if day >= TODAY - 400:
                row = {"day": day, "endpoint_id": identity, "status": status, "calls": calls}
                self._insert(STATUS, row)
            else:
                self._week(identity, day // 7, calls, calls if status // 100 == 4 else 0)
        used = max(days) * DAY_US if status // 100 == 2 else 0
        with self.database.write() as connection:
            connection.execute(
                sa.update(ENDPOINT)
                .where(ENDPOINT.c.id == identity)
                .values(
                    first_called_at=sa.case(
                        (ENDPOINT.c.first_called_at == 0, min(days) * DAY_US),
                        else_=sa.func.min(ENDPOINT.c.first_called_at, min(days) * DAY_US),
                    ),
                    last_called_at=sa.func.max(ENDPOINT.c.last_called_at, max(days) * DAY_US),
                    last_used_at=sa.func.max(ENDPOINT.c.last_used_at, used),
                    total_calls=ENDPOINT.c.total_calls + calls * len(days),
                )
            )

    def change(self, identity: int, **values: Any) -> None:
        """Set columns of an endpoint."""
        with self.database.write() as connection:
            connection.execute(
                sa.update(ENDPOINT).where(ENDPOINT.c.id == identity).values(**values)
            )

    def worker(self, *, started: int, open_calls: str | None = None, app: str = APP) -> None:
        """A worker that lives and has been writing since a day."""
        row = {
            "id": f"{app}-{started}",
            "app": app,
            "host": "host",
            "pid": 1,
            "interval_ms": 5_000,
            "started_at": started * DAY_US,
            "seen_at": round(NOW * 1e6),
            "complete_to": round(NOW * 1e6),
            "open_calls": open_calls,
        }
        self._insert(WORKER, row)

    def gone(self, identity: int, day: int, calls: int, *, is_noise: int = 0) -> None:
        """Calls of a removed endpoint."""
        row = {"day": day, "endpoint_id": identity, "is_noise": is_noise, "calls": calls}
        self._insert(GONE, row)

    def reader(self, **of: Any) -> Reader:
        """A reader that has read nothing yet."""
        return reader_of(self.database, app=APP, **of)

    def evidence(self, now: float = NOW, **of: Any) -> AppEvidence:
        """All endpoints, judged."""
        return self.reader(**of).evidence(now)

    def judged(self, path: str, method: str = "GET", now: float = NOW, **of: Any) -> Judged:
        """One endpoint, judged in full; its verdict is the same among all."""
        alone = self.reader(**of).judged(f"{endpoint_id(APP, method, path):016x}", now=now)
        assert alone is not None
        among = _named(self.evidence(now, **of), path)
        for one in among:
            assert one.verdict.level is alone.verdict.level
            assert one.verdict.silence_days == alone.verdict.silence_days
            assert one.verdict.exclusions == alone.verdict.exclusions
            assert one.last_used_at == alone.last_used_at
            if one.is_read:
                assert (one.verdict, one.history) == (alone.verdict, alone.history)
        return alone

    def _week(self, identity: int, week: int, calls: int, refused: int) -> None:
        row = {"tier": Tier.WEEK.value, "bucket": week, "endpoint_id": identity, "calls": calls}
        with self.database.write() as connection:
            connection.execute(self.database.insert_ignore(BUCKET), {**row, "errors_4xx": refused})

    def _insert(self, table: sa.Table, row: dict[str, Any]) -> None:
        with self.database.write() as connection:
            connection.execute(sa.insert(table), row)


def ago(*days: int) -> list[int]:
    """Days before today."""
    return [TODAY - day for day in days]


def every(period: int, count: int, *, last: int) -> Iterable[int]:
    """Used days, so far apart, the last of which was so many days ago."""
    return range(TODAY - last - (count - 1) * period, TODAY - last + 1, period)


def _named(evidence: AppEvidence, path: str) -> list[Judged]:
    return [one for one in (*evidence.endpoints, *evidence.removed) if one.endpoint.path == path]
