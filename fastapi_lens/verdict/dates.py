"""The days on which a silence becomes long enough, and what it has to wait for. Pure."""

from dataclasses import dataclass

from fastapi_lens.verdict.cadence import CADENCE_DAYS, Cadence
from fastapi_lens.verdict.callers import Caller, days_of_caller
from fastapi_lens.verdict.days import NO_HOLES, Holes
from fastapi_lens.verdict.gaps import FEWEST_GAPS, TOLERANCE, Gaps, Uses, gaps_of
from fastapi_lens.verdict.history import History
from fastapi_lens.verdict.needs import LEFT_OUT, QUARTER, YEAR, Needs, needs_of
from fastapi_lens.verdict.silence import QUARTERLY, YEARLY, Clock, clear_day

MOST_TOLERATED = 4
"""Hole days of the silent year that are taken as silent, and named. At most 4 of 365 callers that
come once a year hide there."""


@dataclass(frozen=True, slots=True)
class Silence:
    """The silence of an endpoint and what is known of the time before it.

    Attributes:
        history: As it was given.
        uses: Used days, in order.
        last_used: The day of the last use; None if it was never used.
        start: The day before the silence: of the last use, or the one before it was present.
        holes: All holes, also the days before anything was observed.
        gaps: Between the uses, without those that holes explain.
        needs: Days that the silence must last after such a use.
        is_attributed: True if the callers of the year before the last use are all known, and 400
            days of that time were observed.
        days: Days since the start, observed or not; 0 on the day of a use.
        unseen: The holes since the start.
    """

    history: History
    uses: Uses
    last_used: int | None
    start: int
    holes: Holes
    gaps: Gaps
    needs: Needs
    is_attributed: bool
    days: int
    unseen: Holes


def silence_of(history: History) -> Silence:
    """Put a history in order."""
    uses = Uses.of(history.days, history.weeks)
    last_used = uses.last
    if history.last_used is not None:
        # Exact, where the last day of a week is only the latest that is possible.
        last_used = max((history.last_used, *uses.days[-1:]))
    holes = Holes.of((*history.holes, (0, history.observed_since - 1))).within(0, history.today)
    gaps = gaps_of(uses, holes)
    start = max(history.present_since - 1, -1 if last_used is None else last_used)
    return Silence(
        history=history,
        uses=uses,
        last_used=last_used,
        start=start,
        holes=holes,
        gaps=gaps,
        needs=needs_of(uses, gaps, is_used=last_used is not None),
        is_attributed=_is_attributed(history, last_used, holes),
        days=max(0, history.today - start),
        unseen=holes.after(start),
    )


def _is_attributed(history: History, last_used: int | None, holes: Holes) -> bool:
    ledger = history.ledger
    if ledger is None or not ledger.is_complete or last_used is None:
        return False
    # A yearly caller of a new endpoint has had no year to show up.
    since = max(ledger.since, history.present_since)
    return last_used - since - holes.within(since, last_used - 1).days() >= YEAR


@dataclass(frozen=True, slots=True)
class CallerDate:
    """First days on which the silence of a caller is long enough.

    Attributes:
        caller: Which.
        probably: For `probably_unused`.
        safe: For `safe_to_remove`; not before `probably`.
    """

    caller: Caller
    probably: int
    safe: int


@dataclass(frozen=True, slots=True)
class Dates:
    """First days on which a silence is long enough, if no further use and no hole comes.

    Attributes:
        probably: For `probably_unused`.
        safe: For `safe_to_remove`; not before `probably`.
        pattern: For safe by the pattern of the endpoint alone.
        whole: For a whole silent quarter if the callers of the year before are known, or year.
        tolerated: Holes of the silent year that are taken as silent.
        callers: Those whose silence ends later than all else, the latest first.
    """

    probably: int
    safe: int
    pattern: int
    whole: int
    tolerated: Holes
    callers: tuple[CallerDate, ...]


def dates_of(silence: Silence, holes: Holes) -> Dates:
    """The dates of a silence.

    Without a known pattern whatever calls once a quarter has to be excluded for probably, and
    whatever calls once a year for safe. Safe also asks for a silent quarter where the callers of
    the year before are known, for a silent year otherwise, and for the silence of each caller.

    Args:
        silence: Of one endpoint.
        holes: Those of the silence, or none to see what they delay.
    """
    start, needs = silence.start, silence.needs
    year, tolerated = _year_of(silence, holes)
    if len(silence.gaps.lengths) < FEWEST_GAPS:
        probably = clear_day(start, needs.probably, holes, QUARTERLY)
        pattern = clear_day(start, needs.safe, holes, YEARLY)
        if tolerated:
            begin = _watched_from(silence)
            # The holes may be seen a year later, before a silence that begins after them is over.
            seen = clear_day(begin, needs.safe, holes.after(int(begin + YEAR)), YEARLY)
            pattern = min(pattern, seen)
    else:
        probably = clear_day(start, needs.probably, holes, needs.clock)
        pattern = clear_day(start, needs.safe, holes, needs.clock)
    declared = _declared_day(silence, holes)
    probably, pattern = max(probably, declared), max(pattern, declared)
    whole = clear_day(start, QUARTER, holes, QUARTERLY) if silence.is_attributed else year
    safe = max(probably, pattern, whole)
    callers = _caller_dates(silence, holes)
    return Dates(
        probably=max((probably, *(each.probably for each in callers))),
        safe=max((safe, *(each.safe for each in callers))),
        pattern=pattern,
        whole=whole,
        tolerated=tolerated,
        callers=tuple(each for each in callers if each.safe > safe),
    )


def _year_of(silence: Silence, holes: Holes) -> tuple[int, Holes]:
    """The first day after a silent year of 400 days, and its hole days that are tolerated.

    Hole days are tolerated in the first year that was watched. The time before the observation is
    never tolerated: nobody knows of anything in it.
    """
    begin = _watched_from(silence)
    missed = holes.within(begin + 1, int(begin + YEAR))
    if not missed or missed.days() > MOST_TOLERATED:
        return clear_day(silence.start, YEAR, holes, YEARLY), NO_HOLES
    return clear_day(begin, YEAR, holes.after(int(begin + YEAR)), YEARLY), missed


def _watched_from(silence: Silence) -> int:
    """The day before the first one of a silence that was watched."""
    return max(silence.start, silence.history.observed_since - 1)


def _declared_day(silence: Silence, holes: Holes) -> int:
    cadence = silence.history.cadence
    if cadence is None:
        return silence.start + 1
    period = CADENCE_DAYS[cadence]
    # As much slack as that of a learned period, see `needs`.
    clock = Clock(period, max(TOLERANCE, 0.2 * period))
    return clear_day(silence.start, LEFT_OUT * period, holes, clock)


def _caller_dates(silence: Silence, holes: Holes) -> list[CallerDate]:
    """The dates of all callers but noise, the latest first."""
    ledger = silence.history.ledger
    found: list[CallerDate] = []
    for caller in ledger.callers if ledger else ():
        if not caller.is_noise:
            # While the endpoint was not present, nobody could call it.
            start = max(caller.last_day, silence.history.present_since - 1)
            probably, safe = days_of_caller(caller, start, holes)
            found.append(CallerDate(caller, probably, max(probably, safe)))
    return sorted(found, key=lambda each: (-each.safe, each.caller.order))


@dataclass(frozen=True, slots=True)
class Exclusion:
    """Exclusion of a cadence by silence: such frequent use would have been seen.

    Attributes:
        cadence: Which.
        from_day: The first day on which it is excluded, if no further use and no hole comes.
        is_excluded: True if that day has come.
    """

    cadence: Cadence
    from_day: int
    is_excluded: bool


def exclusions_of(silence: Silence) -> tuple[Exclusion, ...]:
    """All cadences, the shortest first: each needs 1.08 of its period and 2 days of silence.

    A yearly use is excluded by the same silent year that safe asks for, or an endpoint would be
    safe to remove while its page says that a yearly use is possible.
    """
    today = silence.history.today
    found: list[Exclusion] = []
    for cadence, period in CADENCE_DAYS.items():
        clock = Clock(period, 0.1 * period + 1)
        day = clear_day(silence.start, 1.08 * period + 2, silence.holes, clock)
        if cadence is Cadence.YEARLY:
            day, _ = _year_of(silence, silence.holes)
        found.append(Exclusion(cadence, day, today >= day))
    return tuple(found)
