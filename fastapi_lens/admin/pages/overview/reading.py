"""Everything that the overview shows, read from the database. No HTML."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fastapi_lens.admin.context import Context
from fastapi_lens.admin.pages.overview import sections
from fastapi_lens.admin.pages.overview.figures import Numbers
from fastapi_lens.admin.urls.overview import OverviewQuery
from fastapi_lens.reporting.changes import EndpointChange
from fastapi_lens.reporting.evidence.evidence import AppEvidence, Judged
from fastapi_lens.reporting.log.exception_reader import ExceptionKind
from fastapi_lens.reporting.model import FEWEST_CALLS, AppBefore, Before, Endpoint, Usage
from fastapi_lens.reporting.series.app_series import AppSeries
from fastapi_lens.reporting.totals.usages import counted_usage, timed_usage
from fastapi_lens.reporting.workers import State
from fastapi_lens.settings.status import Status


@dataclass(frozen=True, slots=True)
class Found:
    """The rows of one view.

    Attributes:
        everything: All endpoints of the application.
        endpoints: Those that are shown.
        slowest: The slowest of them, see `sections.slowest`.
        before: All endpoints in the period before; None if it is not known.
        changes: None while they are not known.
        evidence: The recorded time, and the verdicts.
        exceptions: Kinds of exceptions with one in the period, the latest first.
        series: The calls of the shown endpoints over time.
    """

    everything: Sequence[Endpoint]
    endpoints: Sequence[Endpoint]
    slowest: Sequence[Endpoint]
    before: AppBefore | None
    changes: Sequence[EndpointChange] | None
    evidence: AppEvidence
    exceptions: Sequence[ExceptionKind]
    series: AppSeries

    @property
    def judged(self) -> Mapping[int, Judged]:
        """The verdicts, by id."""
        return self.evidence.by_id()

    @property
    def is_called(self) -> bool:
        """True if any endpoint of the application was ever called."""
        return any(one.last_called_at is not None for one in self.everything)

    @property
    def numbers(self) -> Numbers:
        """The sums of the shown endpoints."""
        usage = counted_usage(self.endpoints)
        return Numbers(
            usage=usage,
            timed=timed_usage(self.endpoints),
            before=self._comparable(usage),
            exceptions=(
                sum(one.in_period for one in self.exceptions),
                len(self.exceptions),
                sum(one.is_new for one in self.exceptions),
            ),
            counts=[(each, sum(one.status is each for one in self.endpoints)) for each in Status],
            timed_before=self.series.durations_before,
        )

    def _comparable(self, usage: Usage) -> Before | None:
        """The period before, if it was recorded from its begin on and both have enough calls."""
        # An application that is new has no period before.
        seen = min((one.first_seen_at for one in self.endpoints), default=None)
        if self.before is None or seen is None or seen > self.before.start:
            return None
        found = self.before.of(self.endpoints)
        return found if min(found.usage.calls, usage.calls) >= FEWEST_CALLS else None


def read(context: Context, query: OverviewQuery, state: State, *, with_changes: bool) -> Found:
    """Read what the page shows.

    Args:
        context: The request.
        query: The state of the page.
        state: A recent state of the data.
        with_changes: True to look for changes, which may take some seconds, if nobody has lately.

    Raises:
        StorageError: The database cannot be read.
    """
    reader, now, window = context.lens.reader, context.now, query.window.window
    everything = reader.endpoints(window=window, now=now, state=state)
    endpoints = [one for one in everything if query.holds(one)]
    slowest = sections.slowest(endpoints)
    keys = {one.key for one in endpoints}
    return Found(
        everything=everything,
        endpoints=endpoints,
        slowest=slowest,
        before=reader.before(window=window, now=now, timed=[one.id for one in slowest]),
        changes=(
            reader.changes.found(endpoints, window=window, now=now)
            if with_changes
            else reader.changes.known(endpoints, window=window)
        ),
        evidence=reader.recent_evidence(now, everything),
        exceptions=[
            one
            for one in reader.exceptions(window=window, now=now)
            if one.endpoint_key in keys or not query.is_filtered
        ],
        series=reader.app_series(
            [one.id for one in endpoints],
            [one.id for one in endpoints if one.is_timed],
            window=window,
            now=now,
        ),
    )
