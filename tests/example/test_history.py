"""The demo's past is complete, plausible and the same from the same seed."""

import json
import sqlite3
import time
from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from fastapi.testclient import TestClient

from example_project.credentials import DEMO_KEY
from example_project.factory import create_app
from example_project.history import lay_down, poisson, steps
from example_project.load import DAY, HOUR, Load, activity
from example_project.profiles import NEVER_CALLED, ONCE_DAYS_AGO, PROFILES, Rhythm, Trend
from example_project.settings import Settings

NOW = 1_790_000_000.0


def test_a_past_has_active_cold_dead_and_never_called_endpoints(settings: Settings) -> None:
    settings = replace(settings, history_days=80)
    shares: list[float] = []
    calls = lay_down(settings, now=time.time(), progress=shares.append, scale=0.0005)

    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert json.loads(settings.history_marker.read_text())["calls"] == calls
    with TestClient(create_app(settings)) as client:
        report = client.get("/lens/report", headers={"X-Lens-Key": DEMO_KEY}).json()
    rows = {(row["method"], row["path"]): row for row in report["endpoints"]}
    assert sum(row["total_calls"] for row in rows.values()) == calls
    for key in NEVER_CALLED:
        assert rows[key]["status"] == "never_called"
    for key in ONCE_DAYS_AGO:
        assert (rows[key]["status"], rows[key]["total_calls"]) == ("dead", 1)
    for key, profile in PROFILES.items():
        if profile.last_days_ago and rows[key]["total_calls"]:
            assert rows[key]["days_since_last_call"] >= profile.last_days_ago - 0.01
    assert rows["GET", "/v2/products/{sku}"]["status"] == "active"


def test_the_same_seed_and_present_make_the_same_past(settings: Settings) -> None:
    settings = replace(settings, history_days=0.5)

    def told() -> list[Any]:
        lay_down(settings, now=NOW, progress=lambda _share: None, scale=0.01)
        with closing(sqlite3.connect(settings.lens_database)) as connection:
            query = "SELECT * FROM lens_bucket ORDER BY tier, bucket, endpoint_id"
            return list(connection.execute(query))

    first = told()
    assert len(first) > 100
    assert first == told()


def test_steps_cover_the_past_without_a_gap_and_grow_finer() -> None:
    found = list(steps(Load(NOW), days=60))
    assert (found[0].start, found[-1].end) == (NOW - 60 * DAY, NOW)
    assert all(before.end == after.start for before, after in pairwise(found))
    lengths = [step.end - step.start for step in found]
    assert max(lengths) == DAY
    assert all(length <= HOUR for step, length in _with_lengths(found) if _age(step) < 34 * DAY)
    assert all(length <= 60 for step, length in _with_lengths(found) if _age(step) < 5.9 * HOUR)


def test_no_step_crosses_an_hour_or_an_edge_of_the_incident() -> None:
    load = Load(NOW)
    edges = load.incident
    for step in steps(load, days=30):
        assert step.start // HOUR == (step.end - 0.001) // HOUR
        assert not any(step.start < edge < step.end for edge in edges)
    assert edges[1] - edges[0] == 90 * 60


@pytest.mark.parametrize("rhythm", Rhythm)
def test_a_rhythm_is_1_on_average_over_a_week(rhythm: Rhythm) -> None:
    hours = [activity(rhythm, NOW // DAY * DAY + hour * HOUR) for hour in range(7 * 24)]
    assert sum(hours) / len(hours) == pytest.approx(1, abs=0.1)
    assert min(hours) >= 0


def test_the_shop_grows_and_does_not_end_in_a_cliff() -> None:
    load = Load(NOW)
    machines = [
        load.calls(NOW - (weeks + 1) * 7 * DAY, NOW - weeks * 7 * DAY)[
            Rhythm.MACHINES, Trend.GROWING
        ]
        for weeks in range(12)
    ]
    assert machines == sorted(machines, reverse=True)
    last_hour = load.calls(NOW - HOUR, NOW)[Rhythm.MACHINES, Trend.GROWING]
    assert last_hour == pytest.approx(machines[0] / (7 * 24), rel=0.3)


@pytest.mark.parametrize("mean", [0.0, 0.3, 7.0, 400.0])
def test_random_numbers_of_calls_have_the_expected_mean(mean: float) -> None:
    chance = Random(4)
    drawn = [poisson(mean, chance) for _ in range(3_000)]
    assert sum(drawn) / len(drawn) == pytest.approx(mean, rel=0.1)
    assert min(drawn) >= 0


def _age(step: Any) -> float:
    return float(NOW - step.start)


def _with_lengths(found: list[Any]) -> list[tuple[Any, float]]:
    return [(step, step.end - step.start) for step in found]
