"""Things that appear later, and when, for an application that was not recorded for long. No I/O."""

from collections.abc import Sequence
from dataclasses import dataclass

from fastapi_lens.admin.context import Context
from fastapi_lens.admin.display import formats
from fastapi_lens.admin.display.callers import is_off
from fastapi_lens.admin.display.verdicts import unused_from
from fastapi_lens.admin.urls.cleanup import CleanupQuery
from fastapi_lens.admin.urls.overview import OverviewQuery
from fastapi_lens.changes.usual import FEWEST_DAYS
from fastapi_lens.reporting.evidence.evidence import AppEvidence
from fastapi_lens.reporting.model import FEWEST_CALLS
from fastapi_lens.settings.status import SECONDS_PER_DAY
from fastapi_lens.verdict.needs import QUARTER, YEAR


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that appears by itself.

    Attributes:
        name: In two or three words.
        needs: The condition, with the numbers of the settings.
        since: The day or the time from which it is there; empty if that is not known yet.
        is_here: True if it is there already.
        link: The text and the address of a page about it; None without one.
    """

    name: str
    needs: str
    since: str = ""
    is_here: bool = False
    link: tuple[str, str] | None = None


def first_day(
    context: Context, query: OverviewQuery, evidence: AppEvidence, *, is_called: bool
) -> Sequence[Step]:
    """The steps of the first days; none as soon as changes can be found.

    Args:
        context: The request.
        query: The state of the page.
        evidence: The recorded time, and the verdicts.
        is_called: True if any endpoint has calls.
    """
    since, today = evidence.observation.since_day, evidence.observation.today
    # The first day was not recorded as a whole.
    if since is not None and today - since > FEWEST_DAYS:
        return ()
    return (
        _calls(context, is_called=is_called),
        _before(query, since, today),
        Step(
            "What changed",
            f"Needs {FEWEST_DAYS} full days.",
            _from(since, FEWEST_DAYS + 1),
        ),
        _statuses(context, since),
        _verdicts(context, query, since, unused_from(evidence)),
        _callers(context, is_called=is_called),
    )


def _calls(context: Context, *, is_called: bool) -> Step:
    # A flush, and the second that a worker takes to add it to the rows.
    seconds = f"{context.lens.config.flush_interval + 1:g} seconds"
    limit = formats.duration(context.lens.settings.slow_threshold_ms)
    return Step(
        "Calls, errors, p95",
        f"Appear within {seconds} of a call. A p95 above {limit} is slow.",
        is_here=is_called,
    )


def _before(query: OverviewQuery, since: int | None, today: int) -> Step:
    seconds = query.window.window.seconds
    name = "Comparison"
    if seconds is None:
        return Step(name, f"Needs {FEWEST_CALLS} calls in each of two periods; choose a period.")
    days = -(-2 * seconds // SECONDS_PER_DAY)
    is_here = since is not None and today - since >= days
    length = formats.lasting(seconds)
    needs = f"Needs {FEWEST_CALLS} calls in {length}, and as many in the {length} before."
    return Step(name, needs, "" if is_here else _from(since, days), is_here)


def _statuses(context: Context, since: int | None) -> Step:
    limits = context.lens.settings.thresholds
    cold, dead = formats.days(limits.cold_days), formats.days(limits.dead_days)
    needs = f"Cold: no call for {cold}. Dead: none for {dead}. Never called: at once."
    link = ("Thresholds", context.url("/settings#thresholds"))
    return Step("Cold and Dead", needs, _from(since, limits.cold_days), link=link)


def _verdicts(context: Context, query: OverviewQuery, since: int | None, first: int | None) -> Step:
    needs = (
        f"An endpoint without any use is “probably unused” after {QUARTER:g} observed days, and "
        f"“safe to remove” after {YEAR:g}; one that was used, depending on how often."
    )
    link = ("Cleanup", CleanupQuery(**query.part).url(context.url("/cleanup")))
    is_judged = since is not None and first is not None
    # The day of the verdicts, which the cleanup page names, too.
    begin = _from(first, 0) if is_judged else _from(since, QUARTER + 1)
    return Step("May I delete it?", needs, begin, link=link)


def _callers(context: Context, *, is_called: bool) -> Step:
    if is_off(context.lens.settings.config.caller_source):
        link = ("Turn on", context.url("/settings#callers"))
        return Step("Callers", "Not recorded: who calls is not known.", link=link)
    link = ("Callers", context.url("/callers"))
    return Step("Callers", "Appear with their calls.", is_here=is_called, link=link)


def _from(since: int | None, days: float) -> str:
    """The day that comes so many days after the begin of the recording; empty before it."""
    return "" if since is None else formats.day((since + days) * SECONDS_PER_DAY)
