"""Reader: windows, sums, series and health, read from the roll-up rows. Knows no HTML."""

import json
import time
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, TypeVar

import sqlalchemy as sa

from fastapi_lens.reporting.answers import Answers
from fastapi_lens.reporting.model import (
    Before,
    Bounds,
    Endpoint,
    Health,
    Series,
    Usage,
    WeekHours,
    Window,
    Worker,
    id_of,
)
from fastapi_lens.reporting.over_time import (
    Times,
    read_hours_of_week,
    read_series,
    read_trends,
)
from fastapi_lens.reporting.request_log import LogReader
from fastapi_lens.reporting.status import Thresholds, classify
from fastapi_lens.reporting.sums import Row, Sums, fetched
from fastapi_lens.reporting.unhurried import unhurried
from fastapi_lens.reporting.windows import bounds_of, code_days, cover, period_before
from fastapi_lens.reporting.workers import oldest_start, read_health, read_workers
from fastapi_lens.storage.database import Database
from fastapi_lens.storage.models import Tier
from fastapi_lens.storage.retention import Retention
from fastapi_lens.storage.rewriting import rewriting_sign
from fastapi_lens.storage.tables import ENDPOINT, STATUS, WORKER

_NAMES = (
    *("id", "method", "path", "kind", "name", "source", "summary", "tags", "deprecated"),
    *("first_seen_at", "first_called_at", "last_called_at", "total_calls"),
)
_FACTS = tuple(ENDPOINT.c[name] for name in _NAMES)
_ID, _METHOD, _PATH, _FIRST, _TOTAL = map(
    _NAMES.index, ("id", "method", "path", "first_called_at", "total_calls")
)

_UNUSED = Usage()

FRESH_SECONDS = 1.0
"""After them it is looked up whether other workers have written."""

_NEVER = (float("-inf"), 0, "")
"""When the version was read, how often this process had written by then, and the version."""

ROWS_SECONDS = 60.0
"""What all endpoints did is kept for so long, unless counts are written or deleted meanwhile."""

Answer = TypeVar("Answer")


class Reader:
    """Answers questions about one app.

    Args:
        database: Where the rows are.
        app: The app's name; its endpoints are the only ones that are seen.
        thresholds: When an endpoint is cold, and dead; may change meanwhile.
        shown: Whether an endpoint (method, path) is to be seen at all.
        ignored: Whether a rule ignores it, so that it is seen only by who asks for such.
        retention: How long each tier is kept; may change meanwhile.

    Attributes:
        log: Answers questions about single requests and exceptions.
        written: Gives a number that changes whenever this process has written.
    """

    def __init__(
        self,
        database: Database,
        *,
        app: Callable[[], str],
        thresholds: Callable[[], Thresholds],
        shown: Callable[[str, str], bool],
        retention: Retention,
        ignored: Callable[[str, str], bool] = lambda _method, _path: False,
    ) -> None:
        """Read nothing yet."""
        self._database = database
        self._app = app
        self._thresholds = thresholds
        self._shown = shown
        self._ignored = ignored
        self._retention = retention
        self.log = LogReader(database, app=app, shown=self._is_seen)
        self._sums = Sums()
        self.written: Callable[[], int] = lambda: 0
        self._clock = time.monotonic
        self._latest = _NEVER
        self._answers = Answers()
        # They are large, and serve those who want another answer from the same rows.
        self._rows = Answers(max_age_seconds=ROWS_SECONDS, max_answers=2)
        # Of the window that was read last.
        self._made: Mapping[int, tuple[Row, Endpoint]] = {}

    def shared(self, question: Hashable, make: Callable[[], Answer]) -> Answer:
        """An answer that all get who ask the same while nothing is written, for 10 s at most.

        Args:
            question: Everything that the answer depends on besides the rows, the app, the
                thresholds and the retention. Two kinds of answers need two questions.
            make: Makes it; those who ask meanwhile wait for it.

        Raises:
            StorageError: The database cannot be read.
        """
        return self._answers.get((question, self._state()), make)

    def ready(self, question: Hashable) -> Any:
        """What `shared` would give, from memory, as good as it was within the last second.

        What this process has written since is seen at once, what others have a second later.

        Returns:
            None where it has to be asked for.
        """
        began, written, version = self._latest
        if self._clock() - began >= FRESH_SECONDS or written != self.written():
            return None
        return self._answers.known((question, self._state_of(version)))

    def forget(self) -> None:
        """Make every answer anew from now on: rows have changed that no worker has written."""
        self._latest = _NEVER
        self._answers.clear()
        self._rows.clear()
        self._sums.forget()

    def endpoints(
        self, *, window: Window, now: float, with_ignored: bool = False
    ) -> list[Endpoint]:
        """All endpoints with what they did in a window, in no particular order.

        One that was never called and that no living worker's app has any more is left out: it
        is deleted already. What is in the rows is `shared`.

        Raises:
            StorageError: The database cannot be read.
        """
        bounds, thresholds = self.bounds(window, now=now), self._thresholds()
        # While nothing is written, what is there is the same until the next minute begins.
        question = (self._state(), bounds, int(now) // Tier.MINUTE)
        found = self._rows.get(question, lambda: self._read(bounds, thresholds, now))
        return [
            _as_of(endpoint, thresholds, now=now)
            for endpoint in unhurried(found)
            if self._is_seen(endpoint.method, endpoint.path, with_ignored=with_ignored)
        ]

    def endpoint(
        self, key: str, *, window: Window, now: float, with_ignored: bool = False
    ) -> Endpoint | None:
        """One endpoint by its key; None when there is no such endpoint.

        Raises:
            StorageError: The database cannot be read.
        """
        identity = id_of(key)
        bounds = self.bounds(window, now=now)
        mine = sa.select(*_FACTS).where(ENDPOINT.c.id == identity, ENDPOINT.c.app == self._app())
        with self._database.read() as connection:
            row = next(iter(fetched(connection, mine)), None)
            if row is None or not self._seen(row, with_ignored=with_ignored):
                return None
            start = _first_week([row[_FIRST]]) if bounds.start is None else bounds.start
            spans = cover(start, end=bounds.end)
            usage = self._sums.of(connection, identity, spans, now=now)
        return _endpoint(row, usage, self._thresholds(), now=now)

    def bounds(self, window: Window, *, now: float) -> Bounds:
        """Where a window begins and ends, as far as the rows that are kept can tell."""
        return bounds_of(window, now=now, kept=self._kept)

    def before(self, endpoint_id: int, *, window: Window, now: float) -> Before | None:
        """What one endpoint did in the period before a window, see `period_before`.

        Raises:
            StorageError: The database cannot be read.
        """
        bounds = self.bounds(window, now=now)
        before = period_before(bounds, now=now, kept=self._kept)
        if before is None or before.start is None or before.end is None or bounds.start is None:
            return None
        with self._database.read() as connection:
            spans = cover(before.start, end=before.end)
            usage = self._sums.of(connection, endpoint_id, spans, now=now)
        seconds = (int(now) if bounds.end is None else bounds.end) - bounds.start
        return Before(before.start, before.end, seconds, usage)

    def trends(
        self, ids: Sequence[int], *, window: Window, now: float
    ) -> Mapping[int, Sequence[int]]:
        """Calls per step of the window, oldest first, of several endpoints.

        Returns:
            For each id as many numbers as the window has steps, 60 at most; the last step of a
            window that ends now is still filling.

        Raises:
            StorageError: The database cannot be read.
        """
        with self._database.read() as connection:
            return read_trends(connection, ids, Times(window, now, self._kept))

    def series(self, endpoint_id: int, *, window: Window, now: float) -> Series:
        """What one endpoint did over time, without gaps.

        Raises:
            StorageError: The database cannot be read.
        """
        with self._database.read() as connection:
            return read_series(connection, endpoint_id, Times(window, now, self._kept))

    def hours_of_week(self, endpoint_id: int, *, since: float, now: float) -> WeekHours:
        """When one endpoint is called, from all the hours that are kept.

        Args:
            endpoint_id: The endpoint.
            since: Epoch seconds at which it was first seen; hours before it do not count.
            now: Epoch seconds.

        Raises:
            StorageError: The database cannot be read.
        """
        with self._database.read() as connection:
            times = Times(Window(self._kept(Tier.HOUR)), now, self._kept)
            return read_hours_of_week(connection, endpoint_id, times, since=since)

    def status_codes(
        self, endpoint_id: int, *, window: Window, now: float
    ) -> list[tuple[int, int]]:
        """Status codes of one endpoint and how many calls had them, most frequent first.

        They are kept by day, so a window consists of whole days for them: `code_days`.

        Raises:
            StorageError: The database cannot be read.
        """
        since, until = self.code_days(window, now=now)
        today = int(now) // Tier.DAY
        # Named, because rows lie by day. Another host's clock may be ahead of ours.
        named: sa.ColumnElement[bool] = STATUS.c.day.in_(range(since, min(until, today) + 1))
        if until >= today:
            named |= STATUS.c.day > today
        condition = (STATUS.c.day >= since) & named & (STATUS.c.endpoint_id == endpoint_id)
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

    def code_days(self, window: Window, *, now: float) -> tuple[int, int]:
        """The first and the last day of a window's status codes, counted from the epoch."""
        return code_days(window, now=now, kept=self._kept)

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
        names = ("seq", "log_seq", "dropped", "ended_at")
        with self._database.read() as connection:
            parts = connection.execute(
                sa.select(
                    sa.func.count(),
                    *(sa.func.sum(WORKER.c[name]) for name in names),
                    # The first time that a worker writes, its endpoints are there as well.
                    sa.func.count(sa.func.nullif(WORKER.c.complete_to, 0)),
                    sa.select(sa.func.count()).select_from(ENDPOINT).scalar_subquery(),
                    rewriting_sign(),
                )
            ).one()
            return "-".join(map(str, parts))

    def _seen(self, row: Row, *, with_ignored: bool = False) -> bool:
        return self._is_seen(row[_METHOD], row[_PATH], with_ignored=with_ignored)

    def _is_seen(self, method: str, path: str, *, with_ignored: bool = False) -> bool:
        return self._shown(method, path) and (with_ignored or not self._ignored(method, path))

    def _kept(self, tier: Tier) -> int | None:
        return self._retention.kept_seconds(tier)

    def _state(self) -> Hashable:
        """What every answer depends on besides the question and the time."""
        began, written = self._clock(), self.written()
        version = self.version()
        self._latest = (began, written, version)
        return self._state_of(version)

    def _state_of(self, version: str) -> Hashable:
        return (self._app(), self._thresholds(), self._retention.ttl_days, version)

    def _read(self, bounds: Bounds, thresholds: Thresholds, now: float) -> list[Endpoint]:
        """All endpoints with what they did in a window."""
        app = self._app()
        with self._database.read() as connection:
            oldest = oldest_start(connection, app=app, now=now)
            facts = sa.select(*_FACTS).where(
                ENDPOINT.c.app == app,
                (ENDPOINT.c.total_calls > 0) | (ENDPOINT.c.last_seen_at >= oldest),
            )
            rows = fetched(connection, facts)
            start = bounds.start
            if start is None:
                start = _first_week(row[_FIRST] for row in rows if row[_TOTAL])
            usages = self._sums.all(
                connection,
                cover(start, end=bounds.end),
                now=now,
                totals={row[_ID]: row[_TOTAL] for row in rows},
            )
        made: list[tuple[Row, Endpoint]] = []
        before = self._made
        for row in unhurried(rows):
            usage = usages.get(row[_ID], _UNUSED)
            known = before.get(row[_ID])
            # Of thousands few were called since.
            if known is None or known[0] != row or known[1].usage is not usage:
                known = (row, _endpoint(row, usage, thresholds, now=now))
            made.append(known)
        self._made = {endpoint.id: (row, endpoint) for row, endpoint in made}
        return [endpoint for _, endpoint in made]


def _first_week(first_called_us: Iterable[int]) -> int:
    """Where the first week with calls begins: there are no older rows."""
    return min(first_called_us, default=0) // 1_000_000 // Tier.WEEK * Tier.WEEK


def _endpoint(row: Row, usage: Usage, thresholds: Thresholds, *, now: float) -> Endpoint:
    identity, method, path, kind, name, source, summary, tags, deprecated, *times = row
    first_seen, first, last, total_calls = times
    last_called_at = _seconds(last)
    return Endpoint(
        id=identity,
        method=method,
        path=path,
        kind=kind,
        name=name,
        source=source,
        summary=summary,
        tags=_tags(tags),
        deprecated=bool(deprecated),
        first_seen_at=first_seen / 1_000_000,
        first_called_at=_seconds(first),
        last_called_at=last_called_at,
        total_calls=total_calls,
        status=classify(last_called_at, now=now, thresholds=thresholds),
        usage=usage,
    )


def _as_of(endpoint: Endpoint, thresholds: Thresholds, *, now: float) -> Endpoint:
    """An endpoint with the status that it has at a moment."""
    status = classify(endpoint.last_called_at, now=now, thresholds=thresholds)
    return endpoint if status is endpoint.status else replace(endpoint, status=status)


@lru_cache(maxsize=1_024)
def _tags(text: str) -> tuple[str, ...]:
    """Of many endpoints few have tags that no other has."""
    return tuple(json.loads(text))


def _seconds(microseconds: int) -> float | None:
    return microseconds / 1_000_000 if microseconds else None
