"""A simulated world for verdicts: endpoints, what was observed of them, and what came true.

Each endpoint is judged on every day of three and a half years, from what was recorded up to that
day. A verdict is wrong if somebody calls within the next 400 days, also if a hole hides that call.
"""

import time
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from random import Random

from benchmarks.verdict_behaviours import DAYS, START, Behaviour, load
from fastapi_lens.verdict.callers import Caller, Ledger
from fastapi_lens.verdict.days import day_of
from fastapi_lens.verdict.history import NOISE_WINDOW, History, Noise
from fastapi_lens.verdict.level import Level
from fastapi_lens.verdict.verdict import Verdict, verdict_of

AHEAD = 400
"""Days after a verdict in which a call makes it wrong."""

JUDGED = DAYS - AHEAD
DAY_ROWS = 400
"""Days that rows of days are kept; older uses are known to the week."""

RULES = (7, 30, 90, 180, 400)
"""Days of silence after which rules that know the last call alone say "unused"."""

STATUS_DAYS = 30
"""Of the status that knows the last call alone; what was never called is unused to it at once."""

QUIET, SAMPLED = 30, 61
"""Days of silence up to which only every 61st day is judged: no verdict says "unused" so early."""

UNUSED = frozenset({Level.SAFE_TO_REMOVE, Level.PROBABLY_UNUSED})

EPOCH = day_of(START)
"""Day 0 of the simulation as a day number."""

WHOLE, OUTAGES, HOLES = "whole", "three outages a year, 1 to 3 days", "holes of 1 to 90 days"
NEW_DATABASE, NIGHTS_OFF = "new database at day 500", "every night off"
OBSERVATIONS = (WHOLE, OUTAGES, HOLES, NEW_DATABASE, NIGHTS_OFF)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint and all that ever happens to it. Days are ascending.

    Attributes:
        behaviour: Of which it is one.
        born: The day since which it is in the routes.
        callers: Days of each.
        noise: Days of bots, health checks and tests.
        refused: Days of refused calls.
    """

    behaviour: Behaviour
    born: int
    callers: tuple[tuple[int, ...], ...]
    noise: tuple[int, ...]
    refused: tuple[int, ...]


@cache
def endpoints_of(behaviours: str, seed: int) -> tuple[Endpoint, ...]:
    """All endpoints of a run; the same for the same seed.

    Args:
        behaviours: `MAIN`, `HELD_OUT` or the path of a file.
        seed: Of chance.
    """
    return tuple(_endpoints(load(behaviours), Random(f"endpoints {seed}")))


def _endpoints(behaviours: Sequence[Behaviour], random: Random) -> Iterator[Endpoint]:
    for behaviour in behaviours:
        for _ in range(behaviour.count):
            born = random.randint(30, 900) if behaviour.new else 0
            begin = born + (random.randint(0, behaviour.dark) if behaviour.new else 0)
            callers = [
                tuple(sorted({day for day in each(random, begin, DAYS) if begin <= day < DAYS}))
                for each in behaviour.callers
            ]
            if behaviour.stops:
                callers[0] = _stopped(random, callers[0], behaviour.fade)
            noise, refused = (
                tuple(sorted(each(random, born, DAYS))) if each else ()
                for each in (behaviour.noise, behaviour.refused)
            )
            yield Endpoint(behaviour, born, tuple(callers), noise, refused)


def _stopped(random: Random, days: Sequence[int], fade: int) -> tuple[int, ...]:
    """Days up to a day by chance, before which they get rarer."""
    stop = random.randint(120, JUDGED - 60)
    return tuple(
        day
        for day in days
        if day < stop and (day < stop - fade or random.random() < (stop - day) / max(1, fade))
    )


@dataclass(frozen=True, slots=True)
class Observation:
    """The observation of one run.

    Attributes:
        holes: First and last days, ascending and disjoint.
        share: Of the calls on a hole day that were recorded nevertheless.
        since: The first day that was observed.
    """

    holes: tuple[tuple[int, int], ...]
    share: float = 0.0
    since: int = 0

    def recorded(self, random: Random, days: Sequence[int]) -> tuple[int, ...]:
        """The days on which calls were seen."""
        dark = {day for first, last in self.holes for day in range(first, last + 1)}
        return tuple(day for day in days if day not in dark or random.random() < self.share)


def observation_of(name: str, seed: int) -> Observation:
    """One of `OBSERVATIONS`."""
    random = Random(f"observation {name} {seed}")
    if name == WHOLE:
        return Observation(())
    if name == NEW_DATABASE:
        return Observation(((0, 499),), since=500)
    if name == NIGHTS_OFF:
        return Observation(((0, DAYS),), share=0.67)
    long = (5, 10, 20, 45, 90) if name == HOLES else ()
    pause = (30, 160) if name == HOLES else (60, 180)
    holes: list[tuple[int, int]] = []
    at = random.randint(20, 120)
    while at < DAYS:
        length = random.choice((1, 1, 2, 3, *long))
        holes.append((at, min(DAYS, at + length) - 1))
        at += length + random.randint(*pause)
    return Observation(tuple(holes))


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the simulation.

    Attributes:
        behaviours: `MAIN`, `HELD_OUT` or the path of a file.
        observation: One of `OBSERVATIONS`.
        has_ledger: True if callers are known.
        seed: Seed of the random numbers.
    """

    behaviours: str
    observation: str
    has_ledger: bool
    seed: int


@dataclass(slots=True)
class Outcome:
    """Results of the verdicts on one endpoint in one run.

    Attributes:
        run: The run.
        name: Name of the behaviour.
        group: Group of the behaviour.
        days: Judged days.
        computed: Verdicts that were computed; on the other days nothing had changed.
        seconds: CPU time of these verdicts.
        safe_wrong: Days of a wrong `safe_to_remove`.
        probably_wrong: Days of a wrong `probably_unused`.
        said_yearly: Those of these days on which the verdict warned of possible yearly use.
        rules_wrong: Days on which each rule was wrong; key 0 is the status by the last call.
        is_over: True if nobody calls it any more at the end.
        has_year: True if it was observed for 400 days before the last call.
        first_safe: Days from the last call to the first `safe_to_remove`; None without one.
        first_probably: The same of `probably_unused`, or better.
    """

    run: Run
    name: str
    group: str
    days: int = 0
    computed: int = 0
    seconds: float = 0.0
    safe_wrong: int = 0
    probably_wrong: int = 0
    said_yearly: int = 0
    rules_wrong: dict[int, int] = field(default_factory=dict)
    is_over: bool = False
    has_year: bool = False
    first_safe: int | None = None
    first_probably: int | None = None


def outcomes_of(run: Run) -> list[Outcome]:
    """Judge all endpoints of a run, day by day."""
    observation = observation_of(run.observation, run.seed)
    random = Random(f"recorded {run.observation} {run.seed}")
    return [
        _Judge(endpoint, observation, run, random).outcome()
        for endpoint in endpoints_of(run.behaviours, run.seed)
    ]


class _Judge:
    """Judges one endpoint on every day, and looks up what came true."""

    def __init__(
        self, endpoint: Endpoint, observation: Observation, run: Run, random: Random
    ) -> None:
        """Record what was observed of it."""
        self._observation = observation
        self._true = sorted({day for days in endpoint.callers for day in days})
        self._callers = [observation.recorded(random, days) for days in endpoint.callers]
        self._longest_gaps = [_longest_gaps(days) for days in self._callers]
        self._used = sorted({day for days in self._callers for day in days})
        self._noise = observation.recorded(random, endpoint.noise)
        self._refused = observation.recorded(random, endpoint.refused)
        self._born = max(endpoint.born, observation.since)
        self._has_ledger = run.has_ledger
        self._outcome = Outcome(run, endpoint.behaviour.name, endpoint.behaviour.group)
        self._known: tuple[object, Verdict] | None = None
        self._outcome.rules_wrong = dict.fromkeys((*RULES, 0), 0)
        self._outcome.is_over = not self._true or self._true[-1] < JUDGED - 1
        self._outcome.has_year = bool(self._used) and self._used[-1] - self._born >= AHEAD

    def outcome(self) -> Outcome:
        """Judge all days."""
        events = sorted(day for day in self._events() if self._born <= day < JUDGED)
        for first, end in pairwise([self._born, *events, JUDGED]):
            today = first
            while today < end:
                today = self._judge(today, end)
        return self._outcome

    def _events(self) -> set[int]:
        """Days on which something changes.

        Between two of them the dates of a verdict stay, or get later while a hole goes on.
        """
        # Once a week uses become too old for rows of days.
        too_old = (-(-(day + DAY_ROWS + 1) // 7) * 7 for day in self._used)
        holes = (day for first, last in self._observation.holes for day in (first, last + 1))
        noise = (day for days in (self._noise, self._refused) for day in days)
        ended = (day + NOISE_WINDOW for days in (self._noise, self._refused) for day in days)
        return {*self._true, *self._used, *too_old, *holes, *noise, *ended}

    def _judge(self, today: int, end: int) -> int:
        """Judge the days from one on, and count them.

        Args:
            today: The first day.
            end: The day before which nothing changes but by the dates of the verdict.

        Returns:
            The day that has to be judged next.
        """
        uses = bisect_right(self._used, today)
        quiet_until = self._used[uses - 1] + QUIET + 1 if uses else today
        if today < quiet_until and today % SAMPLED:
            end = min(end, quiet_until)
            self._count(today, end, None)
            return end
        verdict = self._verdict(today, uses)
        dates = (date - EPOCH for date in (verdict.probably_from, verdict.safe_from) if date)
        end = min((end, *(date for date in dates if date > today)))
        self._count(today, end, verdict)
        return end

    def _verdict(self, today: int, uses: int) -> Verdict:
        """The verdict of a day; the one before if only noise came that changes nothing."""
        noise, holes = self._noise_at(today), self._holes_at(today)
        key = (uses, self._oldest(today), holes, noise.is_doubt)
        if self._known is not None and self._known[0] == key:
            verdict = self._known[1]
            if EPOCH + today not in {verdict.probably_from, verdict.safe_from}:
                return verdict
        history = self._history(today, uses, noise)
        begun = time.thread_time()
        verdict = verdict_of(history)
        self._outcome.seconds += time.thread_time() - begun
        self._outcome.computed += 1
        self._known = (key, verdict)
        return verdict

    def _oldest(self, today: int) -> int:
        """The first use that is kept as a day."""
        return bisect_left(self._used, today // 7 * 7 - DAY_ROWS)

    def _holes_at(self, today: int) -> tuple[tuple[int, int], ...]:
        """Holes up to today."""
        return tuple(
            (first, min(last, today)) for first, last in self._observation.holes if first <= today
        )

    def _noise_at(self, today: int) -> Noise:
        if not self._noise and not self._refused:
            return Noise()
        first = today - NOISE_WINDOW
        noise_days, refused_days = (
            bisect_right(days, today) - bisect_right(days, first)
            for days in (self._noise, self._refused)
        )
        return Noise(noise_days, refused_days)

    def _history(self, today: int, uses: int, noise: Noise) -> History:
        oldest = self._oldest(today)
        weeks = {(EPOCH + day) // 7 * 7 for day in self._used[:oldest]}
        return History(
            today=EPOCH + today,
            present_since=EPOCH + self._born,
            observed_since=EPOCH + self._observation.since,
            days=tuple(EPOCH + day for day in self._used[oldest:uses]),
            weeks=tuple(weeks),
            last_used=EPOCH + self._used[uses - 1] if uses else None,
            holes=tuple((EPOCH + first, EPOCH + last) for first, last in self._holes_at(today)),
            noise=noise,
            ledger=self._ledger(today) if self._has_ledger else None,
        )

    def _ledger(self, today: int) -> Ledger:
        callers: list[Caller] = []
        for number, (days, gaps) in enumerate(zip(self._callers, self._longest_gaps, strict=True)):
            seen = bisect_right(days, today)
            if seen:
                first, last = EPOCH + days[0], EPOCH + days[seen - 1]
                callers.append(Caller(f"caller {number}", first, last, seen, gaps[seen - 1]))
        return Ledger(EPOCH + self._born, tuple(callers))

    def _count(self, first: int, end: int, verdict: Verdict | None) -> None:
        """Count the days from the first one to the one before the end.

        Args:
            first: The only day of them on which somebody may have called.
            end: The day after the last one.
            verdict: Of all these days; None where the endpoint is in use.
        """
        outcome = self._outcome
        outcome.days += end - first
        at = bisect_right(self._true, first)
        if at < len(self._true):
            self._count_wrong(range(max(first, self._true[at] - AHEAD), end), verdict)
        elif outcome.is_over and verdict is not None:
            since = self._true[-1] if self._true else self._born
            if outcome.first_probably is None and verdict.level in UNUSED:
                outcome.first_probably = first - since
            if outcome.first_safe is None and verdict.level is Level.SAFE_TO_REMOVE:
                outcome.first_safe = first - since

    def _count_wrong(self, days: range, verdict: Verdict | None) -> None:
        """Count days on which it is wrong to say that an endpoint is unused.

        Args:
            days: All of them, perhaps none.
            verdict: Of all these days; None where the endpoint is in use.
        """
        outcome = self._outcome
        if verdict is not None and verdict.level in UNUSED:
            yearly = verdict.exclusions[-1].from_day - EPOCH
            outcome.probably_wrong += len(days)
            outcome.said_yearly += len(range(days.start, min(days.stop, yearly)))
            outcome.safe_wrong += len(days) * (verdict.level is Level.SAFE_TO_REMOVE)
        # Rules that know the last call alone; to them bots and refused calls are calls.
        seen = (self._used, self._noise, self._refused)
        calls = (each[at - 1] for each in seen if (at := bisect_right(each, days.start)))
        last = max(calls, default=None)
        silent_since = self._born if last is None else last
        for rule in RULES:
            outcome.rules_wrong[rule] += len(_from(days, silent_since + rule + 1))
        status_from = days.start if last is None else last + STATUS_DAYS + 1
        outcome.rules_wrong[0] += len(_from(days, status_from))


def _from(days: range, day: int) -> range:
    """Those not before a day."""
    return range(max(days.start, day), days.stop)


def _longest_gaps(days: Sequence[int]) -> list[int]:
    """The longest gap up to each day."""
    found, longest = [], 0
    for index, day in enumerate(days):
        longest = max(longest, day - days[index - 1]) if index else 0
        found.append(longest)
    return found


def by(outcomes: Sequence[Outcome], *names: str) -> Mapping[tuple[object, ...], list[Outcome]]:
    """Outcomes by attributes of theirs or of their run, in the order in which they came."""
    found: dict[tuple[object, ...], list[Outcome]] = {}
    for outcome in outcomes:
        key = tuple(
            getattr(outcome.run if hasattr(outcome.run, name) else outcome, name) for name in names
        )
        found.setdefault(key, []).append(outcome)
    return found
