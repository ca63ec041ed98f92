"""Tables and budgets of verdicts on simulated endpoints, and their section of RESULTS.md.

Simulates nothing.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import chain
from statistics import median_high

from benchmarks.findings import Verdict
from benchmarks.machine import machine, versions
from benchmarks.verdict_behaviours import (
    HELD_OUT,
    HIDDEN,
    HIDDEN_YEARLY,
    IRREGULAR,
    MAIN,
    NEVER,
    STEADY,
    STOPPED,
    YEARLY,
)
from benchmarks.verdict_world import NEW_DATABASE, RULES, WHOLE, Outcome, by

LEARNABLE = (STEADY, YEARLY, HIDDEN, HIDDEN_YEARLY)
"""Groups in which safe must never be wrong."""

MOST_IRREGULAR_WRONG = 8 / 144
"""The share of irregular endpoints, observed throughout, that no watching can exclude."""

MOST_PROBABLY_DAYS, MOST_SAFE_DAYS, MOST_SAFE_DAYS_PLAIN = 32, 102, 407
"""Days after the last use of a daily caller that stops, observed throughout."""

DAILY_STOPS = "daily, stops"

_FIRST = "| observation | group | endpoints | safe, plain | safe, ledger |"


def tables(outcomes: Sequence[Outcome]) -> str:
    """The tables of one set of behaviours: wrong verdicts, and delays."""
    return "\n\n".join(filter(None, (_wrong_table(outcomes), _delay_table(outcomes))))


def _wrong_table(outcomes: Sequence[Outcome]) -> str:
    rules = " | ".join(f"{rule} d" for rule in RULES)
    rows = [
        f"{_FIRST} probably, plain | probably, ledger | said yearly is open | {rules} | status |",
        "|---" * (9 + len(RULES)) + "|",
    ]
    for (observation, group), found in by(outcomes, "observation", "group").items():
        plain = [each for each in found if not each.run.has_ledger]
        ledger = [each for each in found if each.run.has_ledger]
        said, wrong = (
            sum(getattr(each, name) for each in found) for name in ("said_yearly", "probably_wrong")
        )
        cells = [
            str(observation),
            str(group),
            str(len(plain)),
            *(str(_wrong(each, "safe_wrong")) for each in (plain, ledger)),
            *(str(_wrong(each, "probably_wrong")) for each in (plain, ledger)),
            f"{said:,} of {wrong:,} days",
            *(str(sum(each.rules_wrong[rule] > 0 for each in plain)) for rule in (*RULES, 0)),
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def _wrong(outcomes: Sequence[Outcome], name: str) -> int:
    """Endpoints on which a verdict was wrong on any day."""
    return sum(getattr(each, name) > 0 for each in outcomes)


def _delay_table(outcomes: Sequence[Outcome]) -> str:
    rows = [
        "| stops, observed throughout | endpoints | probably | safe, plain | safe, ledger |",
        "|---|---|---|---|---|",
    ]
    over = [
        each
        for each in outcomes
        if each.is_over and each.group in {STOPPED, NEVER} and each.run.observation == WHOLE
    ]
    for (name,), found in by(over, "name").items():
        plain = [each for each in found if not each.run.has_ledger]
        ledger = [each for each in found if each.run.has_ledger]
        cells = [
            _days([each.first_probably for each in plain]),
            _days([each.first_safe for each in plain]),
            _days([each.first_safe for each in ledger]),
        ]
        rows.append(f"| {name} | {len(plain)} | {' | '.join(cells)} |")
    return "\n".join(rows) if over else ""


def _days(delays: Sequence[int | None]) -> str:
    """Median, most and count of the delays that ended before the simulation did."""
    known = [delay for delay in delays if delay is not None]
    if not known:
        return "not reached"
    return f"{median_high(known)} d, at most {max(known)} d ({len(known)})"


def verdicts(outcomes: Sequence[Outcome]) -> list[Verdict]:
    """The budgets, and what was found."""
    main = [each for each in outcomes if each.run.behaviours == MAIN]
    held_out = [each for each in outcomes if each.run.behaviours == HELD_OUT]
    found = [
        _never_wrong("wrongly safe: steady, yearly, hidden, hidden yearly", main),
        _never_wrong("the same of the behaviours that were held out", held_out),
    ]
    irregular = [each for each in main if each.group == IRREGULAR and each.run.observation == WHOLE]
    for has_ledger, name in ((False, "plain"), (True, "ledger")):
        group = [each for each in irregular if each.run.has_ledger is has_ledger]
        most = MOST_IRREGULAR_WRONG * len(group)
        wrong = _wrong(group, "safe_wrong")
        found.append(
            Verdict(
                f"wrongly safe: irregular, observed throughout, {name}",
                f"at most {most:g} of {len(group)}",
                str(wrong),
                wrong <= most,
            )
        )
    yearly = [each for each in chain(main, held_out) if each.group in {YEARLY, HIDDEN_YEARLY}]
    said, wrong = (
        sum(getattr(each, name) for each in yearly) for name in ("said_yearly", "probably_wrong")
    )
    found.append(
        Verdict(
            "wrongly probably, yearly and hidden yearly: says that yearly is open",
            "all days",
            f"{said:,} of {wrong:,} days",
            said == wrong,
        )
    )
    return [*found, *_delays(main)]


def _never_wrong(what: str, outcomes: Sequence[Outcome]) -> Verdict:
    group = [each for each in outcomes if each.group in LEARNABLE]
    wrong = _wrong(group, "safe_wrong")
    return Verdict(what, "none", f"{wrong} of {len(group):,} endpoints and runs", wrong == 0)


def _delays(outcomes: Sequence[Outcome]) -> list[Verdict]:
    stopped = [
        each for each in outcomes if each.name == DAILY_STOPS and each.run.observation == WHOLE
    ]
    with_year = [each.first_safe for each in stopped if each.run.has_ledger and each.has_year]
    plain = [each.first_safe for each in stopped if not each.run.has_ledger]
    return [
        _at_most("probably", MOST_PROBABLY_DAYS, [each.first_probably for each in stopped]),
        _at_most("safe, with a year's ledger", MOST_SAFE_DAYS, with_year),
        _at_most("safe, without", MOST_SAFE_DAYS_PLAIN, plain),
    ]


def _at_most(what: str, most: int, delays: Sequence[int | None]) -> Verdict:
    known = [delay for delay in delays if delay is not None]
    longest = max(known, default=None)
    return Verdict(
        f"days after the last use of a daily caller that stops: {what}",
        f"at most {most}",
        "not reached" if longest is None else f"{longest} ({len(known)} endpoints and runs)",
        None if longest is None else longest <= most,
    )


def microseconds(outcomes: Sequence[Outcome]) -> float:
    """CPU time of one verdict."""
    return sum(each.seconds for each in outcomes) / sum(each.computed for each in outcomes) * 1e6


def section(outcomes: Sequence[Outcome], *, command: str) -> str:
    """The section."""
    sets = by(outcomes, "behaviours")
    days = sum(each.days for each in outcomes)
    computed = sum(each.computed for each in outcomes)
    parts = [
        f"""## May this endpoint be deleted?

`{command}`, {datetime.now(UTC).date().isoformat()}, {machine()}, Python \
{versions()["Python"]}. Simulated endpoints of four and a half years, each judged on every day \
from what was recorded up to then: {days:,} verdicts, of which {computed:,} were computed, in \
{microseconds(outcomes):.0f} µs of CPU each; on the other days nothing had changed. A verdict is \
wrong if somebody calls within the next 400 days, also if a hole hides that call. Numbers count \
endpoints with a wrong verdict on any day, over all seeds. The last columns are rules that know \
the last call alone, by days of silence, and the status of the admin, to which an endpoint is \
unused after 30 days, or if it was never called. *{NEW_DATABASE.capitalize()}* loses what was \
before."""
    ]
    for (name,), found in sets.items():
        title = "The behaviours that the rules were made for" if name == MAIN else None
        title = title or ("Behaviours that were held out" if name == HELD_OUT else str(name))
        parts.append(f"### {title}\n\n{tables(found)}")
    if {(MAIN,), (HELD_OUT,)} <= sets.keys():
        rows = [
            f"| {each.what} | {each.budget} | {each.measured} | {_word(each)} |"
            for each in verdicts(outcomes)
        ]
        parts.append(
            "\n".join(
                ["### Budgets\n", "| what | budget | measured |  |", "|---|---|---|---|", *rows]
            )
        )
    return "\n\n".join(parts)


def _word(verdict: Verdict) -> str:
    if verdict.within is None:
        return "not measured"
    return "within" if verdict.within else "**above**"
