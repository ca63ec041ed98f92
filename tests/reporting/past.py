"""Years of calls as rows, for what is made of them. Days are numbers since the epoch (UTC)."""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from fastapi_lens.reporting.evidence.evidence import AppEvidence, Judged
from fastapi_lens.reporting.reader import Reader
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.identities import caller_id, endpoint_id, release_id, shape_id
from fastapi_lens.storage.schema.migrations import migrate
from fastapi_lens.storage.schema.models import OTHERS_ID, CallerKind, Tier
from fastapi_lens.storage.schema.tables import (
    BUCKET,
    CALLER,
    ENDPOINT,
    GONE,
    OBSERVED,
    RELEASE,
    STATUS,
    USE,
    USE_WEEK,
    WORKER,
)
from fastapi_lens.verdict.history import REFUSED
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
            if day < TODAY - 400:
                self._week(identity, day // 7, calls, calls if status // 100 == 4 else 0)
        keys = [
            {"day": day, "endpoint_id": identity, "status": status}
            for day in days
            if day >= TODAY - 400
        ]
        if keys:
            of_it = (STATUS.c.endpoint_id == identity) & (STATUS.c.status == status)
            with self.database.write() as connection:
                connection.execute(self.database.insert_ignore(STATUS), keys)
                connection.execute(
                    sa.update(STATUS)
                    .where(of_it, STATUS.c.day.in_([key["day"] for key in keys]))
                    .values(calls=STATUS.c.calls + calls)
                )
        used = max(days) * DAY_US if status // 100 == 2 else 0
        where = ENDPOINT.c.id == identity
        with self.database.write() as connection:
            row = connection.execute(sa.select(ENDPOINT).where(where)).one()
            first_us = min(row.first_called_at or min(days) * DAY_US, min(days) * DAY_US)
            changes = {
                "first_called_at": first_us,
                "last_called_at": max(row.last_called_at, max(days) * DAY_US),
                "last_used_at": max(row.last_used_at, used),
                "total_calls": row.total_calls + calls * len(days),
            }
            connection.execute(sa.update(ENDPOINT).where(where).values(changes))

    def caller(
        self,
        name: str = "",
        kind: CallerKind = CallerKind.HOOK,
        *,
        label: str = "",
        app: str = APP,
    ) -> int:
        """A caller; returns its id."""
        if kind is CallerKind.OTHERS:
            return OTHERS_ID
        identity = caller_id(app, kind, name)
        row = {"id": identity, "app": app, "kind": kind.value, "name": name, "label": label}
        with self.database.write() as connection:
            connection.execute(self.database.insert_ignore(CALLER), row)
        return identity

    def use(self, identity: int, caller: int, *days: int, status: int = 200) -> None:
        """A call by a caller on each of some days, ascending, all of which have a caller."""
        with self.database.write() as connection:
            where = ENDPOINT.c.id == identity
            before = connection.execute(sa.select(ENDPOINT).where(where)).one()
        self.call(identity, *days, status=status)
        self.add_use(identity, caller, *days, status=status)
        last_us = max(before.last_called_at, max(days) * DAY_US)
        missed = before.last_called_at if before.last_called_at != before.attributed_until else 0
        self.change(
            identity,
            attributed_until=last_us,
            unattributed_at=max(before.unattributed_at, missed),
        )

    def add_use(self, identity: int, caller: int, *days: int, status: int = 200) -> None:
        """The row of a caller alone, which gets some further days."""
        key = {"endpoint_id": identity, "caller_id": caller}
        where = (USE.c.endpoint_id == identity) & (USE.c.caller_id == caller)
        with self.database.write() as connection:
            connection.execute(self.database.insert_ignore(USE), key)
            found = dict(connection.execute(sa.select(USE).where(where)).mappings().one())
            for day in sorted(days):
                _count(found, day, is_refused=status in REFUSED)
            connection.execute(sa.update(USE).where(where).values(found))
            rows = sa.select(sa.func.count()).where(USE.c.endpoint_id == identity)
            connection.execute(
                sa.update(ENDPOINT)
                .where(ENDPOINT.c.id == identity)
                .values(callers=connection.execute(rows).scalar_one())
            )
            connection.execute(
                sa.update(CALLER)
                .where(CALLER.c.id == caller)
                .values(first_at=found["first_at"], last_at=found["last_at"])
            )

    def use_week(self, identity: int, caller: int, week: int, calls: int) -> None:
        """Calls of a caller in a week."""
        row = {"week": week, "endpoint_id": identity, "caller_id": caller, "calls": calls}
        self._insert(USE_WEEK, row)

    def change_use(self, identity: int, caller: int, **values: Any) -> None:
        """Set columns of the row of a caller."""
        where = (USE.c.endpoint_id == identity) & (USE.c.caller_id == caller)
        with self.database.write() as connection:
            connection.execute(sa.update(USE).where(where).values(**values))

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


def _count(row: dict[str, Any], day: int, *, is_refused: bool) -> None:
    """Add a call to a row of the ledger."""
    row["calls"] += 1
    if is_refused:
        row["refused"] += 1
        row["refused_day"] = max(row["refused_day"], day)
        return
    if row["days"]:
        row["max_gap"] = max(row["max_gap"], day - row["last_day"])
    row["days"] += row["last_day"] != day
    row["first_day"], row["last_day"] = row["first_day"] or day, max(row["last_day"], day)
    row["first_at"], row["last_at"] = row["first_at"] or day * DAY_US, row["last_day"] * DAY_US


def ago(*days: int) -> list[int]:
    """Days before today."""
    return [TODAY - day for day in days]


def every(period: int, count: int, *, last: int) -> Iterable[int]:
    """Used days, so far apart, the last of which was so many days ago."""
    return range(TODAY - last - (count - 1) * period, TODAY - last + 1, period)


def _named(evidence: AppEvidence, path: str) -> list[Judged]:
    return [one for one in (*evidence.endpoints, *evidence.removed) if one.endpoint.path == path]
