"""Reader: windows, sums, series and health, read from the roll-up rows. Knows no HTML."""

from collections.abc import Callable, Hashable, Mapping, Sequence

import sqlalchemy as sa

from fastapi_lens.reporting.bucket_rows import Row
from fastapi_lens.reporting.facts import (
    METHOD,
    PATH,
    as_of,
    endpoint_of,
    first_week,
    read_facts,
    with_open,
)
from fastapi_lens.reporting.listed import Listed
from fastapi_lens.reporting.model import (
    Before,
    Bounds,
    Endpoint,
    Health,
    Series,
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
from fastapi_lens.reporting.shared import Shared
from fastapi_lens.reporting.status import Thresholds
from fastapi_lens.reporting.sums import usage_in
from fastapi_lens.reporting.unhurried import QUICK, unhurried
from fastapi_lens.reporting.windows import bounds_of, code_days, cover, period_before
from fastapi_lens.reporting.workers import read_health, read_open, read_workers
from fastapi_lens.storage.data_version import data_version
from fastapi_lens.storage.database import Database
from fastapi_lens.storage.models import Tier
from fastapi_lens.storage.retention import Retention
from fastapi_lens.storage.sound import whole
from fastapi_lens.storage.tables import ENDPOINT, STATUS, WORKER

GONE_SECONDS = 300
"""A worker that was last heard of so long before this process's own writes no more: it was killed
where nobody could tell, as containers are. It is much more than clocks of hosts differ by."""


_SIGNED = 1_000_003
"""Modulus of times, so that their sums fit into 63 bits and still change with the times."""


def _versions() -> sa.Executable:
    """A query of values that change with any number of an app, and of the number of other writers.

    It reads only workers that were seen recently, however many there have been.
    """
    me, app = sa.bindparam("mine", type_=sa.String), sa.bindparam("app", type_=sa.String)
    own, other = WORKER.alias(), WORKER.alias()
    heard_of = sa.select(own.c.seen_at).where(own.c.id == me).scalar_subquery()
    latest = sa.select(sa.func.max(other.c.seen_at)).where(
        other.c.app == app, other.c.ended_at == 0
    )
    since = sa.func.coalesce(heard_of, latest.scalar_subquery(), 0) - GONE_SECONDS * 1_000_000
    mine = sa.select(WORKER).where(WORKER.c.app == app)
    lately = sa.union_all(
        mine.where(WORKER.c.ended_at == 0, WORKER.c.seen_at >= since),
        mine.where(WORKER.c.ended_at > 0, WORKER.c.ended_at >= since),
    ).subquery()
    is_other = (lately.c.id != me) & (lately.c.ended_at == 0)
    return sa.select(
        sa.func.count(),
        *(sa.func.sum(lately.c[name]) for name in ("seq", "log_seq", "dropped")),
        *(sa.func.sum(lately.c[name] % _SIGNED) for name in ("started_at", "ended_at")),
        # The first time that a worker writes, its endpoints are there as well.
        sa.func.count(sa.func.nullif(lately.c.complete_to, 0)),
        sa.select(sa.func.count()).select_from(ENDPOINT).scalar_subquery(),
        data_version(),
        sa.func.count(sa.case((is_other, 1))),
    )


_VERSION = _versions()
"""Made once: that takes three times as long as to ask."""


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
        shared: Answers that are given to all who ask the same.
        worker: Gives the id of this process's own worker; empty where it has none.
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
        self.worker: Callable[[], str] = lambda: ""
        self.log = LogReader(database, app=app, shown=self._is_seen)
        self.shared = Shared(self._version, self._depends)
        self._listed = Listed(
            database, app=app, thresholds=thresholds, kept=self._kept, shared=self.shared
        )

    def forget(self) -> None:
        """Make every answer anew from now on: rows have changed that no worker has written."""
        self.shared.forget()
        self._listed.forget()

    def look_ahead(self, now: float) -> None:
        """Prepare answers that are likely to be asked for again; nothing while nobody looks."""
        self._listed.look_ahead(now)

    def endpoints(
        self, *, window: Window, now: float, with_ignored: bool = False
    ) -> list[Endpoint]:
        """All endpoints with what they did in a window, ordered by path and method.

        Open calls are those that each worker last reported. An endpoint that was never called and
        that no running worker's app contains any more is left out: it has been removed. The
        contents of the rows are shared.

        Raises:
            StorageError: The database cannot be read.
        """
        found, thresholds = self._listed.get(window, now=now), self._thresholds()
        shown, ignored = self._shown, self._ignored
        with self._database.read() as connection:
            opened = read_open(connection, app=self._app(), now=now)
        return [
            with_open(as_of(one, thresholds, now=now), opened)
            for one in unhurried(found, every=QUICK)
            # `_is_seen`, written out for thousands of them.
            if shown(one.method, one.path) and (with_ignored or not ignored(one.method, one.path))
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
        mine = (ENDPOINT.c.id == identity, ENDPOINT.c.app == self._app())
        with self._database.read() as connection:
            row = next(iter(read_facts(connection, *mine)), None)
            if row is None or not self._seen(row, with_ignored=with_ignored):
                return None
            start = first_week([row]) if bounds.start is None else bounds.start
            spans = cover(start, end=bounds.end)
            usage = usage_in(connection, identity, spans, now=now)
            opened = read_open(connection, app=self._app(), now=now)
        return with_open(endpoint_of(row, usage, self._thresholds(), now=now), opened)

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
            usage = usage_in(connection, endpoint_id, spans, now=now)
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
        # The clock of another host may be ahead of ours, by less than a day.
        last = min(until, today) + (until >= today)
        # Listed individually, because rows are ordered by day.
        named = STATUS.c.day.in_(range(since, last + 1))
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
        return [(whole(status), whole(count)) for status, count in rows]

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

    def _version(self) -> tuple[str, bool]:
        """A text that changes whenever any number may have, and whether nobody else writes."""
        with self._database.read() as connection:
            *parts, others = connection.execute(
                _VERSION, {"mine": self.worker(), "app": self._app()}
            ).one()
        return "-".join(map(str, parts)), others == 0

    def _seen(self, row: Row, *, with_ignored: bool = False) -> bool:
        return self._is_seen(row[METHOD], row[PATH], with_ignored=with_ignored)

    def _is_seen(self, method: str, path: str, *, with_ignored: bool = False) -> bool:
        return self._shown(method, path) and (with_ignored or not self._ignored(method, path))

    def _kept(self, tier: Tier) -> int | None:
        return self._retention.kept_seconds(tier)

    def _depends(self) -> Hashable:
        """What every answer depends on besides the question, the rows and the time."""
        return (self._app(), self._thresholds(), self._retention.ttl_days)
