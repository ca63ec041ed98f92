"""Plain English for reasons: each sentence is made from a code and its numbers alone. Pure.

Each function below is the sentence of one code; its arguments are the numbers of the code. Those
that end in ``_day`` are day numbers (UTC), all others count days unless they say what.
"""

from collections.abc import Callable, Mapping, Sequence

from fastapi_lens.verdict.days import FOREVER, date_of
from fastapi_lens.verdict.gaps import FEWEST_GAPS
from fastapi_lens.verdict.level import Level
from fastapi_lens.verdict.reasons import Code, Reason
from fastapi_lens.verdict.verdict import Verdict

MOST_NAMES = 3
"""Callers, holes or dates that a sentence names; it counts the others."""


def sentence(reason: Reason) -> str:
    """One sentence, or two short ones."""
    return _SENTENCES[reason.code](**reason.numbers)


def headline(verdict: Verdict) -> str:
    """The verdict in a few words, with the date on which it began or ends."""
    if verdict.level is Level.SAFE_TO_REMOVE and verdict.safe_from is not None:
        return f"Safe to remove since {_date(verdict.safe_from)}"
    if verdict.level is Level.PROBABLY_UNUSED:
        return f"Probably unused since {_date(verdict.probably_from)}"
    if verdict.level is Level.WAIT:
        return f"Wait until {_date(verdict.probably_from)}"
    return _HEADLINES[verdict.level]


_HEADLINES = {
    Level.SAFE_TO_REMOVE: "Safe to remove",
    Level.IN_USE: "In use",
    Level.NOT_ENOUGH_OBSERVATION: "Not enough observation",
    Level.KEPT: "Kept on purpose",
}


def _silent(days: int, hole_days: int) -> str:
    if not days:
        return "Used today."
    return f"No use for {_days(days)}; {_observed(days, hole_days)}."


def _never_called(present_day: int, days: int, hole_days: int) -> str:
    since = _date(present_day)
    return f"Never used since {since}, for {_days(days)}; {_observed(days, hole_days)}."


def _observed(days: int, hole_days: int) -> str:
    if hole_days:
        return f"{hole_days} of them {_was(hole_days)} not fully observed"
    return "it was observed" if days == 1 else "all of them were observed"


def _used_before(days: int, weeks: int, span: int, longest_gap: int, gaps_left_out: int) -> str:
    if days + weeks == 1:
        return f"Before that it was used {'on one day' if days else 'in one week'}."
    if weeks:
        seen = [f"on {_days(days)}"] if days else []
        seen.append(f"in {_count(weeks, 'earlier week' if days else 'week')}")
        text = f"Before that it was used {' and '.join(seen)}, within {_days(span)}"
    else:
        text = f"Before that it was used on {days} of {_days(span)}"
    text += f", never with more than {_days(longest_gap)} between two uses" if longest_gap else ""
    if gaps_left_out:
        text += (
            f"; {_count(gaps_left_out, 'gap')} with unobserved days {_was(gaps_left_out)} left out"
        )
    return f"{text}."


def _callers_gone(names: Sequence[str], last_days: Sequence[int], rare: int) -> str:
    gone = [f"{name} (last on {_date(day)})" for name, day in zip(names, last_days, strict=True)]
    count = len(gone)
    subject = {1: "Its only known caller is", 2: "Both known callers are"}
    text = f"{subject.get(count, f'All {count} known callers are')} gone: {_list(gone)}."
    if rare:
        return f"{text} {_count(rare, 'caller')} called too rarely to show a pattern."
    return f"{text} {'It' if count == 1 else 'Each of them'} called on four days or more."


def _no_noise(window: int, are_bots_known: int) -> str:
    who = "No bot called and no request was refused" if are_bots_known else "No request was refused"
    return f"{who} in the last {window} days."


def _only_noise(
    window: int,
    noise_days: int,
    refused_days: int,
    names: Sequence[str],
    refused_users: Sequence[str],
) -> str:
    parts: list[str] = []
    if noise_days:
        who = f" ({_list(names)})" if names else ""
        parts.append(f"bots, health checks or tests called on {_days(noise_days)}{who}")
    if refused_days:
        parts.append(f"requests were refused on {_days(refused_days)}")
    if refused_users:
        verb = _was(len(refused_users))
        parts.append(f"{_list(refused_users)}, whose calls succeeded before, {verb} refused")
    return (
        f"In the last {window} days {'; '.join(parts)}. These calls do not count as use, but "
        "somebody makes them: never safe to remove while they go on."
    )


def _websocket() -> str:
    return (
        "A WebSocket is counted when it opens, so one that stays open looks unused: never "
        "safe to remove by its silence."
    )


def _kept(why: str, until_day: int, source: str) -> str:
    if until_day == FOREVER:
        return f"Kept (set in the {source}): {why}."
    return f"Kept on purpose until {_date(until_day)} (set in the {source}): {why}."


def _keep_ended(why: str, until_day: int, source: str) -> str:
    return f"Was kept on purpose until {_date(until_day)} (set in the {source}): {why}."


def _not_observed(days: int, first_day: int, last_day: int) -> str:
    return (
        f"The silence would be long enough, but {_days(days)} of it {_was(days)} not fully "
        f"observed, the latest {_run(first_day, last_day)}."
    )


def _longer_than_ever(silence: int, longest_gap: int) -> str:
    if not longest_gap:
        return f"The silence of {_days(silence)} is not long enough after so few uses."
    return (
        f"The silence of {_days(silence)} is longer than any gap before ({_days(longest_gap)}), "
        "but not long enough."
    )


def _next_due(period: int, due_day: int) -> str:
    return f"Used about every {_days(period)}; the next use is due about {_date(due_day)}."


def _irregular(gaps: int, longest_gap: int, from_day: int) -> str:
    if gaps < FEWEST_GAPS:
        return f"Too few uses to show a pattern: the silence has to last until {_date(from_day)}."
    return (
        f"Used irregularly ({gaps} gaps of up to {_days(longest_gap)}): the silence has to last "
        f"until {_date(from_day)}."
    )


def _cadence_declared(cadence: str, days: int) -> str:
    return f"Declared as used {cadence}: the silence has to last {_days(days)}, 2.1 periods."


def _hidden_rare_caller(from_day: int) -> str:
    return (
        "Callers are not known for the whole year before the last use, and a rare one behind "
        f"frequent ones would not show: safe only after a silent year, on {_date(from_day)}."
    )


def _caller_not_excluded(
    caller: str, last_day: int, days: int, longest_gap: int, from_day: int, others: int
) -> str:
    gap = f", with gaps of up to {_days(longest_gap)}" if longest_gap else ""
    more = f" {_count(others, 'more caller')} may call again, too." if others else ""
    return (
        f"{caller} called on {_days(days)}{gap}, last on {_date(last_day)}, and may call again "
        f"until {_date(from_day)}.{more}"
    )


def _yearly_not_excluded(from_day: int) -> str:
    return f"A yearly use is not excluded before {_date(from_day)}."


def _cadences_not_excluded(cadences: Sequence[str], from_days: Sequence[int]) -> str:
    pairs = zip(cadences, from_days, strict=True)
    return (
        f"Not excluded yet: {_join([f'{name} use (until {_date(day)})' for name, day in pairs])}."
    )


def _days_not_seen(days: int, holes: Sequence[tuple[int, int]]) -> str:
    runs = _join([_run(first, last) for first, last in holes])
    return (
        f"{_days(days)} of the silent year {_was(days)} not fully observed and {_was(days)} taken "
        f"as silent: {runs}."
    )


def _dates(probably_day: int | None, safe_day: int | None) -> str:
    parts = [f"probably unused from {_date(probably_day)}"] if probably_day is not None else []
    parts += [f"safe to remove from {_date(safe_day)}"] if safe_day is not None else []
    return f"Without a further use it is {' and '.join(parts)}."


def _cannot_tell() -> str:
    return (
        "Watching cannot tell: a use in an emergency, in an audit, or less often than once a year."
    )


_SENTENCES: Mapping[Code, Callable[..., str]] = {
    Code.SILENT: _silent,
    Code.USED_BEFORE: _used_before,
    Code.CALLERS_GONE: _callers_gone,
    Code.NO_NOISE: _no_noise,
    Code.NEXT_DUE: _next_due,
    Code.KEPT: _kept,
    Code.KEEP_ENDED: _keep_ended,
    Code.NEVER_CALLED: _never_called,
    Code.NOT_OBSERVED: _not_observed,
    Code.LONGER_THAN_EVER: _longer_than_ever,
    Code.ONLY_NOISE: _only_noise,
    Code.WEBSOCKET: _websocket,
    Code.IRREGULAR: _irregular,
    Code.CADENCE_DECLARED: _cadence_declared,
    Code.HIDDEN_RARE_CALLER: _hidden_rare_caller,
    Code.CALLER_NOT_EXCLUDED: _caller_not_excluded,
    Code.YEARLY_NOT_EXCLUDED: _yearly_not_excluded,
    Code.CADENCES_NOT_EXCLUDED: _cadences_not_excluded,
    Code.DAYS_NOT_SEEN: _days_not_seen,
    Code.DATES: _dates,
    Code.CANNOT_TELL: _cannot_tell,
}


def _date(day: int) -> str:
    """A date as 3 March 2027."""
    found = date_of(day)
    # strftime has no portable form of a day without a leading zero.
    return f"{found.day} {found:%B} {found.year}"


def _run(first: int, last: int) -> str:
    return _date(first) if first == last else f"{_date(first)} to {_date(last)}"


def _days(count: int) -> str:
    return _count(count, "day")


def _count(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _was(count: int) -> str:
    return "was" if count == 1 else "were"


def _list(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    more = len(names) - MOST_NAMES
    return _join([*names[:MOST_NAMES], *([f"{more} more"] if more > 0 else [])])


def _join(texts: Sequence[str]) -> str:
    """Texts with commas, and the last two with "and"."""
    return " and ".join([*([", ".join(texts[:-1])] if texts[1:] else []), *texts[-1:]])
