"""Histories for tests of the verdict: what is not said was observed, long present and is HTTP."""

from dataclasses import replace
from typing import Any

from fastapi_lens.verdict.callers import Caller
from fastapi_lens.verdict.days import Holes
from fastapi_lens.verdict.history import History
from fastapi_lens.verdict.reasons import Code, Number
from fastapi_lens.verdict.sentences import sentence
from fastapi_lens.verdict.verdict import Verdict, verdict_of

BORN = 18_000
LAST = 19_000
"""The day of the last use: 8 January 2022."""


def used(*days: int, silent: int = 0, **others: Any) -> History:
    """An endpoint that was used on some days, some days after the last one."""
    last = max(days, default=None)
    given = {
        "today": (BORN - 1 if last is None else last) + silent,
        "present_since": BORN,
        "observed_since": BORN,
        "days": days,
        "last_used": last,
    }
    return History(**{**given, **others})


def daily(silent: int = 0, *, count: int = 400, **others: Any) -> History:
    """An endpoint that was used every day up to `LAST`."""
    return used(*every(1, count), silent=silent, **others)


def every(period: int, count: int) -> range:
    """Days that are so far apart, the last of which is `LAST`."""
    return range(LAST - (count - 1) * period, LAST + 1, period)


def at(history: History, silent: int) -> History:
    """The same history, so many days after the last use."""
    return replace(history, today=LAST + silent)


def web(**others: Any) -> Caller:
    """A caller that came every day for two years."""
    given = {"name": "web", "first_day": LAST - 730, "last_day": LAST, "days": 700}
    return Caller(**{**given, "longest_gap": 3, **others})


def delays(history: History) -> tuple[int, int | None]:
    """Days after `LAST` on which probably and safe begin."""
    found = verdict_of(history)
    return found.probably_from - LAST, None if found.safe_from is None else found.safe_from - LAST


def numbers(verdict: Verdict, code: Code) -> dict[str, Number] | None:
    """The numbers of a reason; None if the verdict does not give it."""
    return next((dict(each.numbers) for each in verdict.reasons if each.code is code), None)


def sentences(history: History) -> list[str]:
    """All that a page says."""
    return [sentence(reason) for reason in verdict_of(history).reasons]


def runs(*pairs: tuple[int, int]) -> tuple[tuple[int, int], ...]:
    """Holes by days after `LAST`."""
    return tuple((LAST + first, LAST + last) for first, last in pairs)


def as_set(holes: Holes) -> set[int]:
    """All days of holes."""
    return {day for first, last in holes for day in range(first, last + 1)}
