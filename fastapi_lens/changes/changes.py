"""All changes of one endpoint in a period. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import exp, inf
from statistics import fmean

from fastapi_lens.changes.change import Change, Kind, Measured
from fastapi_lens.changes.incidents import Incident, incidents_of
from fastapi_lens.changes.measures import (
    CALLS,
    FAILED,
    FEWEST_CALLS,
    LEAST_FAILURES,
    LEAST_POINTS,
    LEAST_RATIO,
    P95,
    TYPICAL,
    share_of,
)
from fastapi_lens.changes.rows import DAY, Days, Row
from fastapi_lens.changes.steps import Step, step_of
from fastapi_lens.changes.usual import BASELINE_DAYS

_WEEK = 7


@dataclass(frozen=True, slots=True)
class Release:
    """A release of the application.

    Attributes:
        name: As pages show it.
        begin: Unix time in seconds at which it was seen first.
    """

    name: str
    begin: int


@dataclass(frozen=True, slots=True)
class Period:
    """The period in which changes are looked for.

    Attributes:
        begin: Unix time in seconds.
        end: The same; the period ends before it.
        releases: Of the application, in any order.
        cold_days: Days without a call after which an endpoint is cold.
        dead_days: The same, dead.
    """

    begin: int
    end: int
    releases: tuple[Release, ...] = ()
    cold_days: float = 7
    dead_days: float = 30


@dataclass(frozen=True, slots=True)
class Facts:
    """Further facts of the endpoint.

    Attributes:
        last_call: Unix time in seconds; None if it was never called.
        is_deprecated: True if the code says so.
    """

    last_call: int | None = None
    is_deprecated: bool = False


NO_FACTS = Facts()


def changes_of(days: Days, period: Period, facts: Facts = NO_FACTS) -> tuple[Change, ...]:
    """All changes of an endpoint in a period, in the order of `Kind`; often none.

    Args:
        days: Its rows.
        period: In which to look.
        facts: Of the endpoint.
    """
    found = [
        *_durations(days, period),
        *_failures(days, period),
        *_traffic(days, period),
        *_silence(days, period, facts),
        *_deprecated(days, period, facts),
    ]
    order = list(Kind)
    return tuple(sorted(found, key=lambda change: (order.index(change.kind), change.since)))


def _durations(days: Days, period: Period) -> Iterator[Change]:
    """Slower or faster, never both: of the typical duration and p95, the clearer of the two."""
    measures = ((TYPICAL, Measured.TYPICAL_MS), (P95, Measured.P95_MS))
    for kind, up in ((Kind.SLOWER, True), (Kind.FASTER, False)):
        found = [
            (step, measured)
            for measure, measured in measures
            if (step := step_of(days.all(), period.begin, measure, up=up)) is not None
        ]
        if found:
            step, measured = max(found, key=lambda each: abs(each[0].after - each[0].before))
            yield _change(kind, measured, step, (exp(step.before), exp(step.after)), days, period)
            return


def _failures(days: Days, period: Period) -> Iterator[Change]:
    """Failing more, recovered, and incidents; days are judged without the hours of incidents."""
    rows = days.all()
    incidents = incidents_of(
        [hour for hour in days.hours if hour.begin >= period.begin], _usual_share(rows, period)
    )
    hours = [hour for incident in incidents for hour in incident.hours]
    quiet = [row.without(hours) for row in rows]
    yield from (_of_incident(each, days, period) for each in incidents)
    # It says already that more calls fail.
    if incidents and not incidents[-1].is_over:
        return
    for kind, up in ((Kind.FAILING_MORE, True), (Kind.RECOVERED, False)):
        step = step_of(quiet, period.begin, FAILED, up=up)
        if step is not None and _counts(step, quiet):
            shares = (
                share_of(step.before),
                _share([row for row in quiet if row.begin >= step.since]),
            )
            yield _change(kind, Measured.FAILED_SHARE, step, shares, days, period)


def _counts(step: Step, rows: Sequence[Row]) -> bool:
    """True if a difference of failed calls is large enough in shares, points and calls."""
    before = share_of(step.before)
    after = [row for row in rows if row.begin >= step.since]
    share = _share(after)
    low, high = min(before, share), max(before, share)
    return (
        high >= LEAST_RATIO * low
        and high - low >= LEAST_POINTS
        and (high - low) * sum(row.calls for row in after) >= LEAST_FAILURES
    )


def _of_incident(incident: Incident, days: Days, period: Period) -> Change:
    before = [row for row in days.days if row.end <= incident.begin][-BASELINE_DAYS:]
    return Change(
        kind=Kind.RECOVERED if incident.is_over else Kind.FAILING_MORE,
        measured=Measured.FAILED_SHARE,
        since=incident.begin,
        before=_share(before),
        after=incident.share,
        calls_before=sum(row.calls for row in before),
        calls_after=incident.calls,
        until=incident.end if incident.is_over else None,
        release=_release(incident.begin, period),
    )


def _usual_share(rows: Sequence[Row], period: Period) -> float:
    """The share of failed calls before the period, or of its last week where that was higher."""
    before = [row for row in rows if row.end <= period.begin][-BASELINE_DAYS:]
    return max(_share(before), _share(before[-_WEEK:]))


def _share(rows: Sequence[Row]) -> float:
    return sum(row.failures for row in rows) / max(1, sum(row.calls for row in rows))


def _traffic(days: Days, period: Period) -> Iterator[Change]:
    for kind, up in ((Kind.MORE_TRAFFIC, True), (Kind.LESS_TRAFFIC, False)):
        step = step_of(days.all(), period.begin, CALLS, up=up)
        if step is not None and max(exp(step.before), exp(step.after)) >= FEWEST_CALLS:
            after = fmean(row.calls for row in days.all() if row.begin >= step.since)
            # Less than one call a day is none.
            numbers = (exp(step.before) if step.before > 0 else 0.0, after)
            yield _change(kind, Measured.CALLS_A_DAY, step, numbers, days, period)


def _silence(days: Days, period: Period, facts: Facts) -> Iterator[Change]:
    """The endpoint went cold or dead in the period: the later of the two."""
    if facts.last_call is None:
        return
    for kind, limit in ((Kind.WENT_DEAD, period.dead_days), (Kind.WENT_COLD, period.cold_days)):
        since = facts.last_call + int(limit * DAY)
        if period.begin < since <= period.end:
            before, after = _around(days, period)
            yield Change(
                kind, Measured.CALLS, since, before, after, before, after, last_call=facts.last_call
            )
            return


def _deprecated(days: Days, period: Period, facts: Facts) -> Iterator[Change]:
    before, after = _around(days, period)
    # The rows lack days that were not watched as a whole, such as that of a first day.
    is_called = after > 0 or period.begin <= (facts.last_call or 0) <= period.end
    if facts.is_deprecated and is_called:
        yield Change(
            Kind.DEPRECATED_BUT_CALLED,
            Measured.CALLS,
            period.begin,
            before,
            after,
            before,
            after,
            last_call=facts.last_call,
        )


def _around(days: Days, period: Period) -> tuple[int, int]:
    """Calls as long before the period as it is, and those of the period."""
    before = _calls_between(days, 2 * period.begin - period.end, period.begin)
    return before, _calls_between(days, period.begin)


def _calls_between(days: Days, begin: int, end: float = inf) -> int:
    """Calls between two moments, of each row as much as lies there and before the next row."""
    calls, following = 0.0, end
    for row in reversed(days.all()):
        counted = max(0, min(row.end, following, end) - max(row.begin, begin))
        calls += row.calls * counted / (row.end - row.begin)
        following = row.begin
    return round(calls)


def _change(
    kind: Kind,
    measured: Measured,
    step: Step,
    numbers: tuple[float, float],
    days: Days,
    period: Period,
) -> Change:
    earliest = step.since - BASELINE_DAYS * DAY
    change = Change(
        kind=kind,
        measured=measured,
        since=step.since,
        before=numbers[0],
        after=numbers[1],
        calls_before=sum(row.calls for row in days.days if earliest <= row.begin < step.since),
        calls_after=_calls_between(days, step.since),
    )
    return _with_release(change, period)


def _with_release(change: Change, period: Period) -> Change:
    """The change with the release that began within a day of it, and since that release."""
    nearest = _nearest(change.since, period)
    return change if nearest is None else replace(change, since=nearest.begin, release=nearest.name)


def _release(moment: int, period: Period) -> str:
    nearest = _nearest(moment, period)
    return "" if nearest is None else nearest.name


def _nearest(moment: int, period: Period) -> Release | None:
    near = [each for each in period.releases if abs(each.begin - moment) <= DAY]
    return min(near, key=lambda each: (abs(each.begin - moment), each.name), default=None)
