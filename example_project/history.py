"""Lays down the demo's past by driving the real lens with a simulated clock. Writes no row itself.

``python -m example_project.history`` replaces what the demo's own lens database holds.
"""

import json
import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from enum import Enum, auto
from random import Random

from example_project.factory import create_app, lens_config
from example_project.load import DAY, HOUR, Load
from example_project.profiles import ONCE_DAYS_AGO, PROFILES, Key, Profile, check
from example_project.settings import Settings
from fastapi_lens.runtime.lens import Lens

SEED = 2
HOURLY_DAYS = 35
"""Days that the lens keeps hours for; before that, only days remain."""
MINUTELY_HOURS = 6
"""Hours that the lens keeps minutes for."""
PRUNE_EVERY_DAYS = 7
ROWS_PER_TRANSACTION = 20_000

RELEASE_DAYS_AGO = 5
INCIDENT_SLOWER = 7.0
INCIDENT_SIGMA = 0.5
ONCE_NS = 2_610_000_000
LATENCIES = 2_000
FEW = 30.0


class Phase(Enum):
    """Latency phase of a time."""

    BEFORE_RELEASE = auto()
    INCIDENT = auto()
    NOW = auto()


class Clock:
    """A clock that stands until it is set."""

    def __init__(self, now: float) -> None:
        """Stand at epoch seconds."""
        self.now = now

    def __call__(self) -> float:
        """Epoch seconds."""
        return self.now


@dataclass(frozen=True, slots=True)
class Step:
    """A time in which all calls of an endpoint count as made at one moment.

    Attributes:
        start: Epoch seconds.
        end: Epoch seconds; the next step begins here.
    """

    start: float
    end: float


def steps(load: Load, *, days: float) -> Iterator[Step]:
    """The last days, cut as finely as the lens keeps them: days, then hours, then minutes.

    Cut at full hours and days, and where the incident begins and ends.
    """
    now = load.now
    at = now - days * DAY
    while at < now:
        length = DAY if at < now - HOURLY_DAYS * DAY else HOUR
        length = 60 if at >= now - MINUTELY_HOURS * HOUR else length
        end = min(now, (at // length + 1) * length)
        edges = [edge for edge in load.incident if at < edge < end]
        yield Step(at, min(edges, default=end))
        at = min(edges, default=end)


class Historian:
    """Tells a lens what has happened.

    Args:
        lens: It has discovered the app, and its clock is the one that is given.
        clock: Is moved from the beginning of the history to its end.
        load: Load of the shop over time.
        chance: Makes the same history from the same seed.
    """

    def __init__(self, lens: Lens, clock: Clock, load: Load, chance: Random) -> None:
        """Tell nothing yet."""
        self._lens = lens
        self._clock = clock
        self._load = load
        self._chance = chance
        self._shares = sum(profile.share for profile in PROFILES.values())
        self._latencies = {
            (key, phase): latencies(profile, phase, chance)
            for key, profile in PROFILES.items()
            for phase in Phase
        }
        self.calls = 0

    def tell(self, *, days: float, progress: Callable[[float], None]) -> None:
        """Tell everything, oldest first.

        Args:
            days: Length of the history.
            progress: Is told now and then which share of the days is done.
        """
        flusher = self._lens.flusher
        flusher.flush()  # The endpoints become known before their first calls.
        flushed_day = pruned_day = int(self._clock.now // DAY)
        for step in steps(self._load, days=days):
            self._tell_step(step)
            flusher.collect()
            day = int(step.end // DAY)
            if day > flushed_day:
                flushed_day = day
                flusher.flush()
                progress(1 - (self._load.now - step.end) / DAY / days)
            if day >= pruned_day + PRUNE_EVERY_DAYS:
                pruned_day = day
                flusher.prune()
        self._clock.now = self._load.now
        flusher.flush()
        flusher.prune()
        progress(1.0)

    def _tell_step(self, step: Step) -> None:
        self._clock.now = step.start + (step.end - step.start) * self._chance.uniform(0.2, 0.9)
        expected = self._load.calls(step.start, step.end)
        phase = self._phase(step)
        for key, profile in PROFILES.items():
            if step.end <= self._load.now - profile.last_days_ago * DAY:
                calls = expected[profile.rhythm, profile.trend] * profile.share / self._shares
                self._tell_endpoint(key, profile, calls, phase)
        for key, days_ago in ONCE_DAYS_AGO.items():
            if step.start <= self._load.now - days_ago * DAY < step.end:
                self._count(key, 200, [ONCE_NS])

    def _phase(self, step: Step) -> Phase:
        begins, ends = self._load.incident
        if begins <= step.start < ends:
            return Phase.INCIDENT
        is_earlier = step.start < self._load.now - RELEASE_DAYS_AGO * DAY
        return Phase.BEFORE_RELEASE if is_earlier else Phase.NOW

    def _tell_endpoint(self, key: Key, profile: Profile, calls: float, phase: Phase) -> None:
        statuses = dict(profile.errors)
        if phase is Phase.INCIDENT:
            statuses[503] = statuses.get(503, 0.0) + profile.incident_5xx
        statuses[profile.ok] = 1.0 - sum(statuses.values())
        usual_ns = self._latencies[key, phase]
        for status, share in statuses.items():
            number = poisson(calls * share, self._chance)
            if number:
                self._count(key, status, self._chance.choices(usual_ns, k=number))

    def _count(self, key: Key, status: int, durations_ns: Iterable[int]) -> None:
        method, path = key
        recorder = self._lens.recorder
        series = recorder.series(method, path, status)
        for duration_ns in durations_ns:
            recorder.add(series, duration_ns)
            self.calls += 1


def latencies(profile: Profile, phase: Phase, chance: Random) -> list[int]:
    """Latencies in nanoseconds to choose from: drawing each anew would take most of the time."""
    median_ms, sigma = profile.median_ms, profile.sigma
    if phase is not Phase.NOW:
        median_ms *= profile.before_release
    if phase is Phase.INCIDENT:
        median_ms, sigma = median_ms * INCIDENT_SLOWER, sigma + INCIDENT_SIGMA
    mu = math.log(median_ms * 1_000_000)
    return [int(chance.lognormvariate(mu, sigma)) for _ in range(LATENCIES)]


def poisson(mean: float, chance: Random) -> int:
    """A number of independent calls, of which so many are expected."""
    if mean > FEW:
        return max(0, round(chance.gauss(mean, math.sqrt(mean))))
    limit, product, number = math.exp(-mean), chance.random(), 0
    while product > limit:
        product *= chance.random()
        number += 1
    return number


def lay_down(
    settings: Settings, *, now: float, progress: Callable[[float], None], scale: float = 1.0
) -> int:
    """Replace the lens's database of the demo by one with a history.

    Args:
        settings: Where the database lies, and how many days.
        now: Epoch seconds at which the history ends.
        progress: Is told now and then which share of the days is done.
        scale: Factor on all calls.

    Returns:
        The number of calls in it.

    Raises:
        UnknownEndpointError: The profiles and the app's endpoints don't fit.
    """
    settings.make_folders()
    for leftover in settings.data_dir.glob(settings.lens_database.name + "*"):
        leftover.unlink()
    days = settings.history_days
    clock = Clock(now - days * DAY)
    config = replace(
        lens_config(settings),
        db_path=str(settings.lens_database),
        database_url=None,
        max_batch_size=ROWS_PER_TRANSACTION,
    )
    lens = Lens(config, clock=clock)
    lens.discover(create_app(settings, config))
    check(endpoints_of(lens))
    chance = Random(SEED)
    load = Load.until(now, days=days, chance=chance, scale=scale)
    historian = Historian(lens, clock, load, chance)
    historian.tell(days=days, progress=progress)
    lens.stop()
    done = {"days": days, "seed": SEED, "calls": historian.calls, "until": now}
    settings.history_marker.write_text(json.dumps(done) + "\n", encoding="utf-8")
    return historian.calls


def endpoints_of(lens: Lens) -> frozenset[Key]:
    """The endpoints that the lens has discovered in the app."""
    return frozenset(
        (method, leaf.template) for leaf in lens.routes.leaves for method in leaf.methods
    )


def main() -> int:
    """Lay down the history of the demo; returns the exit status."""
    settings = Settings.from_environment()
    title = f"Laying down {settings.history_days:g} days of history"
    is_terminal = sys.stdout.isatty()

    def show(share: float) -> None:
        if is_terminal:
            print(f"\r{title}: {share:4.0%}", end="", flush=True)

    began = time.perf_counter()
    calls = lay_down(settings, now=time.time(), progress=show)
    took = time.perf_counter() - began
    print(f"{chr(13) if is_terminal else ''}{title}: {calls:,} calls in {took:.1f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
