"""Reader: windows, sums, series and health, read from the roll-up rows. Knows no HTML."""

import json
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from fastapi_lens.reporting.answers import Answers
from fastapi_lens.reporting.model import Endpoint, Health, Point, Series, Usage, Window, Worker
from fastapi_lens.reporting.request_log import LogReader, id_of
from fastapi_lens.reporting.status import Thresholds, classify
from fastapi_lens.reporting.sums import Row, Sums, fetched, one_by_one, parted, rows_of, usage_of
from fastapi_lens.reporting.windows import Span, cover, finest, start_of
from fastapi_lens.reporting.workers import oldest_start, read_health, read_workers
from fastapi_lens.storage.database import Database
from fastapi_lens.storage.models import Tier
from fastapi_lens.storage.retention import Retention
from fastapi_lens.storage.tables import BUCKET, ENDPOINT, STATUS, WORKER

MAX_STEPS = 60
_STEPS_SECONDS = (
    *(60 * minutes for minutes in (1, 2, 5, 10, 15, 30)),
    # Half a day would be added up from hours, which are 720 rows of each endpoint in a month.
    *(3_600 * hours for hours in (1, 2, 3)),
    *(86_400 * days for days in (1, 2, 3)),
    *(604_800 * weeks for weeks in (1, 2, 4, 8, 16, 52)),
)
_NAMES = (
    *("id", "method", "path", "kind", "name", "source", "summary", "tags", "deprecated"),
    *("first_seen_at", "first_called_at", "last_called_at", "total_calls"),
)
_FACTS = tuple(ENDPOINT.c[name] for name in _NAMES)
_ID, _METHOD, _PATH, _FIRST = map(_NAMES.index, ("id", "method", "path", "first_called_at"))

Answer = TypeVar("Answer")


class Reader:
    """Answers questions about one app.

    Args:
        database: Where the rows are.
        app: The app's name; its endpoints are the only ones that are seen.
        thresholds: When an endpoint is cold, and dead; may change meanwhile.
        shown: Whether an endpoint (method, path) is to be seen at all.
        retention: How long each tier is kept; may change meanwhile.

    Attributes:
        log: Answers questions about single requests and exceptions.
    """

    def __init__(
        self,
        database: Database,
        *,
        app: Callable[[], str],
        thresholds: Callable[[], Thresholds],
        shown: Callable[[str, str], bool],
        retention: Retention,
    ) -> None:
        """Read nothing yet."""
        self._database = database
        self._app = app
        self._thresholds = thresholds
        self._shown = shown
        self._retention = retention
        self.log = LogReader(database, app=app, shown=shown)
        self._sums = Sums()
        self._answers = Answers()
        # They are large, and serve those who want another answer from the same rows at once.
        self._rows = Answers(max_answers=2)

    def shared(self, question: Hashable, make: Callable[[], Answer]) -> Answer:
        """An answer that all get who ask the same while nothing is written, for a second at most.

        Args:
            question: Everything that the answer depends on besides the rows, the app, the
                thresholds and the retention. Two kinds of answers need two questions.
            make: Makes it; those who ask meanwhile wait for it.

        Raises:
            StorageError: The database cannot be read.
        """
        return self._answers.get((question, self._state()), make)

    def endpoints(self, *, window: Window, now: float) -> list[Endpoint]:
        """All endpoints with what they did in a window, in no particular order.

        One that was never called and that no living worker's app has any more is left out: it
        is deleted already. What is in the rows is `shared`.

        Raises:
            StorageError: The database cannot be read.
        """
        start = start_of(window, now=now, kept=self._kept)
        question = (self._state(), start, int(now))
        rows, usages = self._rows.get(question, lambda: self._read(start, now))
        return [
            self._endpoint(row, usages.get(row[_ID], Usage()), now)
            for row in rows
            if self._shown(row[_METHOD], row[_PATH])
        ]

    def endpoint(self, key: str, *, window: Window, now: float) -> Endpoint | None:
        """One endpoint by its key; None when there is no such endpoint.

        Raises:
            StorageError: The database cannot be read.
        """
        identity = id_of(key)
        start = start_of(window, now=now, kept=self._kept)
        mine = sa.select(*_FACTS).where(ENDPOINT.c.id == identity, ENDPOINT.c.app == self._app())
        with self._database.read() as connection:
            row = next(iter(fetched(connection, mine)), None)
            if row is None or not self._shown(row[_METHOD], row[_PATH]):
                return None
            # No row is older than the week of the first call.
            oldest = row[_FIRST] // 1_000_000 // Tier.WEEK * Tier.WEEK
            spans = cover(oldest if start is None else start)
            usage = self._sums.of(connection, identity, spans, now=now)
        return self._endpoint(row, usage, now)

    def trends(
        self, ids: Sequence[int], *, window: Window, now: float
    ) -> Mapping[int, Sequence[int]]:
        """Calls per step of the window, oldest first, of several endpoints.

        Returns:
            For each id as many numbers as the window has steps, 60 at most; the last step is
            still filling.

        Raises:
            StorageError: The database cannot be read.
        """
        with self._database.read() as connection:
            begin, step, tier = self._steps(connection, ids, window, now)
            number = BUCKET.c.bucket * tier.value // step
            rows = [
                row
                for part in parted(Span(tier, begin // tier, None), now)
                for row in fetched(
                    connection,
                    sa.select(BUCKET.c.endpoint_id, number, sa.func.sum(BUCKET.c.calls))
                    .where(*one_by_one(part), BUCKET.c.endpoint_id.in_(sorted(ids)))
                    .group_by(BUCKET.c.endpoint_id, number),
                )
            ]
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
            rows = rows_of(connection, endpoint_id, Span(tier, begin // tier, None), now=now)
        by_step: dict[int, list[Row]] = {}
        for bucket, *row in rows:
            by_step.setdefault(bucket * tier // step, []).append(tuple(row))
        return Series(
            step,
            tuple(
                Point(float(number * step), usage_of(by_step.get(number, ())))
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
        begin, kept = window.begin(now), self._kept(Tier.DAY)
        oldest = 0 if kept is None else max(0, int(now) - kept)
        today = int(now) // Tier.DAY
        since = (oldest if begin is None else max(begin, oldest)) // Tier.DAY
        # Named, because rows lie by day. Another host's clock may be ahead of ours.
        named = STATUS.c.day.in_(range(since, today + 1)) | (STATUS.c.day > today)
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
                )
            ).one()
            return "-".join(map(str, parts))

    def _kept(self, tier: Tier) -> int | None:
        return self._retention.kept_seconds(tier)

    def _state(self) -> Hashable:
        """What every answer depends on besides the question and the time."""
        return (self._app(), self._thresholds(), self._retention.ttl_days, self.version())

    def _read(self, start: int | None, now: float) -> tuple[list[Row], dict[int, Usage]]:
        """The facts of all endpoints, and what they did since a time."""
        app = self._app()
        with self._database.read() as connection:
            oldest = oldest_start(connection, app=app, now=now)
            facts = sa.select(*_FACTS).where(
                ENDPOINT.c.app == app,
                (ENDPOINT.c.total_calls > 0) | (ENDPOINT.c.last_seen_at >= oldest),
            )
            rows = fetched(connection, facts)
            return rows, self._sums.all(connection, cover(start), now=now)

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

    def _endpoint(self, row: Row, usage: Usage, now: float) -> Endpoint:
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
            tags=tuple(json.loads(tags)),
            deprecated=bool(deprecated),
            first_seen_at=first_seen / 1_000_000,
            first_called_at=_seconds(first),
            last_called_at=last_called_at,
            total_calls=total_calls,
            status=classify(last_called_at, now=now, thresholds=self._thresholds()),
            usage=usage,
        )


def _seconds(microseconds: int) -> float | None:
    return microseconds / 1_000_000 if microseconds else None
