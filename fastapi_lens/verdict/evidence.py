"""The reasons of a verdict, in the order in which a page shows them. Pure; makes no sentences."""

import math
from collections.abc import Iterator, Sequence

from fastapi_lens.verdict.cadence import CADENCE_DAYS
from fastapi_lens.verdict.dates import Dates, Exclusion, Silence, dates_of
from fastapi_lens.verdict.days import NO_HOLES
from fastapi_lens.verdict.gaps import DAYS_PER_WEEK, FEWEST_GAPS
from fastapi_lens.verdict.history import NOISE_WINDOW, Kind
from fastapi_lens.verdict.level import Level, latest_keep
from fastapi_lens.verdict.needs import LEFT_OUT
from fastapi_lens.verdict.reasons import Code, Number, Reason

UNUSED = frozenset({Level.SAFE_TO_REMOVE, Level.PROBABLY_UNUSED})
OPEN = frozenset({Level.PROBABLY_UNUSED, Level.WAIT, Level.NOT_ENOUGH_OBSERVATION})


def reasons_of(
    level: Level, silence: Silence, dates: Dates, exclusions: Sequence[Exclusion]
) -> Iterator[Reason]:
    """All reasons of a verdict.

    Args:
        level: Of the verdict.
        silence: Of the endpoint.
        dates: Of that silence.
        exclusions: Of that silence, by cadence.
    """
    yield from _of_keeps(silence)
    yield from _of_uses(silence)
    if level is Level.IN_USE:
        yield from _of_next_use(silence)
    if level in UNUSED:
        yield from _of_callers_gone(silence, dates)
        yield from _of_noise(silence)
        yield from _of_tolerated(silence, dates)
    if level in OPEN:
        yield from _of_silence(level, silence)
        yield from _of_cadence(silence)
    if level in OPEN and silence.history.kind is not Kind.WEBSOCKET:
        yield from _of_open_questions(silence, dates)
    if level is Level.PROBABLY_UNUSED:
        yield from _of_cadences(exclusions)
    if level in OPEN:
        yield from _of_dates(silence, dates)
    if level in UNUSED:
        yield _reason(Code.CANNOT_TELL)


def _reason(code: Code, **numbers: Number) -> Reason:
    return Reason(code, numbers)


def _of_keeps(silence: Silence) -> Iterator[Reason]:
    keep = latest_keep(silence.history)
    if keep is not None:
        is_over = keep.until < silence.history.today
        code = Code.KEEP_ENDED if is_over else Code.KEPT
        yield _reason(code, why=keep.reason, until_day=keep.until, source=keep.source)


def _of_uses(silence: Silence) -> Iterator[Reason]:
    days, hole_days, uses = silence.days, silence.unseen.days(), silence.uses
    if silence.last_used is None:
        since = silence.history.present_since
        yield _reason(Code.NEVER_CALLED, present_day=since, days=days, hole_days=hole_days)
        return
    yield _reason(Code.SILENT, days=days, hole_days=hole_days)
    if uses.count:
        yield _reason(
            Code.USED_BEFORE,
            days=len(uses.days),
            weeks=len(uses.weeks),
            # With both ends: a use was possible on each of these days.
            span=uses.span + 1,
            longest_gap=silence.gaps.longest,
            gaps_left_out=silence.gaps.explained,
        )


def _of_next_use(silence: Silence) -> Iterator[Reason]:
    clock, last_used = silence.needs.clock, silence.last_used
    if clock is not None and last_used is not None and clock.period >= DAYS_PER_WEEK:
        period = round(clock.period)
        yield _reason(Code.NEXT_DUE, period=period, due_day=last_used + period)


def _of_callers_gone(silence: Silence, dates: Dates) -> Iterator[Reason]:
    ledger = silence.history.ledger
    if ledger is None or not silence.is_attributed or dates.callers:
        return
    callers = [caller for caller in ledger.callers if not caller.is_noise]
    callers.sort(key=lambda caller: caller.order)
    if callers:
        yield _reason(
            Code.CALLERS_GONE,
            names=tuple(caller.name for caller in callers),
            last_days=tuple(caller.last_day for caller in callers),
            rare=sum(caller.is_rare for caller in callers),
        )


def _of_noise(silence: Silence) -> Iterator[Reason]:
    noise, ledger = silence.history.noise, silence.history.ledger
    if noise.is_doubt:
        yield _reason(
            Code.ONLY_NOISE,
            window=NOISE_WINDOW,
            noise_days=noise.noise_days,
            refused_days=noise.refused_days,
            names=tuple(sorted(noise.names)),
            refused_users=tuple(sorted(noise.refused_users)),
        )
    elif not noise.noise_days and not noise.refused_days:
        # Without a ledger of that time, calls of bots are uses like all others.
        first_day = silence.history.today - NOISE_WINDOW + 1
        are_bots_known = ledger is not None and ledger.since <= first_day
        yield _reason(Code.NO_NOISE, window=NOISE_WINDOW, are_bots_known=int(are_bots_known))
    if silence.history.kind is Kind.WEBSOCKET:
        yield _reason(Code.WEBSOCKET)


def _of_tolerated(silence: Silence, dates: Dates) -> Iterator[Reason]:
    is_year_asked = not silence.is_attributed or len(silence.gaps.lengths) < FEWEST_GAPS
    seen = dates.tolerated.within(0, silence.history.today)
    if is_year_asked and seen:
        yield _reason(Code.DAYS_NOT_SEEN, days=seen.days(), holes=tuple(seen))


def _of_silence(level: Level, silence: Silence) -> Iterator[Reason]:
    days, longest = silence.days, silence.gaps.longest
    if level is Level.WAIT:
        yield _reason(Code.LONGER_THAN_EVER, silence=days, longest_gap=longest)
    elif silence.unseen and _is_long_enough_without_holes(level, silence):
        first, last = silence.unseen.firsts[-1], silence.unseen.lasts[-1]
        unseen = silence.unseen.days()
        yield _reason(Code.NOT_OBSERVED, days=unseen, first_day=first, last_day=last)


def _is_long_enough_without_holes(level: Level, silence: Silence) -> bool:
    """True if nothing but the holes of a silence keeps it from being long enough."""
    if level is not Level.NOT_ENOUGH_OBSERVATION:
        return False
    return silence.history.today >= dates_of(silence, NO_HOLES).probably


def _of_cadence(silence: Silence) -> Iterator[Reason]:
    cadence = silence.history.cadence
    if cadence is not None:
        needed = math.ceil(LEFT_OUT * CADENCE_DAYS[cadence])
        yield _reason(Code.CADENCE_DECLARED, cadence=cadence, days=needed)


def _of_open_questions(silence: Silence, dates: Dates) -> Iterator[Reason]:
    """The conditions of safe besides time; a WebSocket never reaches them."""
    today, is_used = silence.history.today, silence.last_used is not None
    if is_used and silence.needs.clock is None and dates.pattern >= max(dates.whole, today + 1):
        yield _reason(
            Code.IRREGULAR,
            gaps=len(silence.gaps.lengths),
            longest_gap=silence.gaps.longest,
            from_day=dates.pattern,
        )
    elif is_used and not silence.is_attributed and dates.whole > today:
        yield _reason(Code.HIDDEN_RARE_CALLER, from_day=dates.whole)
    if dates.callers and dates.callers[0].safe > today:
        latest = dates.callers[0]
        yield _reason(
            Code.CALLER_NOT_EXCLUDED,
            caller=latest.caller.name,
            last_day=latest.caller.last_day,
            days=latest.caller.days,
            longest_gap=latest.caller.longest_gap,
            from_day=latest.safe,
            others=sum(each.safe > today for each in dates.callers[1:]),
        )


def _of_cadences(exclusions: Sequence[Exclusion]) -> Iterator[Reason]:
    *shorter, yearly = exclusions
    if not yearly.is_excluded:
        yield _reason(Code.YEARLY_NOT_EXCLUDED, from_day=yearly.from_day)
    still_open = [each for each in shorter if not each.is_excluded]
    if still_open:
        yield _reason(
            Code.CADENCES_NOT_EXCLUDED,
            cadences=tuple(str(each.cadence) for each in still_open),
            from_days=tuple(each.from_day for each in still_open),
        )


def _of_dates(silence: Silence, dates: Dates) -> Iterator[Reason]:
    """The dates that are still to come, unless something else than time is in the way."""
    today, is_socket = silence.history.today, silence.history.kind is Kind.WEBSOCKET
    probably = dates.probably if dates.probably > today else None
    safe = dates.safe if dates.safe > today and not is_socket else None
    if probably is not None or safe is not None:
        yield _reason(Code.DATES, probably_day=probably, safe_day=safe)
