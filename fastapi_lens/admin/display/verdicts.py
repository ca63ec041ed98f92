"""Verdicts as people read them: words, marks, exclusions and evidence. Pure; no I/O."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from fastapi_lens.admin.display import formats, svg
from fastapi_lens.reporting.evidence.evidence import AppEvidence, Judged, Week, WeekState
from fastapi_lens.reporting.evidence.gone import Gone
from fastapi_lens.reporting.evidence.observation import Observation
from fastapi_lens.settings.status import SECONDS_PER_DAY
from fastapi_lens.verdict.cadence import Cadence
from fastapi_lens.verdict.days import date_of
from fastapi_lens.verdict.level import Level
from fastapi_lens.verdict.reasons import Code, Reason
from fastapi_lens.verdict.sentences import headline, sentence
from fastapi_lens.verdict.verdict import Verdict

LEVEL_LABELS = {
    Level.SAFE_TO_REMOVE: "Safe to remove",
    Level.PROBABLY_UNUSED: "Probably unused",
    Level.WAIT: "Wait",
    Level.NOT_ENOUGH_OBSERVATION: "Not enough observation",
    Level.IN_USE: "In use",
    Level.KEPT: "Kept",
}

LEVEL_MEANINGS = {
    Level.SAFE_TO_REMOVE: (
        "Silent and observed for so long that even a yearly use would very likely have shown."
    ),
    Level.PROBABLY_UNUSED: "Silent for longer than its use explains; a rarer use is still open.",
    Level.WAIT: "Silent for longer than usual, but not long enough yet.",
    Level.NOT_ENOUGH_OBSERVATION: "Not observed for long enough to say anything.",
    Level.IN_USE: "Used lately, or not yet due again.",
    Level.KEPT: "Kept on purpose, with a reason and an end.",
}

CHIPS = {
    Cadence.DAILY: "D",
    Cadence.WEEKLY: "W",
    Cadence.MONTHLY: "M",
    Cadence.QUARTERLY: "Q",
    Cadence.YEARLY: "Y",
}
"""Letters of the cadences that a table shows; sentences name the half-yearly one, too."""

MOST_HOLES = 3
"""Holes that a sentence names; it counts the earlier ones."""

LATER = frozenset({Code.NEXT_DUE, Code.DATES})
DECIDED = frozenset({Code.KEPT, Code.KEEP_ENDED, Code.CADENCE_DECLARED})


@dataclass(frozen=True, slots=True)
class Line:
    """One sentence of evidence.

    Attributes:
        css: The class of its mark: ``seen``, ``open``, ``later`` or ``decided``.
        mark: A sign.
        meaning: The meaning of the sign, in one word.
    """

    css: str
    mark: str
    meaning: str
    text: str


@dataclass(frozen=True, slots=True)
class Chip:
    """A cadence of use, excluded or not.

    Attributes:
        letter: Its initial.
        title: A sentence.
    """

    letter: str
    title: str
    is_excluded: bool


def css_of(level: Level) -> str:
    """The class of a level's mark."""
    return f"v-{level.value}"


def words_of(judged: Judged) -> str:
    """A verdict in two or three words: ``Wait until 21 Dec``."""
    verdict = judged.verdict
    label = LEVEL_LABELS[verdict.level]
    if verdict.level is not Level.WAIT:
        return label
    return f"{label} until {near_day(verdict.probably_from, judged.history.today)}"


def near_day(day: int, today: int) -> str:
    """A day, with its year unless that is the present one: ``21 Dec``, ``9 Mar 2027``."""
    text = formats.day(day * SECONDS_PER_DAY)
    same_year = date_of(day).year == date_of(today).year
    # The column of verdicts is narrow.
    return text.rpartition(" ")[0] if same_year else text


def headline_of(judged: Judged) -> str:
    """The verdict with its date, and the date of the next one."""
    verdict, text = judged.verdict, headline(judged.verdict)
    is_open = verdict.level in (Level.PROBABLY_UNUSED, Level.WAIT)
    if not is_open or verdict.safe_from is None or verdict.safe_from <= judged.history.today:
        return text
    day = formats.day(verdict.safe_from * SECONDS_PER_DAY)
    return f"{text}; safe to remove from {day}, without a further use"


def lines_of(verdict: Verdict) -> list[Line]:
    """The evidence of a verdict, sentence by sentence."""
    return [_line(reason) for reason in verdict.reasons]


def _line(reason: Reason) -> Line:
    text, code = sentence(reason), reason.code
    if code in LATER:
        return Line("later", "…", "Expected", text)
    if code in DECIDED:
        return Line("decided", "●", "Decided", text)
    # Never used is not said in favour of a removal, but it was seen, too.
    if code.is_evidence or code is Code.NEVER_CALLED:
        return Line("seen", "✓", "Seen", text)
    return Line("open", "?", "Open", text)


def judged_headline(judged: Judged) -> str:
    """The verdict with its date; of a removed endpoint since when it is not in the routes."""
    if judged.removed_at is None:
        return headline(judged.verdict)
    return f"Removed; not in the routes since {formats.day(judged.removed_at)}"


def level_label(judged: Judged) -> str:
    """The verdict in a few words; ``Removed`` for an endpoint that is no longer in the routes."""
    return LEVEL_LABELS[judged.verdict.level] if judged.removed_at is None else "Removed"


def level_css(judged: Judged) -> str:
    """The class of the same."""
    return css_of(judged.verdict.level) if judged.removed_at is None else "v-removed"


def removed_line(gone: Gone | None) -> Line:
    """The calls of a removed endpoint."""
    if gone is None or not (gone.calls or gone.noise_calls):
        return Line("seen", "✓", "Seen", "Nobody has called it since.")
    parts: list[str] = []
    if gone.calls and gone.last_day is not None:
        last = formats.day(gone.last_day * SECONDS_PER_DAY)
        days = formats.plural(gone.days, "day")
        parts.append(f"{formats.plural(gone.calls, 'call')} on {days}, the last on {last}")
    if gone.noise_calls:
        calls = formats.plural(gone.noise_calls, "call")
        parts.append(f"{calls} by bots, scanners and health checks")
    return Line("open", "?", "Open", f"Still called, and answered 404: {'; '.join(parts)}.")


def chips_of(judged: Judged) -> list[Chip]:
    """The cadences of use with a letter, the shortest first."""
    today = judged.history.today
    return [
        Chip(CHIPS[one.cadence], _exclusion(one.cadence, one.from_day, today), one.is_excluded)
        for one in judged.verdict.exclusions
        if one.cadence in CHIPS
    ]


def exclusion_words(judged: Judged) -> str:
    """All exclusions: ``Excluded: daily, weekly use. Open: monthly, yearly use.``, in words."""
    excluded = [str(one.cadence) for one in judged.verdict.exclusions if one.is_excluded]
    still_open = [str(one.cadence) for one in judged.verdict.exclusions if not one.is_excluded]
    parts = (("Excluded", excluded), ("Open", still_open))
    return " ".join(f"{name}: {', '.join(found)} use." for name, found in parts if found)


def _exclusion(cadence: Cadence, from_day: int, today: int) -> str:
    name, day = str(cadence).capitalize(), formats.day(from_day * SECONDS_PER_DAY)
    if from_day <= today:
        return f"{name} use is excluded since {day}"
    return f"{name} use is open until {day}"


def weeks_strip(weeks: Sequence[Week]) -> Markup:
    """Weeks of one endpoint as bars."""
    states = [week.state for week in weeks]
    first = next((at for at, one in enumerate(states) if one is not WeekState.ABSENT), len(states))
    return svg.week_strip(
        [None if week.state is WeekState.UNOBSERVED else week.calls for week in weeks],
        first=first,
        title=weeks_words(weeks),
    )


def weeks_words(weeks: Sequence[Week]) -> str:
    """The states of weeks in words, for those who do not see the bars."""
    counts = {state: sum(week.state is state for week in weeks) for state in WeekState}
    there = len(weeks) - counts[WeekState.ABSENT]
    said = [f"Used in {counts[WeekState.USED]} of {formats.plural(there, 'week')}"]
    if counts[WeekState.UNOBSERVED]:
        said.append(f"{counts[WeekState.UNOBSERVED]} not observed")
    if counts[WeekState.ABSENT]:
        said.append(f"not in the routes in {counts[WeekState.ABSENT]}")
    return ", ".join(said)


def releases_words(judged: Judged) -> str:
    """The releases of an endpoint in words; empty where none has a name."""
    said: list[str] = []
    if judged.introduced:
        said.append(f"in the code since release {judged.introduced}")
    if judged.last_called:
        said.append(f"last called in {judged.last_called}")
    text = "; ".join(said)
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def runs_words(runs: Sequence[tuple[int, int]]) -> str:
    """Runs of days, the latest three and a count of the others: ``4 – 12 May 2026, …``."""
    latest = [run_words(*run) for run in runs[-MOST_HOLES:]]
    more = len(runs) - len(latest)
    text = ", ".join(reversed(latest))
    return f"{text} and {formats.plural(more, 'earlier time')}" if more else text


def run_words(first: int, last: int) -> str:
    """A run of days: ``4 May 2026``, ``4 – 12 May 2026``, ``30 Apr – 2 May 2026``."""
    begin, end = (formats.day(day * SECONDS_PER_DAY) for day in (first, last))
    if first == last:
        return begin
    (day, month, year), (_, last_month, last_year) = begin.split(), end.split()
    if year != last_year:
        return f"{begin} – {end}"
    return f"{day} – {end}" if month == last_month else f"{day} {month} – {end}"


@dataclass(frozen=True, slots=True)
class Observed:
    """The observed time of an app in words.

    Attributes:
        summary: ``803 of 812 days``; empty if nothing was observed.
        since: The first day.
        holes: The days that were not observed; empty where there are none.
        not_before: The first days of verdicts that nothing has yet, as a sentence; may be empty.
    """

    summary: str
    since: str
    holes: str
    not_before: str


def observed_words(evidence: AppEvidence) -> Observed:
    """The observed time of an app, and what it is too short for."""
    observation = evidence.observation
    if observation.since_day is None:
        return Observed("", "", "", "")
    total = observation.today - observation.since_day + 1
    whole = total - observation.hole_days
    return Observed(
        summary=f"{formats.number(whole)} of {formats.plural(total, 'day')}",
        since=formats.day(observation.since_day * SECONDS_PER_DAY),
        holes=runs_words(observation.holes),
        not_before=_not_before(evidence, observation),
    )


def unused_from(evidence: AppEvidence) -> int | None:
    """The first day on which an endpoint can be probably unused; None where all are in use."""
    return min(
        (one.verdict.probably_from for one in evidence.endpoints if one.is_read), default=None
    )


def _not_before(evidence: AppEvidence, observation: Observation) -> str:
    """The days before which nothing can be unused, while that is so for want of observation."""
    read = [one.verdict for one in evidence.endpoints if one.is_read]
    said: list[str] = []
    for words, days in (
        ("probably unused", [one.probably_from for one in read]),
        ("safe to remove", [one.safe_from for one in read if one.safe_from is not None]),
    ):
        first = min(days, default=observation.today)
        if first > observation.today:
            said.append(f"{words} before {formats.day(first * SECONDS_PER_DAY)}")
    return f"Nothing is {', or '.join(said)}." if said else ""
