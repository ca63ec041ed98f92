"""Reader: windows, sums, series and health, read from the roll-up rows. Knows no HTML."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import replace

import sqlalchemy as sa

from fastapi_lens.histogram.histogram import Histogram
from fastapi_lens.reporting.cache import TTLCache
from fastapi_lens.reporting.callers.caller_reader import CallerReader
from fastapi_lens.reporting.changes_reader import ChangesReader
from fastapi_lens.reporting.evidence.evidence import AppEvidence, Judged
from fastapi_lens.reporting.evidence.evidence_reader import (
    Scope,
    read_evidence,
    read_judged,
    with_weeks,
)
from fastapi_lens.reporting.evidence.evidence_rows import KnownCalls
from fastapi_lens.reporting.evidence.observation import Release, release_names
from fastapi_lens.reporting.log.exception_reader import ExceptionKind, ExceptionReader
from fastapi_lens.reporting.log.request_log import LogReader
from fastapi_lens.reporting.log.shown_endpoints import ShownEndpoints
from fastapi_lens.reporting.model import (
    AppBefore,
    Before,
    Bounds,
    Detail,
    Endpoint,
    Health,
    Usage,
    Window,
    Worker,
    id_from_key,
)
from fastapi_lens.reporting.series.app_series import AppSeries, read_app_series
from fastapi_lens.reporting.series.time_series import (
    Times,
    first_call,
    hours_of_week,
    hours_until_now,
    read_trends,
    series_of,
    steps_of,
)
from fastapi_lens.reporting.totals.aggregate import (
    read_histograms,
    read_rows,
    summed,
    usage_of,
    usage_of_sums,
)
from fastapi_lens.reporting.totals.bucket_rows import Row, fetched
from fastapi_lens.reporting.totals.endpoint_rows import (
    FIRST_CALLED,
    FIRST_SEEN,
    METHOD,
    PATH,
    endpoint_of,
    read_one,
    read_used,
    with_open,
)
from fastapi_lens.reporting.totals.totals import EarlierWeeks, read_totals
from fastapi_lens.reporting.windows import Span, bounds_of, code_days, cover, period_before
from fastapi_lens.reporting.workers import NEW_SECONDS, State, read_state, read_workers
from fastapi_lens.settings.settings import Settings
from fastapi_lens.settings.status import SECONDS_PER_DAY
from fastapi_lens.storage.engine.clock_skew import EARLIEST
from fastapi_lens.storage.engine.database import Database
from fastapi_lens.storage.engine.yield_gil import yield_gil
from fastapi_lens.storage.retention.pruner import Retention
from fastapi_lens.storage.schema.data_version import data_version
from fastapi_lens.storage.schema.models import Tier
from fastapi_lens.storage.schema.tables import ENDPOINT
from fastapi_lens.verdict.level import IN_USE_DAYS

NAMED = 50
"""Most endpoints whose rows are selected by id; for more, the rows of all are read."""

EVIDENCE_SECONDS = 60.0
"""Longest age of verdicts on pages that are read every few seconds: they change once a day at most,
and with a call.
"""

KNOWN_SECONDS = 600.0
"""Time after which the days of all silent endpoints, and all earlier weeks, are read anew, so that
those of endpoints that were removed meanwhile, and rows that nothing but a person has changed, do
not stay.
"""

SIZE_SECONDS = 60.0
"""Interval of reading the database's size, for which a server has to add up its files."""


class Reader:
    """Answers queries about one app.

    Args:
        database: The database with the rows.
        app: Returns the app's name; only its endpoints are read.
        settings: Returns the active settings.
        retention: Retention of each tier; may change while the reader exists.

    Attributes:
        callers: Answers queries about callers.
        changes: Answers queries about what has changed.
        exception_log: Answers queries about kinds of exceptions; see also `exceptions`.
        log: Answers queries about single requests.
        results: Cache of recent results, see `version`.
    """

    def __init__(
        self,
        database: Database,
        *,
        app: Callable[[], str],
        settings: Callable[[], Settings],
        retention: Retention,
    ) -> None:
        """Read nothing yet."""
        self._database = database
        self._app = app
        self._settings = settings
        self._retention = retention
        shown = ShownEndpoints(app, self._is_recorded)
        self.log = LogReader(database, shown)
        self.exception_log = ExceptionReader(database, shown)
        self.callers = CallerReader(database, app=app, settings=settings)
        self.changes = ChangesReader(database, app=app, settings=settings, retention=retention)
        self.results = TTLCache()
        self._recent = TTLCache(max_age_seconds=EVIDENCE_SECONDS)
        self._known = TTLCache(max_age_seconds=KNOWN_SECONDS, max_values=1)
        self._earlier_weeks = TTLCache(max_age_seconds=KNOWN_SECONDS, max_values=1)
        self._sizes = TTLCache(max_age_seconds=SIZE_SECONDS, max_values=1)

    def version(self) -> Hashable:
        """The state that every answer about calls depends on, besides the question and the time.

        Raises:
            StorageError: The database cannot be read.
        """
        with self._database.read() as connection:
            version = connection.execute(sa.select(data_version())).scalar_one()
        return self.depends_on(version)

    def depends_on(self, version: str) -> Hashable:
        """The same for a version that `state` returned."""
        return (self._app(), self._settings().thresholds, self._retention.ttl_days, str(version))

    def state(self, now: float) -> State:
        """The live workers of the app and the version of the data, in one query.

        Raises:
            StorageError: The database cannot be read.
        """
        with self._database.read() as connection:
            return read_state(connection, app=self._app(), now=now)

    def endpoints(
        self,
        *,
        window: Window,
        now: float,
        with_ignored: bool = False,
        with_histograms: bool = True,
        state: State | None = None,
    ) -> list[Endpoint]:
        """All endpoints with their usage in a window, ordered by path and method.

        Open calls are those in the last report of each worker. An endpoint that was never called
        and that no running worker's app contains any more is left out, because it was removed.

        Args:
            window: The calls to count.
            now: Epoch seconds.
            with_ignored: Include endpoints that a rule ignores.
            with_histograms: Read the histograms, which percentiles need.
            state: A recent result of `state`, to save its query.

        Raises:
            StorageError: The database cannot be read.
        """
        with self._database.read() as connection:
            state = state or read_state(connection, app=self._app(), now=now)
            sums = summed(self._spans(window, now, since=None), now=now)
            used = read_used(connection, sums, *self._known_endpoints(state))
        thresholds = self._settings().thresholds
        found = [
            with_open(endpoint_of(row, usage, thresholds, now=now), state.opened)
            for row, usage in yield_gil(used)
            if self._is_recorded(row[METHOD], row[PATH], with_ignored=with_ignored)
        ]
        return self.with_histograms(found, window=window, now=now) if with_histograms else found

    def totals(self, *, now: float) -> list[Endpoint]:
        """The endpoints with all calls since recording began, also those past their retention.

        No number decreases until the history of an endpoint is deleted.

        Args:
            now: Epoch seconds.

        Raises:
            StorageError: The database cannot be read.
        """
        thresholds = self._settings().thresholds
        known = self._earlier_weeks.get(self._app(), dict[int, EarlierWeeks])
        with self._database.read() as connection:
            state = read_state(connection, app=self._app(), now=now)
            conditions = self._known_endpoints(state)
            return [
                endpoint_of(row, usage, thresholds, now=now)
                for row, usage in read_totals(connection, known, *conditions, now=now)
                if self._is_recorded(row[METHOD], row[PATH])
            ]

    def with_histograms(
        self, endpoints: Sequence[Endpoint], *, window: Window, now: float
    ) -> list[Endpoint]:
        """Endpoints that were read without histograms, with the histograms added.

        Raises:
            StorageError: The database cannot be read.
        """
        called = [one for one in endpoints if one.usage.calls]
        ids = _few([one.id for one in called])
        # No row is older than the first call.
        since = min((one.first_called_at or 0.0 for one in called), default=None)
        with self._database.read() as connection:
            spans = self._spans(window, now, since=since)
            found = read_histograms(connection, spans, ids=ids, now=now) if called else {}
        return [
            replace(one, usage=replace(one.usage, histogram=found.get(one.id, Histogram())))
            for one in yield_gil(endpoints)
        ]

    def endpoint(
        self,
        key: str,
        *,
        window: Window,
        now: float,
        with_ignored: bool = False,
        state: State | None = None,
    ) -> Endpoint | None:
        """One endpoint by its key; None if it does not exist. See `detail`.

        Raises:
            StorageError: The database cannot be read.
        """
        found = self.detail(key, window=window, now=now, with_ignored=with_ignored, state=state)
        return None if found is None else found.endpoint

    def detail(
        self,
        key: str,
        *,
        window: Window,
        now: float,
        with_ignored: bool = False,
        state: State | None = None,
    ) -> Detail | None:
        """One endpoint by its key, with everything that its page shows; None if it does not exist.

        Status codes are kept by day, so a window consists of whole days for them: `code_days`.

        Args:
            key: The key of the endpoint.
            window: The calls to count.
            now: Epoch seconds.
            with_ignored: Also find an endpoint that a rule ignores.
            state: A recent result of `state`, to save its query.

        Raises:
            StorageError: The database cannot be read.
        """
        app, times = self._app(), Times(window, now, self._kept)
        with self._database.read() as connection:
            found = read_one(
                connection, id_from_key(key), app, self.code_days(window, now=now), now
            )
            if found is None or not self._is_shown(found[0], with_ignored=with_ignored):
                return None
            state = state or read_state(connection, app=app, now=now)
            row, codes = found
            first_called_at = row[FIRST_CALLED] / 1_000_000 if row[FIRST_CALLED] else None
            steps = steps_of(times, first_called_at)
            hours = self._hours(row[FIRST_SEEN] / 1_000_000, now)
            before = self._period_before(window, now)
            in_window, by_step, by_hour, earlier = read_rows(
                connection,
                id_from_key(key),
                self._spans(window, now, since=first_called_at),
                steps.spans(),
                [hours],
                [] if before is None else cover(before.start, end=before.end),
                now=now,
            )
        usage = usage_of([one for _, one in in_window])
        endpoint = endpoint_of(row, usage, self._settings().thresholds, now=now)
        return Detail(
            endpoint=with_open(endpoint, state.opened),
            codes=codes,
            series=series_of(by_step, steps, times),
            before=before and replace(before, usage=usage_of([one for _, one in earlier])),
            week=hours_of_week(by_hour, hours),
        )

    def evidence(self, now: float) -> AppEvidence:
        """All endpoints of the app with their verdicts; the same until a call or a day comes.

        Raises:
            StorageError: The database cannot be read.
        """
        scope = self._scope()
        known = self._known.get(scope.app, dict[int, KnownCalls])

        def read() -> AppEvidence:
            with self._database.read() as connection:
                return read_evidence(connection, scope, known, now=now)

        # With the day, because silence grows although no data changes.
        depends = (scope.settings, int(now) // SECONDS_PER_DAY)
        return self.results.get(("evidence", self.version(), *depends), read)

    def recent_evidence(self, now: float, endpoints: Iterable[Endpoint]) -> AppEvidence:
        """`evidence`, at most `EVIDENCE_SECONDS` old, and renewed once a silent one is called.

        Args:
            now: Epoch seconds.
            endpoints: All endpoints of the app with their present times.

        Raises:
            StorageError: The database cannot be read.
        """
        before = now - IN_USE_DAYS * SECONDS_PER_DAY
        silent = frozenset(one.id for one in endpoints if (one.last_called_at or 0) < before)
        key = (*self._recent_key("", now), silent)
        return self._recent.get(key, lambda: self.evidence(now))

    def with_weeks(self, judged: Sequence[Judged], *, now: float) -> list[Judged]:
        """Judged endpoints of a page with their weeks added.

        Raises:
            StorageError: The database cannot be read.
        """
        with self._database.read() as connection:
            return with_weeks(connection, judged, self._scope(), now=now)

    def judged(self, key: str, *, now: float) -> Judged | None:
        """One endpoint with its verdict and its weeks; None if it does not exist.

        Pseudo endpoints and those that are not recorded have no verdict: None as well.

        Raises:
            StorageError: The database cannot be read.
        """
        with self._database.read() as connection:
            return read_judged(connection, self._scope(), id_from_key(key), now=now)

    def recent_judged(self, endpoint: Endpoint, *, now: float) -> Judged | None:
        """`judged`, at most `EVIDENCE_SECONDS` old, and not older than the day of its last call.

        Raises:
            StorageError: The database cannot be read.
        """
        last_day = int(endpoint.last_called_at or 0) // SECONDS_PER_DAY
        key = (*self._recent_key(endpoint.key, now), last_day)
        return self._recent.get(key, lambda: self.judged(endpoint.key, now=now))

    def _recent_key(self, key: str, now: float) -> tuple[Hashable, ...]:
        """All that recent verdicts depend on besides calls; `key` is empty for all endpoints."""
        scope = self._scope()
        day = int(now) // SECONDS_PER_DAY
        return (key, scope.app, scope.settings, day)

    def bounds(self, window: Window, *, now: float) -> Bounds:
        """Start and end of a window, to the precision of the rows that are kept."""
        return bounds_of(window, now=now, kept=self._kept)

    def trends(
        self, ids: Sequence[int], *, window: Window, now: float, counter: str = "calls"
    ) -> Mapping[int, Sequence[int]]:
        """Calls of several endpoints per step of the window, oldest first.

        Args:
            ids: The endpoints.
            window: The window.
            now: Epoch seconds.
            counter: The calls that count: ``calls`` for all, ``errors_5xx`` for server errors.

        Returns:
            For each id one number per step of the window, 60 at most; the last step of a window
            that ends now is not over.

        Raises:
            StorageError: The database cannot be read.
        """
        with self._database.read() as connection:
            return read_trends(connection, ids, Times(window, now, self._kept), counter=counter)

    def before(
        self,
        *,
        window: Window,
        now: float,
        ids: Sequence[int] | None = None,
        timed: Sequence[int] = (),
    ) -> AppBefore | None:
        """The calls of endpoints in the period before a window; None if it is not known.

        Args:
            window: The window.
            now: Epoch seconds.
            ids: The endpoints whose calls are read; None for all.
            timed: Endpoints whose histograms are read, too.

        Raises:
            StorageError: The database cannot be read.
        """
        found = self._period_before(window, now)
        if found is None:
            return None
        spans = cover(found.start, end=found.end)
        with self._database.read() as connection:
            usages = {
                identity: usage_of_sums(sums)
                for identity, *sums in fetched(
                    connection, sa.select(summed(spans, now=now, ids=_few(ids)))
                )
            }
        before = AppBefore(found.start, found.end, found.seconds, usages)
        return self.timed_before(before, timed, now=now)

    def timed_before(self, before: AppBefore, ids: Iterable[int], *, now: float) -> AppBefore:
        """The calls of the period before, with the histograms of some endpoints added.

        Args:
            before: As `before` returned it.
            ids: Endpoints; those without calls in that period are left out.
            now: Epoch seconds.

        Raises:
            StorageError: The database cannot be read.
        """
        called = [one for one in ids if one in before.usages]
        if not called:
            return before
        spans = cover(before.start, end=before.end)
        with self._database.read() as connection:
            found = read_histograms(connection, spans, ids=_few(called), now=now)
        timed = {
            one: replace(before.usages[one], histogram=found.get(one, Histogram()))
            for one in yield_gil(called)
        }
        return replace(before, usages={**before.usages, **timed})

    def releases(self) -> tuple[Release, ...]:
        """The releases of the app, in the order of their first recording.

        Raises:
            StorageError: The database cannot be read.
        """
        with self._database.read() as connection:
            return release_names(connection, self._app())

    def app_series(
        self, ids: Sequence[int], timed: Sequence[int], *, window: Window, now: float
    ) -> AppSeries:
        """The calls of many endpoints together over time, and those of the period before.

        Args:
            ids: The endpoints whose calls are counted.
            timed: Those among them whose durations count.
            window: The period.
            now: Epoch seconds.

        Raises:
            StorageError: The database cannot be read.
        """
        times, before = Times(window, now, self._kept), self._period_before(window, now)
        with self._database.read() as connection:
            first = first_call(connection, ids, times) if ids else None
            earlier = None if before is None else Window.between(before.start, before.end)
            found = read_app_series(
                connection, ids, timed, times, first_called_at=first, before=earlier
            )
        # That of the window in whole rows: 91 days, where only days are kept of 90.
        return found if before is None else replace(found, before_seconds=before.seconds)

    def exceptions(
        self, *, window: Window, now: float, endpoint: str = "", text: str = ""
    ) -> list[ExceptionKind]:
        """Kinds of exceptions with one in a window, see `ExceptionReader.kinds`.

        Raises:
            StorageError: The database cannot be read.
        """
        during = Times(window, now, self._kept)
        return self.exception_log.kinds(during=during, endpoint=endpoint, text=text)

    def exception(self, key: str, *, window: Window, now: float) -> ExceptionKind | None:
        """One kind of exceptions, with its number in a window; None if it does not exist.

        Raises:
            StorageError: The database cannot be read.
        """
        return self.exception_log.kind(key, during=Times(window, now, self._kept))

    def exception_trends(
        self, ids: Sequence[int], *, window: Window, now: float
    ) -> Mapping[int, Sequence[int]]:
        """Exceptions of some kinds per step of a window, as far back as kinds are kept.

        Raises:
            StorageError: The database cannot be read.
        """
        return self.exception_log.trends(ids, Times(window, now, self._kept))

    def new_exceptions(self, state: State, now: float) -> int:
        """The number of kinds of exceptions whose first was in the last `NEW_SECONDS`.

        Without a query while there are none, and with one query for each change otherwise.

        Args:
            state: A recent state.
            now: Epoch seconds.

        Raises:
            StorageError: The database cannot be read.
        """
        if not state.new_exceptions:
            return 0
        key = ("new exceptions", self._app(), self._settings(), state.log_version)
        return self.results.get(key, lambda: self.exception_log.new(since=now - NEW_SECONDS))

    def code_days(self, window: Window, *, now: float) -> tuple[int, int]:
        """The first and the last day of a window's status codes, counted from the epoch."""
        return code_days(window, now=now, kept=self._kept)

    def health(self, now: float, state: State | None = None) -> Health:
        """The health of the recording; the database size is up to a minute old.

        Raises:
            StorageError: The database cannot be read.
        """
        state = state or self.state(now)
        return state.health(database_bytes=self._sizes.get("size", self._size))

    def workers(self, now: float) -> list[Worker]:
        """The running and former workers of this app, see `read_workers`.

        Raises:
            StorageError: The database cannot be read.
        """
        with self._database.read() as connection:
            return read_workers(connection, app=self._app(), now=now)

    def _scope(self) -> Scope:
        return Scope(
            app=self._app(),
            settings=self._settings(),
            retention=self._retention,
        )

    def _known_endpoints(self, state: State) -> tuple[sa.ColumnElement[bool], ...]:
        """Conditions for the app's endpoints that were called or are in the routes."""
        was_called = ENDPOINT.c.last_called_at > 0
        return (
            ENDPOINT.c.app == self._app(),
            was_called | (ENDPOINT.c.last_seen_at >= state.oldest_start),
        )

    def _spans(self, window: Window, now: float, *, since: float | None) -> list[Span]:
        """The rows of a window; for everything, those since a time, or all with None."""
        bounds, first = self.bounds(window, now=now), int(max(EARLIEST, since or 0.0))
        # All time begins with a week: only weeks are kept for ever.
        start = first // Tier.WEEK * Tier.WEEK if bounds.start is None else bounds.start
        return cover(start, end=bounds.end)

    def _hours(self, since: float, now: float) -> Span:
        return hours_until_now(Times(Window(self._kept(Tier.HOUR)), now, self._kept), since=since)

    def _period_before(self, window: Window, now: float) -> Before | None:
        """The period before a window, without its calls yet; see `period_before`."""
        bounds = self.bounds(window, now=now)
        before = period_before(bounds, now=now, kept=self._kept)
        if before is None or before.start is None or before.end is None or bounds.start is None:
            return None
        seconds = (int(now) if bounds.end is None else bounds.end) - bounds.start
        return Before(before.start, before.end, seconds, Usage())

    def _size(self) -> int | None:
        with self._database.read() as connection:
            return self._database.size_bytes(connection)

    def _is_shown(self, row: Row, *, with_ignored: bool) -> bool:
        return self._is_recorded(row[METHOD], row[PATH], with_ignored=with_ignored)

    def _is_recorded(self, method: str, path: str, *, with_ignored: bool = False) -> bool:
        settings = self._settings()
        return settings.is_included(method, path) and (
            with_ignored or not settings.rules.ignores(method, path)
        )

    def _kept(self, tier: Tier) -> int | None:
        return self._retention.kept_seconds(tier)


def _few(ids: Sequence[int] | None) -> list[int] | None:
    """Ids that a query names; None for all, and for so many that reading all is faster."""
    return sorted(ids) if ids is not None and len(ids) <= NAMED else None
