"""Tables of false alarms and found changes, and their section of RESULTS.md. Simulates nothing."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from statistics import median_high

from benchmarks.changes_world import HELD_OUT, MAIN, Found
from benchmarks.machine import machine, versions
from fastapi_lens.changes.change import Kind

DAY, TWO_DAYS = 4, 8
"""Quarters of a day."""

BUDGET_A_WEEK = 1.0
"""False alarms of 50 endpoints."""


def section(quiet: Sequence[Found], planted: Sequence[Found], *, weeks: int, command: str) -> str:
    """The section.

    Args:
        quiet: Endpoints of quiet weeks.
        planted: Endpoints with planted changes.
        weeks: Quiet ones, of the main noise; a third of them of the others.
        command: That was called.
    """
    return "\n\n".join(
        [
            f"""## What changed?

`{command}`, {datetime.now(UTC).date().isoformat()}, {machine()}, Python \
{versions()["Python"]}. Simulated endpoints with a daily and a weekly rhythm of calls and \
durations, from 20 to 20,000 calls a day, lognormal durations (sigma 0.5 to 1) and noise from day \
to day of ±10 % (twice the standard deviation; half of it lasts to the next day), looked at four \
times a day. A false alarm is a "slower" or "failing more" in a quiet week; it counts once while \
it stays. A planted change begins at any quarter of a day, and is found in 24 h if it is reported \
at the end of the 24 hours after it. The rules were made with the first family of noise; the \
others were held out.""",
            f"### False alarms\n\n{_quiet_table(quiet, weeks)}",
            f"### Planted changes\n\n{_planted_table(planted)}",
            f"### 30 % slower at 500 calls a day, by noise\n\n{_noise_table(planted)}",
        ]
    )


def _quiet_table(found: Sequence[Found], weeks: int) -> str:
    rows = [
        "| noise | endpoints | weeks | slower | failing | a week, of 50 | weeks 0, 1, more |  |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for noise in (*MAIN, *HELD_OUT):
        group = [each for each in found if each.noise == noise.name]
        seeds = {each.seed for each in group}
        each_weeks = weeks if noise in MAIN else max(1, weeks // 3)
        kinds = Counter(kind for each in group for _, kind in each.alarms)
        a_week = Counter((each.seed, week) for each in group for week, _ in each.alarms)
        total = each_weeks * len(seeds)
        once = sum(number == 1 for number in a_week.values())
        endpoints = len(group) // max(1, len(seeds))
        mean = sum(kinds.values()) / max(1, total) * 50 / max(1, endpoints)
        rows.append(
            f"| {noise.name} | {endpoints} | {total} "
            f"| {kinds[Kind.SLOWER]} | {kinds[Kind.FAILING_MORE]} | {mean:.2f} "
            f"| {total - len(a_week)}, {once}, {len(a_week) - once} "
            f"| {'within' if mean <= BUDGET_A_WEEK else '**above**'} |"
        )
    return "\n".join(rows)


def _planted_table(found: Sequence[Found]) -> str:
    main = [each for each in found if each.noise == MAIN[0].name]
    names = list(dict.fromkeys(each.what.partition("|")[0] for each in main))
    calls = sorted({int(each.what.partition("|")[2]) for each in main})
    head = " | ".join(f"{number:,} calls a day: 24 h, 48 h, median" for number in calls)
    rows = [f"| change | {head} |", "|---" * (1 + len(calls)) + "|"]
    for name in names:
        cells = [
            _delays([each.delay for each in main if each.what == f"{name}|{number}"])
            for number in calls
        ]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(rows)


def _noise_table(found: Sequence[Found]) -> str:
    rows = ["| noise | found in 24 h, 48 h, median |", "|---|---|"]
    for noise in HELD_OUT:
        delays = [each.delay for each in found if each.noise == noise.name]
        rows.append(f"| {noise.name} | {_delays(delays)} |")
    return "\n".join(rows)


def _delays(delays: Sequence[int | None]) -> str:
    known = [delay for delay in delays if delay is not None]
    if not known:
        return "none"
    shares = (sum(delay <= most for delay in known) / len(delays) for most in (DAY, TWO_DAYS))
    return f"{', '.join(f'{share:.0%}' for share in shares)}, {6 * median_high(known)} h"
