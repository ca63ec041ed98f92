"""The past of an application: observed days, and uses of its endpoints, as rows of a database.

Written straight into the tables, because years of calls take too long through a recorder.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.schema.data_version import note_change
from fastapi_lens.storage.schema.identities import endpoint_id, release_id, shape_id
from fastapi_lens.storage.schema.tables import ENDPOINT, GONE, OBSERVED, RELEASE, STATUS

DAY_SECONDS = 86_400
_WHOLE_HOUR = (1 << 60) - 1


class Past:
    """The past of one application.

    Args:
        database: Its tables exist, and so do the rows of its endpoints.
        app: Name of the application.
        now: Epoch seconds; days are counted back from here, 0 is the present one.
    """

    def __init__(self, database: Database, app: str, *, now: float) -> None:
        """Write nothing yet."""
        self._database = database
        self._app = app
        self._now = now
        self.today = int(now // DAY_SECONDS)

    def observe(
        self, days: int, *, holes: Iterable[tuple[int, int]] = (), release: str = ""
    ) -> None:
        """Mark every minute of the last days as observed, but for holes.

        Args:
            days: The first day, counted back from the present one.
            holes: First and last days of each, counted back.
            release: Name of the release that recorded.
        """
        missing = {day for first, last in holes for day in range(last, first + 1)}
        identity = release_id(self._app, release)
        begin, end = (self.today - days) * 24, int(self._now // 3_600)
        hours = [
            {"release_id": identity, "hour": hour, "minutes": _WHOLE_HOUR}
            for hour in range(begin, end + 1)
            if self.today - hour // 24 not in missing
        ]
        at = {"first_at": self._us(days), "last_at": self._us(0)}
        self._write(
            sa.delete(OBSERVED).where(OBSERVED.c.release_id == identity),
            sa.delete(RELEASE).where(RELEASE.c.id == identity),
            (sa.insert(RELEASE), [{"id": identity, "app": self._app, "name": release, **at}]),
            (sa.insert(OBSERVED), hours),
        )

    def be_there(self, method: str, path: str, *, since: int, **facts: Any) -> None:
        """Let an endpoint be in the routes since a day, counted back."""
        seen = self._us(since)
        times = {"first_seen_at": seen, "present_since": 0, "evidence_since": 0}
        self._write(self._update(method, path, {**times, **facts}))

    def use(
        self,
        method: str,
        path: str,
        days: Iterable[int],
        *,
        status: int = 200,
        calls: int = 3,
        is_use: bool = True,
    ) -> None:
        """Let an endpoint be called on days, counted back."""
        called = sorted(days)
        identity = endpoint_id(self._app, method, path)
        rows = [
            {
                "day": self.today - day,
                "endpoint_id": identity,
                "status": status,
                "calls": calls,
            }
            for day in called
        ]
        last = self._us(called[0])
        facts = {
            "first_called_at": self._us(called[-1]),
            "last_called_at": last,
            "total_calls": calls * len(called),
            **({"last_used_at": last} if is_use else {}),
        }
        self._write((sa.insert(STATUS), rows), self._update(method, path, facts))

    def remove(self, method: str, path: str, *, since: int, calls: Mapping[int, int]) -> None:
        """Take an endpoint out of the routes, and let it be called afterwards.

        Args:
            method: Its method.
            path: Its path template.
            since: The day of the removal, counted back.
            calls: Calls by day, counted back.
        """
        identity = endpoint_id(self._app, method, path)
        seen = self._us(since)
        row = {
            "id": identity,
            "app": self._app,
            "method": method,
            "path": path,
            "shape_id": shape_id(self._app, method, path),
            "first_seen_at": self._us(since + 300),
            "last_seen_at": seen,
            "removed_at": seen,
        }
        gone = [
            {"day": self.today - day, "endpoint_id": identity, "is_noise": 0, "calls": count}
            for day, count in calls.items()
        ]
        self._write((sa.insert(ENDPOINT), [row]), (sa.insert(GONE), gone))

    def _update(self, method: str, path: str, facts: Mapping[str, Any]) -> sa.Update:
        identity = endpoint_id(self._app, method, path)
        return sa.update(ENDPOINT).where(ENDPOINT.c.id == identity).values(**facts)

    def _us(self, day: int) -> int:
        """Noon of a day, counted back; never in the future."""
        return int(min(self._now, (self.today - day) * DAY_SECONDS + DAY_SECONDS // 2) * 1_000_000)

    def _write(self, *statements: Any) -> None:
        with self._database.write() as connection:
            for one in statements:
                if isinstance(one, tuple):
                    statement, rows = one
                    if rows:
                        connection.execute(statement, rows)
                else:
                    connection.execute(one)
            note_change(self._database, connection)
