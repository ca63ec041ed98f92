"""Lays down the demo's past by driving the real lens with a simulated clock. Counts nothing itself.

``python -m example_project.history`` replaces what the demo's own lens database holds.
"""

import json
import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto
from itertools import cycle
from random import Random
from typing import Any

from example_project.clients import Client, headers_of
from example_project.factory import create_app, lens_config
from example_project.habits import client_of, habits_of
from example_project.load import DAY, HOUR, Load
from example_project.profiles import (
    BATCHES,
    LEFTOVERS,
    PROFILES,
    REMOVED,
    Batch,
    Key,
    Leftover,
    Profile,
    check,
)
from example_project.releases import LAST_DAYS_AGO, Deployment, deployments, earlier_app
from example_project.settings import Settings
from fastapi_lens.recording.log.unrouted_calls import UnroutedCalls
from fastapi_lens.recording.recorder import Recorder
from fastapi_lens.recording.routes.route_match import Leaf, RouteTable
from fastapi_lens.runtime.lens import Lens
from fastapi_lens.storage.coordination.observed import mark_minutes, tell_release
from fastapi_lens.storage.schema.identities import release_id

SEED = 2
MINUTE = 60
HOURLY_DAYS = 35
"""Days that the lens keeps hours for; before that, only days remain."""
MINUTELY_HOURS = 6
"""Hours that the lens keeps minutes for."""
PRUNE_EVERY_DAYS = 14
EARLY_FLUSH_DAYS = 2
"""Days between two flushes at first; the lens would doubt a clock that skips more."""

ROWS_PER_TRANSACTION = 20_000

HOLE_DAYS_AGO = (230, 228)
"""First and last day on which nothing was recorded."""

INCIDENT_SLOWER = 7.0
INCIDENT_SIGMA = 0.5
BATCH_NS = 2_610_000_000
LATENCIES = 1_000
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


def steps(load: Load, *, start: float, end: float) -> Iterator[Step]:
    """A time up to the load's present, cut as finely as the lens keeps it: days, hours, minutes.

    Cut at full hours and days, and where the incident begins and ends.

    Args:
        load: Load of the shop.
        start: Epoch seconds.
        end: Epoch seconds.
    """
    now, at = load.now, start
    while at < end:
        length = DAY if at < now - HOURLY_DAYS * DAY else HOUR
        length = 60 if at >= now - MINUTELY_HOURS * HOUR else length
        step_end = min(end, (at // length + 1) * length)
        edges = [edge for edge in load.incident if at < edge < step_end]
        yield Step(at, min(edges, default=step_end))
        at = min(edges, default=step_end)


class Historian:
    """Tells lenses what has happened, one for each deployment.

    Args:
        clock: The clock of the lenses; is moved from the beginning of the history to its end.
        load: Load of the shop over time.
        chance: Makes the same history from the same seed.
        progress: Is told now and then up to which time everything is told.
    """

    def __init__(
        self, clock: Clock, load: Load, chance: Random, progress: Callable[[float], None]
    ) -> None:
        """Tell nothing yet."""
        self._clock = clock
        self._load = load
        self._chance = chance
        self._progress = progress
        self._shares = sum(profile.share for profile in PROFILES.values())
        self._profiles = {**PROFILES, **REMOVED}
        self._scopes = {client: scope_of(client) for client in Client}
        self._latencies = {
            (key, phase): latencies(profile, phase, chance)
            for key, profile in self._profiles.items()
            for phase in Phase
        }
        self.calls = 0

    def tell(self, lens: Lens, deployment: Deployment) -> None:
        """Tell all calls of one deployment, oldest first, and mark its minutes as observed.

        Args:
            lens: It has discovered the endpoints of the release.
            deployment: The release, and its time.
        """
        flusher = lens.flusher
        flusher.flush()  # The endpoints become known before their first calls.
        self._observe(lens, deployment)
        flushed_day = pruned_day = int(self._clock.now // DAY)
        for step in steps(self._load, start=deployment.start, end=deployment.end):
            if not self._is_in_hole(step):
                self._tell_step(lens.recorder, step, deployment.absent)
            flusher.collect()
            day = int(step.end // DAY)
            is_late = step.end > self._load.now - HOURLY_DAYS * DAY
            if day >= flushed_day + (1 if is_late else EARLY_FLUSH_DAYS):
                flushed_day, self._clock.now = day, step.end
                flusher.flush()
                self._progress(step.end)
            if day >= pruned_day + PRUNE_EVERY_DAYS:
                pruned_day = day
                flusher.prune()
        self._clock.now = deployment.end
        flusher.flush()
        flusher.prune()
        self._progress(deployment.end)

    @property
    def _hole(self) -> tuple[float, float]:
        """When the lens was switched off, from midnight to midnight."""
        first, last = (self._load.now // DAY - days for days in HOLE_DAYS_AGO)
        return first * DAY, (last + 1) * DAY

    def _is_in_hole(self, step: Step) -> bool:
        begin, end = self._hole
        return begin <= step.start < end

    def _observe(self, lens: Lens, deployment: Deployment) -> None:
        """Mark what real workers mark minute by minute; a simulated clock jumps too far for that.

        A minute is marked that was watched from its begin to its end.
        """
        app, name = lens.app_name, deployment.release
        begin, end = self._hole
        for part in (
            (deployment.start, min(deployment.end, begin)),
            (max(deployment.start, end), deployment.end),
        ):
            minutes = range(math.ceil(part[0] / MINUTE), int(part[1] // MINUTE))
            mark_minutes(lens.database, app, name, minutes)
        first_us, last_us = (round(at * 1_000_000) for at in (deployment.start, deployment.end))
        with lens.database.write() as connection:
            tell_release(connection, release_id(app, name), first_us, last_us)

    def _tell_step(self, recorder: Recorder, step: Step, absent: frozenset[Key]) -> None:
        self._clock.now = step.start + (step.end - step.start) * self._chance.uniform(0.2, 0.9)
        now, expected, phase = (
            self._load.now,
            self._load.calls(step.start, step.end),
            self._phase(step),
        )
        for key, profile in self._profiles.items():
            if key not in absent and step.end <= now - profile.last_days_ago * DAY:
                calls = expected[profile.rhythm, profile.trend] * profile.share / self._shares
                self._tell_endpoint(recorder, key, profile, calls, phase)
        for key, batch in BATCHES.items():
            self._tell_batch(recorder, key, batch, step)
        for key in absent & set(LEFTOVERS):
            self._tell_leftover(recorder.unrouted, LEFTOVERS[key], step)

    def _phase(self, step: Step) -> Phase:
        begins, ends = self._load.incident
        if begins <= step.start < ends:
            return Phase.INCIDENT
        is_earlier = step.start < self._load.now - LAST_DAYS_AGO * DAY
        return Phase.BEFORE_RELEASE if is_earlier else Phase.NOW

    def _tell_endpoint(
        self, recorder: Recorder, key: Key, profile: Profile, calls: float, phase: Phase
    ) -> None:
        statuses = dict(profile.errors)
        if phase is Phase.INCIDENT:
            statuses[503] = statuses.get(503, 0.0) + profile.incident_5xx
        statuses[profile.ok] = 1.0 - sum(statuses.values())
        usual_ns = self._latencies[key, phase]
        for status, share in statuses.items():
            number = poisson(calls * share, self._chance)
            if number:
                durations_ns = self._chance.choices(usual_ns, k=number)
                self._count(recorder, key, status, self._by_client(key, status, durations_ns))

    def _by_client(
        self, key: Key, status: int, durations_ns: Sequence[int]
    ) -> Iterator[tuple[Client, int]]:
        """The caller of each of some calls."""
        habits = habits_of(key, (self._load.now - self._clock.now) / DAY)
        clients = [client_of(habit, status) for habit in habits]
        shares = [habit.share for habit in habits]
        # Without a choice there is nothing to draw.
        if len(clients) > 1:
            clients = self._chance.choices(clients, shares, k=len(durations_ns))
        yield from zip(cycle(clients), durations_ns, strict=False)

    def _tell_batch(self, recorder: Recorder, key: Key, batch: Batch, step: Step) -> None:
        if any(step.start <= self._load.now - each * DAY < step.end for each in batch.days_ago):
            self._count(recorder, key, batch.ok, [(batch.client, BATCH_NS)] * batch.calls)

    def _tell_leftover(self, unrouted: UnroutedCalls, leftover: Leftover, step: Step) -> None:
        """Tell calls that no route matches any more."""
        scope = {**self._scopes[leftover.client], "method": "GET"}
        expected = leftover.calls_per_day * (step.end - step.start) / DAY
        for _ in range(poisson(expected, self._chance)):
            # A worker keeps none before it has found out that endpoints were removed.
            if unrouted.has_room:
                unrouted.note(scope, leftover.path)

    def _count(
        self, recorder: Recorder, key: Key, status: int, calls: Iterable[tuple[Client, int]]
    ) -> None:
        """Count calls, each with its client and its duration in nanoseconds."""
        method, path = key
        series, add = recorder.series(method, path, status), recorder.add
        note = recorder.callers.note
        for client, duration_ns in calls:
            # In the order of the middleware: the caller, then the call.
            if note is not None:
                note(series, self._scopes[client], 0)
            add(series, duration_ns)
            self.calls += 1


def scope_of(client: Client) -> dict[str, Any]:
    """The part of a request's scope by which the lens knows its caller."""
    headers = headers_of(client).items()
    return {
        "type": "http",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers],
    }


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
    app = create_app(settings, config)
    leaves = RouteTable(app).leaves
    check(endpoints_of(leaves))
    chance = Random(SEED)
    load = Load.until(now, days=days, chance=chance, scale=scale)
    begin = clock.now
    told = lambda at: progress((at - begin) / (now - begin))  # noqa: E731
    historian = Historian(clock, load, chance, told)
    for deployment in deployments(now=now, days=days):
        lens = Lens(replace(config, release=deployment.release), clock=clock)
        is_present = deployment.end == now
        lens.discover(app if is_present else earlier_app(leaves, deployment.absent))
        historian.tell(lens, deployment)
        lens.stop()
    done = {"days": days, "seed": SEED, "calls": historian.calls, "until": now}
    settings.history_marker.write_text(json.dumps(done) + "\n", encoding="utf-8")
    return historian.calls


def endpoints_of(leaves: Iterable[Leaf]) -> frozenset[Key]:
    """The endpoints of an app."""
    return frozenset((method, leaf.template) for leaf in leaves for method in leaf.methods)


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
