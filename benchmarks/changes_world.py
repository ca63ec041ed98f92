"""A simulated world for changes: endpoints with a daily and weekly rhythm, noise, planted changes.

Rows are quarters of a day (6 hours), so that changes can be looked for four times a day.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import cos, erf, exp, log, pi, sqrt
from random import Random

from fastapi_lens.changes.change import Change, Kind
from fastapi_lens.changes.changes import Period, changes_of
from fastapi_lens.changes.rows import DAY, Days, Durations, Row
from fastapi_lens.changes.usual import BASELINE_DAYS
from fastapi_lens.histogram.histogram import BUCKETS, Histogram, bucket_edges, bucket_index

QUARTER = DAY // 4
START = 20_454 * DAY
"""1 January 2026, a Thursday."""

WEEK = 7
PERIOD = WEEK * DAY
_DRAWN = 300
"""Calls of a row up to which each is drawn by itself; above, the calls of each bucket are."""

_NORMAL = 30.0
"""Expected calls from which on a normal distribution stands for Poisson's."""

_LOG_EDGES = tuple(log(max(1.0, bucket_edges(index)[1])) for index in range(BUCKETS))
_NIGHT_TO_EVENING = (0.12, 0.3, 0.38, 0.2)


@dataclass(frozen=True, slots=True)
class Noise:
    """A family of noise. All numbers are standard deviations of logarithms unless they say what.

    Attributes:
        name: In tables.
        duration: Of the duration from day to day.
        correlation: Of that of one day and the next: 0 to 1.
        sigma: Of the durations of single calls, from and to: each endpoint has its own.
        share: Of the share of failed calls from day to day.
        calls: Of the number of calls from day to day.
        timeouts: Share of calls that take 30 s.
        slow_days: Share of days on which all is 40 % slower.
        bursts: Bursts of errors in a week.
        drift: Change of durations in a week.
        steps: Of a random walk of durations from day to day.
        is_bimodal: True if a third of the calls (a cache that misses) takes eight times as long,
            and that third is another one each day.
    """

    name: str
    duration: float = 0.05
    correlation: float = 0.5
    sigma: tuple[float, float] = (0.5, 1.0)
    share: float = 0.2
    calls: float = 0.1
    timeouts: float = 0.0
    slow_days: float = 0.0
    bursts: float = 0.0
    drift: float = 0.0
    steps: float = 0.0
    is_bimodal: bool = False


MAIN = (Noise("±10 %, correlated"),)
HELD_OUT = (
    Noise("none", duration=0.0, share=0.0),
    Noise("±20 %", duration=0.1, share=0.4),
    Noise("±10 %, correlation 0.9", correlation=0.9),
    Noise("1 % of calls time out", timeouts=0.01),
    Noise("1 day in 30 is 40 % slower", slow_days=1 / 30),
    Noise("a random walk of 3 % a day", steps=0.03),
    Noise("drift of 3 % a week", drift=0.03),
    Noise("a cache, hit by 60 to 75 % of calls", is_bimodal=True),
    Noise("a burst of errors every second week", bursts=0.5),
    Noise("heavier tails (sigma 1.5)", sigma=(1.5, 1.5)),
    Noise("traffic ±60 %", calls=0.3),
)


@dataclass(frozen=True, slots=True)
class Plant:
    """A change that is planted.

    Attributes:
        quarter: From which on.
        slower: Factor of durations.
        tail: Factor of the durations of one call in ten.
        share: Factor of the share of failed calls.
        points: Addition to that share: 0.03 is three points.
    """

    quarter: int
    slower: float = 1.0
    tail: float = 1.0
    share: float = 1.0
    points: float = 0.0


NO_PLANT = Plant(0)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint.

    Attributes:
        calls: A day, on workdays.
        median_ms: Of its durations.
        sigma: Of their logarithms.
        share: Of failed calls.
        weekend: Calls of a day of the weekend, beside those of a workday.
        load: Addition of load to durations: the difference of day and night, and half of that of
            workdays and weekends.
    """

    calls: float
    median_ms: float
    sigma: float
    share: float
    weekend: float
    load: float

    @classmethod
    def drawn(cls, random: Random, noise: Noise, calls: float | None = None) -> "Endpoint":
        """An endpoint by chance; with a number of calls where it is given."""
        return cls(
            calls=exp(random.uniform(log(20), log(20_000))) if calls is None else calls,
            median_ms=exp(random.uniform(log(2), log(400))),
            sigma=random.uniform(*noise.sigma),
            share=random.choice((0.0, 0.0005, 0.002, 0.01, 0.05)),
            weekend=random.uniform(0.2, 1.0) if calls is None else 1.0,
            load=random.uniform(0, 0.15),
        )


@dataclass(slots=True)
class History:
    """Rows of one endpoint, and what changes are found in them at each quarter."""

    rows: list[Row] = field(default_factory=list)
    histograms: list[Histogram] = field(default_factory=list)
    days: dict[int, Row] = field(default_factory=dict)

    def day(self, quarter: int) -> Row:
        """The 24 hours from a quarter on."""
        found = self.days.get(quarter)
        if found is None:
            rows = self.rows[quarter : quarter + 4]
            durations = Durations.of(Histogram.merged(self.histograms[quarter : quarter + 4]))
            calls, failures = (
                sum(getattr(row, name) for row in rows) for name in ("calls", "failures")
            )
            found = Row(rows[0].begin, rows[-1].end, calls, failures, durations)
            self.days[quarter] = found
        return found

    def changes(self, quarters: int) -> tuple[Change, ...]:
        """The changes of the week up to a quarter."""
        over = quarters // 4
        first = max(0, over - BASELINE_DAYS - WEEK - 1)
        days = tuple(self.day(4 * day) for day in range(first, over))
        latest = self.day(quarters - 4) if quarters % 4 else None
        end = START + quarters * QUARTER
        return changes_of(Days(days, latest), Period(begin=end - PERIOD, end=end))


@dataclass(frozen=True, slots=True)
class Weather:
    """The noise of one day.

    Attributes:
        shift: Of the logarithm of durations.
        share: Factor of the share of failed calls.
        calls: Of the day.
        misses: Share of calls that miss a cache.
        burst: The quarter with a burst of errors; -1 for none.
    """

    shift: float
    share: float
    calls: float
    misses: float
    burst: int


@dataclass(slots=True)
class World:
    """An endpoint and all noise of its days; the same for the same seed, with and without a plant.

    Attributes:
        endpoint: That is simulated.
        noise: Family of its noise.
        seed: Of chance.
        has_durations: False where durations are not needed, which is much faster.
        days: Noise of each day.
    """

    endpoint: Endpoint
    noise: Noise
    seed: str
    has_durations: bool = True
    days: list[Weather] = field(default_factory=list)

    def draw(self, count: int) -> None:
        """Draw the noise of the days."""
        noise, endpoint, random = self.noise, self.endpoint, Random(self.seed)
        level = random.gauss(0, noise.duration)
        share = random.gauss(0, noise.share)
        walk = 0.0
        fresh = sqrt(1 - noise.correlation**2)
        for day in range(count):
            level = noise.correlation * level + fresh * random.gauss(0, noise.duration)
            share = noise.correlation * share + fresh * random.gauss(0, noise.share)
            walk += random.gauss(0, noise.steps) + noise.drift / WEEK
            slow = log(1.4) if random.random() < noise.slow_days else 0.0
            # The first day is a Thursday.
            is_weekend = day % WEEK in (2, 3)
            calls = endpoint.calls * exp(random.gauss(0, noise.calls))
            self.days.append(
                Weather(
                    shift=level + walk + slow - (endpoint.load / 2 if is_weekend else 0.0),
                    share=exp(share),
                    calls=calls * (endpoint.weekend if is_weekend else 1.0),
                    misses=random.uniform(0.25, 0.4) if noise.is_bimodal else 0.0,
                    burst=random.randrange(4) if random.random() < noise.bursts / WEEK else -1,
                )
            )

    def history(self, plant: Plant | None = None, base: History | None = None) -> History:
        """The history of all days.

        Args:
            plant: A planted change.
            base: The history without it, whose days before it are taken as they are.
        """
        found = History()
        first = 0
        if base is not None and plant is not None:
            first = plant.quarter // 4
            found.rows = base.rows[: 4 * first]
            found.histograms = base.histograms[: 4 * first]
            found.days = {
                quarter: row for quarter, row in base.days.items() if quarter + 4 <= 4 * first
            }
        for day in range(first, len(self.days)):
            random = Random(f"{self.seed} {day}")
            for quarter in range(4):
                number = 4 * day + quarter
                planted = plant if plant is not None and number >= plant.quarter else NO_PLANT
                self._add(found, number, planted, random)
        return found

    def _add(self, found: History, number: int, planted: Plant, random: Random) -> None:
        """Add a quarter of a day."""
        day, quarter = divmod(number, 4)
        weather, endpoint = self.days[day], self.endpoint
        count = _poisson(weather.calls * _NIGHT_TO_EVENING[quarter], random)
        failing = endpoint.share * weather.share * planted.share + planted.points
        failing = max(failing, 0.2) if quarter == weather.burst else min(1.0, failing)
        failures = min(count, _poisson(count * failing, random))
        begin = START + number * QUARTER
        found.rows.append(Row(begin, begin + QUARTER, count, failures))
        if self.has_durations:
            load = -endpoint.load / 2 * cos(2 * pi * (quarter - 0.2) / 4)
            mean = log(endpoint.median_ms * 1e6) + weather.shift + load + log(planted.slower)
            parts = _mixture(mean, weather.misses, planted.tail)
            counts = _durations(parts, endpoint.sigma, count, self.noise.timeouts, random)
            found.histograms.append(Histogram.from_counts(counts))
        else:
            found.histograms.append(Histogram())


def _mixture(mean: float, misses: float, tail: float) -> list[tuple[float, float]]:
    """Weights and means of a mixture: calls that miss a cache, and one in ten that is slower."""
    parts = [(1.0, mean)]
    for weight, longer in ((misses, 8.0), (0.1 if tail > 1 else 0.0, tail)):
        if weight:
            parts = [(part * (1 - weight), at) for part, at in parts]
            parts.append((weight, mean + log(longer)))
    return parts


def _durations(
    parts: Sequence[tuple[float, float]],
    sigma: float,
    count: int,
    timeouts: float,
    random: Random,
) -> dict[int, int]:
    """Calls per bucket of a mixture of lognormal distributions with these weights and means."""
    counts: dict[int, int] = {}
    late = _poisson(count * timeouts, random) if timeouts else 0
    if late:
        counts[bucket_index(30_000_000_000)] = late
    rest = max(0, count - late)
    for weight, mean in parts:
        for index, number in _drawn(mean, sigma, rest * weight, random):
            counts[index] = counts.get(index, 0) + number
    return counts


def _drawn(mean: float, sigma: float, expected: float, random: Random) -> Iterator[tuple[int, int]]:
    if expected <= _DRAWN:
        for _ in range(_poisson(expected, random)):
            yield bucket_index(int(exp(random.gauss(mean, sigma)))), 1
        return
    below = 0.0
    first = bucket_index(int(exp(mean - 5 * sigma)))
    last = bucket_index(int(exp(mean + 5 * sigma)))
    for index in range(first, last + 1):
        share = 0.5 + 0.5 * erf((_LOG_EDGES[index] - mean) / (sigma * sqrt(2)))
        number = _poisson(expected * (share - below), random)
        below = share
        if number:
            yield index, number


def _poisson(expected: float, random: Random) -> int:
    """A number of events (Knuth's multiplication below 30, a normal distribution above)."""
    if expected > _NORMAL:
        return max(0, round(random.gauss(expected, sqrt(expected))))
    limit, product, number = exp(-expected), random.random(), 0
    while product > limit:
        product *= random.random()
        number += 1
    return number


def alarms(history: History, weeks: int, each: int = 1) -> list[tuple[int, Change]]:
    """Weeks and changes for the worse that were reported, each once.

    A report of the same kind whose begin lies within three days of one before is the same.
    """
    found: list[tuple[int, Change]] = []
    first = 4 * (BASELINE_DAYS + WEEK)
    for quarters in range(first + 4, first + 4 * WEEK * weeks + 1, each):
        for change in history.changes(quarters):
            if change.kind in (Kind.SLOWER, Kind.FAILING_MORE) and not any(
                change.kind is other.kind and abs(change.since - other.since) <= 3 * DAY
                for _, other in found
            ):
                found.append(((quarters - first - 1) // (4 * WEEK), change))
    return found


def delay(history: History, plant: Plant, kind: Kind, most: int = 12) -> int | None:
    """Quarters after a planted change at which it is reported first; None if it is not."""
    for quarters in range(1, most + 1):
        for change in history.changes(plant.quarter + quarters):
            if change.kind is kind:
                return quarters
    return None


@dataclass(frozen=True, slots=True)
class Found:
    """The findings in the history of one endpoint.

    Attributes:
        noise: Name of the family.
        what: The planted change and its calls a day, parted by a bar; "" of quiet weeks.
        seed: Of chance.
        alarms: Weeks and kinds of false alarms.
        delay: Quarters of a day after which a planted change was found; None if it was not.
    """

    noise: str
    what: str
    seed: int
    alarms: tuple[tuple[int, Kind], ...] = ()
    delay: int | None = None
