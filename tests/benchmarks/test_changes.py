"""The simulation of changes in small: the same seeds find the same."""

from dataclasses import replace
from random import Random

from benchmarks.changes import QUICK, planted, planted_runs, quiet, quiet_runs
from benchmarks.changes_results import section
from benchmarks.changes_world import MAIN, Endpoint, Found, Plant, World
from fastapi_lens.changes.change import Kind

STEADY = Endpoint(500, 100, 0.7, 0.01, weekend=0.5, load=0.1)


def test_the_same_seed_makes_the_same_history_and_a_plant_changes_only_what_follows() -> None:
    world = World(STEADY, MAIN[0], "seed")
    world.draw(14)
    base = world.history()
    plant = Plant(50, slower=2.0)

    whole, continued = world.history(plant), world.history(plant, base)

    assert whole.rows == continued.rows
    assert whole.histograms == continued.histograms
    assert whole.histograms[:50] == base.histograms[:50]
    assert whole.histograms[50] != base.histograms[50]


def test_weekends_and_nights_have_fewer_calls() -> None:
    world = World(STEADY, MAIN[0], "seed", has_durations=False)
    world.draw(7)
    calls = [row.calls for row in world.history().rows]

    # The first day is a Thursday.
    assert sum(calls[8:16]) < 0.7 * sum(calls[:8])
    assert all(calls[4 * day] < calls[4 * day + 2] for day in range(7))


def test_a_few_endpoints_have_at_most_one_false_alarm_a_week() -> None:
    runs = [replace(run, weeks=2) for run in quiet_runs(QUICK)[:6]]

    alarms = [alarm for run in runs for found in quiet(run) for alarm in found.alarms]

    assert len(alarms) <= 2


def test_durations_that_double_are_found_within_a_day() -> None:
    runs = [run for run in planted_runs(QUICK) if run.share is None and run.calls == 500][:4]

    delays = [
        found.delay
        for run in runs
        for found in planted(replace(run, plants=(("doubles", Plant(0, slower=2.0)),)))
    ]

    assert all(delay is not None and delay <= 4 for delay in delays)


def test_five_points_more_failures_are_found_within_a_day() -> None:
    runs = [run for run in planted_runs(QUICK) if run.share == 0.002 and run.calls == 500]

    delays = [
        found.delay
        for run in runs
        for found in planted(replace(run, plants=(("more", Plant(0, points=0.05)),)))
    ]

    assert all(delay is not None and delay <= 4 for delay in delays)


def test_the_section_says_false_alarms_and_shares_of_found_changes() -> None:
    noise = MAIN[0].name
    alarms = ((0, Kind.SLOWER), (0, Kind.FAILING_MORE))
    text = section(
        [Found(noise, "", 1, alarms), *[Found(noise, "", 1)] * 49],
        [Found(noise, "twice|500", 1, delay=3), Found(noise, "twice|500", 1, delay=6)],
        weeks=2,
        command="make bench-changes",
    )

    assert f"| {noise} | 50 | 2 | 1 | 1 | 1.00 | 1, 0, 1 | within |" in text
    assert "| twice | 50%, 100%, 36 h |" in text


def test_a_world_draws_its_endpoints_by_chance_alone() -> None:
    assert Endpoint.drawn(Random(1), MAIN[0]) == Endpoint.drawn(Random(1), MAIN[0])
