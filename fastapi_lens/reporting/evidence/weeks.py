"""The last 57 weeks of one endpoint: used, silent, not observed, or absent. Pure arithmetic."""

from collections.abc import Mapping

from fastapi_lens.reporting.evidence.evidence import WEEKS, Week, WeekState
from fastapi_lens.reporting.evidence.evidence_rows import DAYS_PER_WEEK
from fastapi_lens.verdict.days import Holes


def weeks_of(uses: Mapping[int, int], holes: Holes, *, since: int, today: int) -> tuple[Week, ...]:
    """`WEEKS` steps of seven days, the oldest first; the last one ends today.

    Args:
        uses: Calls that are uses by the number of weeks ago.
        holes: Days that were not fully observed, or whose rows are no longer kept.
        since: Day since which the endpoint is in the routes.
        today: The present day.
    """
    calls = [uses.get(WEEKS - 1 - step, 0) for step in range(WEEKS)]
    first = today - WEEKS * DAYS_PER_WEEK + 1
    return tuple(
        Week(_state_of(count, holes, first + step * DAYS_PER_WEEK, since), count)
        for step, count in enumerate(calls)
    )


def _state_of(calls: int, holes: Holes, first: int, since: int) -> WeekState:
    last = first + DAYS_PER_WEEK - 1
    if calls:
        return WeekState.USED
    if last < since:
        return WeekState.ABSENT
    begin = max(first, since)
    unseen = holes.within(begin, last).days()
    return WeekState.UNOBSERVED if 2 * unseen > last - begin + 1 else WeekState.SILENT
