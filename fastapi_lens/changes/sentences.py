"""Plain English for changes: each sentence is made of a change's numbers alone. Pure."""

from datetime import UTC, datetime, tzinfo

from fastapi_lens.changes.change import Change, Kind, Measured
from fastapi_lens.changes.incidents import FEWEST_FAILURES
from fastapi_lens.changes.incidents import LEAST_POINTS as INCIDENT_POINTS
from fastapi_lens.changes.measures import (
    FEWEST_CALLS,
    LEAST_FAILURES,
    LEAST_P95,
    LEAST_POINTS,
    LEAST_RATIO,
    LEAST_TRAFFIC,
    LEAST_TYPICAL,
)
from fastapi_lens.changes.rows import DAY
from fastapi_lens.changes.steps import DEVIATIONS
from fastapi_lens.changes.usual import BASELINE_DAYS, FEWEST_DAYS

_WEEKS = BASELINE_DAYS // 7

DURATION_RULE = (
    f"Slower: on a day with at least {FEWEST_CALLS} calls the typical duration was at least "
    f"{LEAST_TYPICAL:.0%}, or p95 at least {LEAST_P95:.0%}, above what is usual on that weekday, "
    "and it has stayed so. "
    f"Usual is what the {_WEEKS} weeks before show (at least {FEWEST_DAYS} days); the rise must be "
    f"{DEVIATIONS:g} times as large as this endpoint's usual variation from day to day."
)
"""The rule of "slower" and "faster", as pages state it."""

FAILURE_RULE = (
    f"Failing more: on a day with at least {FEWEST_CALLS} calls the share of 5xx was at least "
    f"{100 * LEAST_POINTS:g} points and {LEAST_RATIO:g} times above the usual, with at least "
    f"{LEAST_FAILURES} more failed calls and beyond {DEVIATIONS:g} times the usual variation, and "
    "it has stayed so. "
    f"A single hour counts if its share was at least {100 * INCIDENT_POINTS:g} points above the "
    f"usual, with at least {FEWEST_FAILURES} more failed calls."
)
"""The rule of "failing more" and "recovered", as pages state it."""

TRAFFIC_RULE = (
    f"More or less traffic: calls a day at least {LEAST_TRAFFIC:g} times the usual of that "
    f"weekday, or the usual {LEAST_TRAFFIC:g} times as many, beyond {DEVIATIONS:g} times the usual "
    f"variation, with at least {FEWEST_CALLS} calls a day before or after."
)
"""The rule of "more traffic" and "less traffic", as pages state it."""

_TITLES = {
    Kind.FAILING_MORE: "Failing more",
    Kind.SLOWER: "Slower",
    Kind.WENT_DEAD: "Went dead",
    Kind.WENT_COLD: "Went cold",
    Kind.LESS_TRAFFIC: "Less traffic",
    Kind.DEPRECATED_BUT_CALLED: "Deprecated, still called",
    Kind.MORE_TRAFFIC: "More traffic",
    Kind.FASTER: "Faster",
    Kind.RECOVERED: "Recovered",
}

_NAMES = {Measured.TYPICAL_MS: "typical duration", Measured.P95_MS: "p95"}


def title(kind: Kind) -> str:
    """The kind in a few words."""
    return _TITLES[kind]


def sentence(change: Change, zone: tzinfo = UTC) -> str:
    """The numbers of a change, and since when, without a full stop.

    Args:
        change: The change.
        zone: Of times of day; dates alone are days in UTC.
    """
    if change.kind in (Kind.WENT_COLD, Kind.WENT_DEAD):
        return _silent(change)
    if change.kind is Kind.DEPRECATED_BUT_CALLED:
        return _deprecated(change)
    if change.measured is Measured.FAILED_SHARE:
        return _failed(change, zone)
    if change.measured is Measured.CALLS_A_DAY:
        numbers = f"{change.before:,.0f} → {change.after:,.0f}"
        return f"calls a day {numbers}{_by(change)}, {_since(change, zone)}"
    numbers = f"{_ms(change.before)} → {_ms(change.after)} ms"
    return f"{_NAMES[change.measured]} {numbers}{_by(change)}, {_since(change, zone)}"


def _silent(change: Change) -> str:
    last = "" if change.last_call is None else f"last call {_date(change.last_call)}; "
    return f"{last}{title(change.kind).split()[-1]} since {_date(change.since)}"


def _deprecated(change: Change) -> str:
    last = "" if change.last_call is None else f"last call {_date(change.last_call)}"
    if not change.calls_after:
        return last
    earlier = f"{change.before:,.0f} → " if change.before else ""
    calls = f"{earlier}{_calls(round(change.after))}{_by(change)}"
    return "; ".join(part for part in (calls, last) if part)


def _failed(change: Change, zone: tzinfo) -> str:
    if change.until is not None:
        return (
            f"5xx {_share(change.after)} of {_calls(change.calls_after)} on "
            f"{_span(change.since, change.until, zone)}, usually {_share(change.before)}; recovered"
            f"{_release(change)}"
        )
    numbers = f"{_share(change.before)} → {_share(change.after)}"
    return f"5xx {numbers} of {_calls(change.calls_after)}, {_since(change, zone)}"


def _by(change: Change) -> str:
    """The ratio as a difference in percent; "" where there was nothing before."""
    return "" if change.ratio is None else f", {_sign(round(100 * (change.ratio - 1)))}%"


def _sign(percent: int) -> str:
    return "±0" if percent == 0 else f"{'+' if percent > 0 else '−'}{abs(percent):,}"  # noqa: RUF001  A minus sign.


def _since(change: Change, zone: tzinfo) -> str:
    return f"since {_moment(change.since, zone)}{_release(change)}"


def _release(change: Change) -> str:
    return f" (release {change.release})" if change.release else ""


def _span(begin: int, end: int, zone: tzinfo) -> str:
    same = _date(begin, zone) == _date(end - 1, zone)
    last = _time(end, zone) if same else _moment(end, zone)
    return f"{_date(begin, zone)} {_time(begin, zone)}–{last}"


def _moment(moment: int, zone: tzinfo) -> str:
    """A date, with the time where it is not midnight in UTC."""
    if moment % DAY == 0:
        return _date(moment)
    return f"{_date(moment, zone)} {_time(moment, zone)}"


def _date(moment: int, zone: tzinfo = UTC) -> str:
    found = datetime.fromtimestamp(moment, zone)
    return f"{found.day} {found:%b}"


def _time(moment: int, zone: tzinfo) -> str:
    return f"{datetime.fromtimestamp(moment, zone):%H:%M}"


def _calls(count: int) -> str:
    return f"{count:,} call{'' if count == 1 else 's'}"


def _share(share: float) -> str:
    return f"{share:.1%}"


def _ms(duration: float) -> str:
    return f"{duration:,.0f}" if duration >= 10 else f"{duration:.1f}"  # noqa: PLR2004
