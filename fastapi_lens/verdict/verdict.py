"""The verdict on an endpoint: history in, verdict with its reasons out. Pure: no I/O, no clock.

Two rules above all: what was not observed is not silence, and a total hides a rare caller behind a
frequent one. What is not known is taken at its worst.
"""

from dataclasses import dataclass

from fastapi_lens.verdict.cadence import CADENCE_DAYS, Pattern, pattern_of
from fastapi_lens.verdict.dates import Exclusion, dates_of, exclusions_of, silence_of
from fastapi_lens.verdict.evidence import reasons_of
from fastapi_lens.verdict.history import History, Kind
from fastapi_lens.verdict.level import Level, level_of
from fastapi_lens.verdict.needs import LEFT_OUT, QUARTER, YEAR
from fastapi_lens.verdict.reasons import Reason


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer, the dates on which it changes, and why.

    Attributes:
        level: The answer.
        probably_from: The first day of `probably_unused`, if no further use and no hole comes.
        safe_from: The same of `safe_to_remove`; None if waiting alone never leads there.
        silence_days: Days since the last use, or since it is present; 0 on the day of a use.
        hole_days: Days among them that were not fully observed.
        need_probably_days: Silent days that probably asks for, without holes and single callers.
        need_safe_days: The same of safe.
        pattern: Of the uses so far.
        longest_gap_days: The longest gap between two uses; 0 where there is none.
        exclusions: All cadences, the shortest first.
        reasons: In the order in which a page shows them.
    """

    level: Level
    probably_from: int
    safe_from: int | None
    silence_days: int
    hole_days: int
    need_probably_days: float
    need_safe_days: float
    pattern: Pattern
    longest_gap_days: int
    exclusions: tuple[Exclusion, ...]
    reasons: tuple[Reason, ...]


def verdict_of(history: History) -> Verdict:
    """The verdict on one endpoint on one day.

    Args:
        history: All that is known.
    """
    silence = silence_of(history)
    dates = dates_of(silence, silence.holes)
    exclusions = exclusions_of(silence)
    level = level_of(silence, dates)
    needs, cadence = silence.needs, history.cadence
    declared = LEFT_OUT * CADENCE_DAYS[cadence] if cadence else 0.0
    return Verdict(
        level=level,
        probably_from=dates.probably,
        safe_from=None if history.kind is Kind.WEBSOCKET else dates.safe,
        silence_days=silence.days,
        hole_days=silence.unseen.days(),
        need_probably_days=max(needs.probably, declared),
        need_safe_days=max(needs.safe, declared, QUARTER if silence.is_attributed else YEAR),
        pattern=pattern_of(silence.gaps, is_used=silence.last_used is not None),
        longest_gap_days=silence.gaps.longest,
        exclusions=exclusions,
        reasons=tuple(reasons_of(level, silence, dates, exclusions)),
    )
