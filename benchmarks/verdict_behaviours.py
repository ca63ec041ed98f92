"""Behaviours of simulated endpoints: the days of each caller. Judges nothing.

A generator ``f(random, first, last) -> days`` gives the days of one caller in ``first <= day <
last``, ascending; day 0 is `START`. `kind` registers a behaviour: a group, one generator for each
caller, and what else happens to the endpoint. A file of further behaviours finds `kind`,
`days_where` and `date_at` as globals.
"""

import runpy
from calendar import monthrange
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from random import Random

START = date(2021, 1, 1)
DAYS = 1_660
"""Simulated days: four and a half years."""

_DATES = tuple(START + timedelta(days=day) for day in range(DAYS + 1))

Generator = Callable[[Random, int, int], Iterable[int]]

STEADY, YEARLY, HIDDEN, HIDDEN_YEARLY = "steady", "yearly", "hidden", "hidden yearly"
IRREGULAR, STOPPED, NOISE, NEVER = "irregular", "stopped", "noise", "never"


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One behaviour.

    Attributes:
        name: Name of the behaviour.
        group: Group of behaviours, which determines the correct verdict; see the constants.
        callers: One generator for each caller.
        count: Endpoints with this behaviour in each run.
        stops: True if the first caller stops permanently on some day.
        fade: Days before that day during which its calls become rarer.
        new: True if the endpoint appears in the first 900 days, not on the first one.
        dark: Maximum number of days between its appearance and the first possible call.
        noise: A generator of days on which bots, health checks or tests call.
        refused: A generator of days on which calls are refused.
    """

    name: str
    group: str
    callers: tuple[Generator, ...]
    count: int
    stops: bool
    fade: int
    new: bool
    dark: int
    noise: Generator | None
    refused: Generator | None


@dataclass(slots=True)
class Registry:
    """Behaviours, in the order in which they were registered."""

    behaviours: list[Behaviour] = field(default_factory=list)

    def kind(  # noqa: PLR0913 - the shape that files of behaviours use
        self,
        name: str,
        group: str,
        *callers: Generator,
        n: int = 8,
        stops: bool = False,
        fade: int = 0,
        new: bool = False,
        dark: int = 0,
        noise: Generator | None = None,
        refused: Generator | None = None,
    ) -> None:
        """Register a behaviour of n endpoints, see `Behaviour`."""
        self.behaviours.append(
            Behaviour(name, group, callers, n, stops, fade, new, dark, noise, refused)
        )


def date_at(day: int) -> date:
    """The date of a simulated day."""
    return _DATES[day]


def days_where(test: Callable[[date, int], bool], first: int = 0, last: int = DAYS) -> list[int]:
    """The days whose date and number pass a test."""
    return [day for day in range(first, last) if test(date_at(day), day)]


def daily(_: Random, first: int, last: int) -> Iterable[int]:
    """Every day."""
    return range(first, last)


def most_days(random: Random, first: int, last: int) -> Iterable[int]:
    """Nine days of ten."""
    return [day for day in range(first, last) if random.random() < 0.9]


def working_days(_: Random, first: int, last: int) -> Iterable[int]:
    """Monday to Friday, without some holidays."""
    holidays = {(1, 1), (5, 1), (12, 24), (12, 25), (12, 26), (12, 31)}
    return days_where(
        lambda at, _: at.weekday() < 5 and (at.month, at.day) not in holidays, first, last
    )


def closed_at_christmas(_: Random, first: int, last: int) -> Iterable[int]:
    """Working days but for those from 23 December to 2 January."""
    return days_where(
        lambda at, _: (
            at.weekday() < 5
            and not (at.month == 12 and at.day >= 23)
            and not (at.month == 1 and at.day <= 2)
        ),
        first,
        last,
    )


def every(period: int) -> Generator:
    """One day of each period, which day by chance."""

    def generate(random: Random, first: int, last: int) -> Iterable[int]:
        phase = random.randrange(period)
        return [day for day in range(first, last) if day % period == phase]

    return generate


def skipping(generator: Generator, share: float) -> Generator:
    """All of another's days but a share."""

    def generate(random: Random, first: int, last: int) -> Iterable[int]:
        return [day for day in generator(random, first, last) if random.random() >= share]

    return generate


def shifted(generator: Generator, most: int) -> Generator:
    """Another's days, each up to some days earlier or later."""

    def generate(random: Random, first: int, last: int) -> Iterable[int]:
        days = {day + random.randint(-most, most) for day in generator(random, first, last)}
        return sorted(day for day in days if first <= day < last)

    return generate


def is_last_of_month(at: date) -> bool:
    """True for the last day of a month."""
    return at.day == monthrange(at.year, at.month)[1]


def month_end(_: Random, first: int, last: int) -> Iterable[int]:
    """The last day of each month."""
    return days_where(lambda at, _: is_last_of_month(at), first, last)


def first_working_day(_: Random, first: int, last: int) -> Iterable[int]:
    """The first working day of each month."""
    return days_where(
        lambda at, _: at.weekday() < 5 and (at.day == 1 or (at.day <= 3 and at.weekday() == 0)),
        first,
        last,
    )


def quarter_end(_: Random, first: int, last: int) -> Iterable[int]:
    """The last day of each quarter."""
    return days_where(lambda at, _: at.month % 3 == 0 and is_last_of_month(at), first, last)


def week_after_quarter(_: Random, first: int, last: int) -> Iterable[int]:
    """The working days of the first week of each quarter."""
    return days_where(
        lambda at, _: at.month % 3 == 1 and 2 <= at.day <= 8 and at.weekday() < 5, first, last
    )


def twice_a_year(random: Random, first: int, last: int) -> Iterable[int]:
    """A day in March and in September."""
    chosen = random.randint(1, 28)
    return days_where(lambda at, _: at.month in (3, 9) and at.day == chosen, first, last)


def once_a_year(random: Random, first: int, last: int) -> Iterable[int]:
    """One day of the year."""
    chosen = (random.randint(1, 12), random.randint(1, 28))
    return days_where(lambda at, _: (at.month, at.day) == chosen, first, last)


def season(months: Sequence[int], share: float) -> Generator:
    """A share of the days of some months."""

    def generate(random: Random, first: int, last: int) -> Iterable[int]:
        return [
            day
            for day in range(first, last)
            if date_at(day).month in months and random.random() < share
        ]

    return generate


def school_days(_: Random, first: int, last: int) -> Iterable[int]:
    """Working days without July, August and the end of December."""
    return days_where(
        lambda at, _: (
            at.weekday() < 5 and at.month not in (7, 8) and not (at.month == 12 and at.day > 20)
        ),
        first,
        last,
    )


def bursts(random: Random, first: int, last: int) -> Iterable[int]:
    """One or two weeks of use, then a pause of 40 to 150 days."""
    days: list[int] = []
    at = first + random.randint(0, 40)
    while at < last:
        length = random.randint(5, 14)
        days += [day for day in range(at, min(last, at + length)) if random.random() < 0.8]
        at += length + random.randint(40, 150)
    return days


def decaying(random: Random, first: int, last: int) -> Iterable[int]:
    """Every day at first, half as often after each 40 to 90 days."""
    half_life = random.choice((40, 60, 90))
    return [
        day for day in range(first, last) if random.random() < 0.5 ** ((day - first) / half_life)
    ]


def poisson(mean: int) -> Generator:
    """Days by chance, so many apart on average."""

    def generate(random: Random, first: int, last: int) -> Iterable[int]:
        return [day for day in range(first, last) if random.random() < 1 / mean]

    return generate


def register_main(registry: Registry) -> None:
    """The behaviours that the rules were made for: 428 endpoints."""
    kind = registry.kind
    steady = {
        "daily": daily,
        "most days": most_days,
        "working days": working_days,
        "weekly": every(7),
        "weekly, one in 12 left out": skipping(every(7), 0.08),
        "every two weeks": every(14),
        "last of the month": month_end,
        "first working day": first_working_day,
        "last of the month, one in 10 left out": skipping(month_end, 0.1),
        "last of the quarter": quarter_end,
        "last of the quarter ± 3 days": shifted(quarter_end, 3),
        "week after the quarter": week_after_quarter,
    }
    yearly = {
        "twice a year": twice_a_year,
        "once a year": once_a_year,
        "once a year ± 10 days": shifted(once_a_year, 10),
        "winter": season((11, 12, 1), 0.9),
        "tax season": season((2, 3, 4), 0.8),
        "school days": school_days,
    }
    for name, generator in steady.items():
        kind(name, STEADY, generator)
    for name, generator in yearly.items():
        kind(name, YEARLY, generator)
    kind("bursts", IRREGULAR, bursts)
    kind("decaying", IRREGULAR, decaying)
    for mean in (30, 60, 100, 200):
        kind(f"by chance, 1 in {mean} days", IRREGULAR, poisson(mean))
    for name in ("daily", "working days", "weekly", "last of the month", "last of the quarter"):
        kind(f"{name}, stops", STOPPED, steady[name], stops=True)
    kind("bursts, stops", STOPPED, bursts, stops=True)
    kind("school days, stops", STOPPED, school_days, stops=True)
    kind("daily, fades over 60 days", STOPPED, daily, stops=True, fade=60)
    for name in ("last of the month", "last of the quarter", "last of the quarter ± 3 days"):
        kind(f"daily, stops; {name}", HIDDEN, daily, steady[name], stops=True, n=6)
    kind("daily, stops; twice a year", HIDDEN_YEARLY, daily, twice_a_year, stops=True, n=6)
    kind("daily, stops; once a year", HIDDEN_YEARLY, daily, once_a_year, stops=True, n=6)
    kind(
        "working days, stops; once a year",
        HIDDEN_YEARLY,
        working_days,
        once_a_year,
        stops=True,
        n=6,
    )
    kind("two daily callers, one stops", STEADY, daily, most_days, stops=True, n=6)
    for name in ("daily", "weekly", "last of the month", "last of the quarter"):
        kind(f"new, {name}", STEADY, steady[name], new=True, dark=60, n=6)
    kind("new, once a year", YEARLY, once_a_year, new=True, dark=60, n=6)
    kind("never called", NEVER)
    kind("new, never called", NEVER, new=True)
    kind("bots only", NOISE, noise=most_days, n=6)
    kind("health checks only", NOISE, noise=daily, n=4)
    kind("refused only", NOISE, refused=most_days, n=6)
    kind("bots; last of the quarter", STEADY, quarter_end, noise=most_days, n=6)
    kind("refused; last of the month", STEADY, month_end, refused=most_days, n=6)
    for name, generator in (
        ("working days, closed at Christmas", closed_at_christmas),
        ("by chance, 1 in 3 days", poisson(3)),
    ):
        kind(name, STEADY, generator)
        kind(f"{name}, stops", STOPPED, generator, stops=True)
        kind(f"{name}, stops; last of the quarter", HIDDEN, generator, quarter_end, stops=True, n=6)
        kind(f"{name}, stops; once a year", HIDDEN_YEARLY, generator, once_a_year, stops=True, n=6)


def without_months(generator: Generator, months: Sequence[int]) -> Generator:
    """Another's days without some months."""

    def generate(random: Random, first: int, last: int) -> Iterable[int]:
        return [day for day in generator(random, first, last) if date_at(day).month not in months]

    return generate


def quarters_left_out(random: Random, first: int, last: int) -> Iterable[int]:
    """The last day of each quarter, of which one is left out on average, at times none or two."""
    days = list(quarter_end(random, first, last))
    return [day for day in days if day != random.choice(days)]


def second_tuesday(_: Random, first: int, last: int) -> Iterable[int]:
    """The second Tuesday of each month."""
    return days_where(lambda at, _: at.weekday() == 1 and 8 <= at.day <= 14, first, last)


def runs_of(length: int, period: int) -> Generator:
    """Some days in a row, once a period."""

    def generate(random: Random, first: int, last: int) -> Iterable[int]:
        phase = random.randrange(period)
        return [day for day in range(first, last) if (day + phase) % period < length]

    return generate


def in_week_of_year(random: Random, first: int, last: int) -> Iterable[int]:
    """Working days of one week of the year."""
    week = random.randint(2, 50)
    return days_where(lambda at, _: at.isocalendar().week == week and at.weekday() < 5, first, last)


def register_held_out(registry: Registry) -> None:
    """Behaviours that were made after the rules, and changed nothing in them."""
    kind = partial(registry.kind, n=4)
    for period in (3, 5, 10, 21, 45, 60, 75):
        kind(f"every {period} days", STEADY, every(period))
    kind("second Tuesday of the month", STEADY, second_tuesday)
    kind("every four weeks ± 4 days", STEADY, shifted(every(28), 4))
    kind("every three weeks, one in 7 left out", STEADY, skipping(every(21), 0.15))
    kind("a quarter left out", STEADY, quarters_left_out)
    kind("three days every six weeks", STEADY, runs_of(3, 42))
    kind("ten days every quarter", STEADY, runs_of(10, 91))
    kind("working days, no August", STEADY, without_months(working_days, (8,)))
    kind("weekly, no Christmas month", STEADY, without_months(every(7), (12,)))
    kind("new, every 45 days", STEADY, every(45), new=True, dark=90)
    kind("new, second Tuesday", STEADY, second_tuesday, new=True, dark=30)
    kind("monthly, no summer", YEARLY, without_months(month_end, (6, 7, 8, 9)))
    kind("one week a year", YEARLY, in_week_of_year)
    kind("November weekends", YEARLY, season((11,), 0.3))
    kind("every 10 days, half of the year", YEARLY, without_months(every(10), (4, 5, 6, 7, 8, 9)))
    kind("new, one week a year", YEARLY, in_week_of_year, new=True, dark=200)
    for name, rare in (
        ("every 45 days", every(45)),
        ("a quarter left out", quarters_left_out),
        ("second Tuesday", second_tuesday),
        ("ten days every quarter", runs_of(10, 91)),
    ):
        kind(f"weekly, stops; {name}", HIDDEN, every(7), rare, stops=True)
        kind(f"daily, fades; {name}", HIDDEN, daily, rare, stops=True, fade=90)
    kind(
        "working days, stops; one week a year",
        HIDDEN_YEARLY,
        working_days,
        in_week_of_year,
        stops=True,
    )
    kind("weekly, fades; twice a year", HIDDEN_YEARLY, every(7), twice_a_year, stops=True, fade=120)
    kind("daily and monthly; once a year", HIDDEN_YEARLY, daily, once_a_year, month_end, stops=True)


MAIN, HELD_OUT = "main", "held out"


class BehavioursError(ValueError):
    """A file of behaviours cannot be used; the message names the behaviour and the fault."""


def load(name: str) -> list[Behaviour]:
    """The behaviours of a set.

    Args:
        name: `MAIN`, `HELD_OUT`, or the path of a file that registers others.

    Raises:
        BehavioursError: The file cannot be used.
    """
    registry = Registry()
    if name == MAIN:
        register_main(registry)
    elif name == HELD_OUT:
        register_held_out(registry)
    else:
        _run(name, registry)
    return registry.behaviours


def _run(file: str, registry: Registry) -> None:
    """Let a file register its behaviours, and try each of its generators once."""
    given = {"kind": registry.kind, "days_where": days_where, "date_at": date_at}
    try:
        runpy.run_path(str(Path(file)), init_globals=given)
    except Exception as error:
        raise BehavioursError(f"{file} cannot be run: {_words(error)}") from error
    if not registry.behaviours:
        raise BehavioursError(f"{file} registers nothing: call kind(name, group, *generators)")
    for behaviour in registry.behaviours:
        try:
            _require_usable(behaviour)
        except Exception as error:
            raise BehavioursError(f"{file}: {behaviour.name!r}: {_words(error)}") from error


def _require_usable(behaviour: Behaviour) -> None:
    if behaviour.stops and not behaviour.callers:
        raise BehavioursError("it has no caller that could stop")
    for generator in (*behaviour.callers, behaviour.noise, behaviour.refused):
        days = generator(Random(0), 0, DAYS) if generator else ()
        wrong = next((day for day in days if type(day) is not int), None)
        if wrong is not None:
            raise BehavioursError(f"a generator must give day numbers as int, not {wrong!r}")


def _words(error: Exception) -> str:
    kind = "" if isinstance(error, BehavioursError) else f"{type(error).__name__}: "
    return f"{kind}{error}"
