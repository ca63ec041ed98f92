"""The demo's past is complete, plausible and the same from the same seed."""

import json
import re
import sqlite3
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any, cast

import pytest
from fastapi.testclient import TestClient

from example_project.credentials import DEMO_KEY, DEMO_PARTNER_KEY
from example_project.factory import create_app
from example_project.history import lay_down, poisson, steps
from example_project.load import DAY, HOUR, Load, activity
from example_project.profiles import NEVER_CALLED, PROFILES, REMOVED, Rhythm, Trend
from example_project.releases import RELEASES, deployments
from example_project.settings import Settings
from tests.recording.probe import lens_of

NOW = 1_790_000_000.0
README = (Path(__file__).parents[2] / "example_project" / "README.md").read_text(encoding="utf-8")


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
    for key, profile in PROFILES.items():
        if profile.last_days_ago and rows[key]["total_calls"]:
            assert rows[key]["days_since_last_call"] >= profile.last_days_ago - 0.01
    assert rows["GET", "/v2/products/{sku}"]["status"] == "active"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """The demo with a whole past of few calls."""
    settings = Settings(tmp_path_factory.mktemp("demo"), latency_scale=0)
    lay_down(settings, now=time.time(), progress=lambda _share: None, scale=0.2)
    with TestClient(create_app(settings), headers={"X-Lens-Key": DEMO_KEY}) as client:
        yield client


@pytest.fixture(scope="module")
def evidence(demo: TestClient) -> dict[str, Any]:
    """The evidence of that past."""
    return cast("dict[str, Any]", demo.get("/lens/report/evidence").json())


@pytest.fixture(scope="module")
def callers(demo: TestClient) -> dict[str, dict[str, dict[str, Any]]]:
    """The uses of that past by name of the caller and endpoint."""
    found: defaultdict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    for use in demo.get("/lens/report/callers").json()["callers"]:
        found[use["name"]][f"{use['method']} {use['path']}"] = use
    return dict(found)


def of(evidence: dict[str, Any], method: str, path: str) -> dict[str, Any]:
    (found,) = [
        one for one in evidence["endpoints"] if (one["method"], one["path"]) == (method, path)
    ]
    return cast("dict[str, Any]", found)


@pytest.mark.parametrize(
    ("method", "path", "verdict"),
    [
        ("GET", "/v2/reports/quarterly/{year}/{quarter}", "in_use"),
        ("GET", "/v2/reports/tax/{year}/{quarter}", "probably_unused"),
        ("GET", "/v2/feeds/products", "probably_unused"),
        ("POST", "/webhooks/parcels", "probably_unused"),
        ("GET", "/v2/products/{sku}/similar", "not_enough_observation"),
        ("POST", "/v2/coupons", "wait"),
        ("POST", "/v2/newsletter/subscribers", "safe_to_remove"),
        ("GET", "/health", "kept"),
        ("POST", "/operations/reindex", "kept"),
        ("DELETE", "/v2/customers/{customer_id}", "not_enough_observation"),
        ("POST", "/v2/gift-cards", "safe_to_remove"),
        ("POST", "/v1/orders", "safe_to_remove"),
    ],
)
def test_the_past_has_an_endpoint_of_each_verdict(
    evidence: dict[str, Any], method: str, path: str, verdict: str
) -> None:
    assert of(evidence, method, path)["verdict"] == verdict


def test_of_the_endpoints_that_have_stopped_some_have_to_wait(evidence: dict[str, Any]) -> None:
    waiting = {
        one["path"]
        for one in evidence["endpoints"]
        if one["verdict"] == "wait" and one["removed_at"] is None
    }
    stopped = {path for (_, path), one in PROFILES.items() if one.last_days_ago}
    assert waiting
    assert waiting <= stopped


def test_the_calls_of_a_route_that_refuses_all_are_no_use(evidence: dict[str, Any]) -> None:
    refused = of(evidence, "POST", "/webhooks/parcels")
    assert refused["last_used_at"] is None
    assert "only_noise" in {reason["code"] for reason in refused["reasons"]}


def test_a_quarterly_job_hides_behind_a_daily_caller_that_has_stopped(
    evidence: dict[str, Any], callers: dict[str, dict[str, dict[str, Any]]]
) -> None:
    coupons = of(evidence, "POST", "/v2/coupons")
    assert [one["name"] for one in coupons["callers"]] == ["back-office", "campaign-batch"]
    assert coupons["pattern"] == "working days"
    # As if the job were no caller: the silence of the daily one would have been enough.
    assert coupons["silence_days"] > coupons["need_days"]["probably"]
    (hidden,) = [one for one in coupons["reasons"] if one["code"] == "caller_not_excluded"]
    assert hidden["caller"] == "campaign-batch"
    assert callers["campaign-batch"]["POST /v2/coupons"]["longest_gap_days"] == 91


def test_an_endpoint_is_safe_to_remove_after_a_quarter_because_its_callers_are_gone(
    evidence: dict[str, Any],
) -> None:
    newsletter = of(evidence, "POST", "/v2/newsletter/subscribers")
    assert 100 < newsletter["silence_days"] < 110
    assert not newsletter["excluded"]["yearly"]
    assert "callers_gone" in {one["code"] for one in newsletter["reasons"]}


def test_the_callers_have_different_habits(
    callers: dict[str, dict[str, dict[str, Any]]],
) -> None:
    (key,) = [name for name in callers if name.startswith("key …")]
    assert set(callers) == {
        *("storefront", "back-office", "warehouse", "accounting", key, "Firefox"),
        *("campaign-batch", "quarter-close", "bookkeeping"),
        *("TillSync", "PayHub", "PartnerShop", "ParcelPost", "Googlebot", "kube-probe"),
    }
    noise = {name for name, uses in callers.items() if any(one["noise"] for one in uses.values())}
    assert noise == {"Googlebot", "kube-probe"}
    assert len(callers["storefront"]) > 10
    assert set(callers[key]) == {
        *("GET /partner/feed", "GET /partner/stock/{sku}"),
        *("POST /partner/orders", "GET /partner/orders/{reference}"),
    }
    for name in ("ParcelPost", "PartnerShop"):
        assert all(one["refused"] == one["calls"] > 0 for one in callers[name].values())


def test_a_deprecated_endpoint_burns_down_to_its_last_caller(
    demo: TestClient, evidence: dict[str, Any], callers: dict[str, dict[str, dict[str, Any]]]
) -> None:
    endpoint = of(evidence, "GET", "/v1/orders")
    assert endpoint["deprecated"] is not None
    names = [one["name"] for one in endpoint["callers"]]
    assert names == ["TillSync", "accounting", "back-office"]
    page = demo.get(f"/lens/endpoints/{endpoint['key']}").text
    assert all(name in page for name in names)
    till = callers["TillSync"]["GET /v1/orders"]["caller"]
    assert "GET" in demo.get(f"/lens/callers/{till}").text


def test_no_page_shows_the_key_of_the_partner(
    demo: TestClient, callers: dict[str, dict[str, dict[str, Any]]]
) -> None:
    (uses,) = [uses for name, uses in callers.items() if name.startswith("key …")]
    caller = next(iter(uses.values()))["caller"]
    for path in ("callers", "callers.csv", f"callers/{caller}", "report/callers"):
        answer = demo.get(f"/lens/{path}")
        assert answer.status_code == 200
        assert "key …" in answer.text
        assert DEMO_PARTNER_KEY not in answer.text


def test_the_readme_of_the_demo_says_the_verdicts_and_the_callers_that_it_has(
    evidence: dict[str, Any], callers: dict[str, dict[str, dict[str, Any]]]
) -> None:
    rows = re.findall(r"^\| ((?:`[^`]+`(?:, )?)+) \| (.*) \|$", README, re.MULTILINE)
    seen = set[str]()
    for cells, meaning in rows:
        for name in re.findall("`([^`]+)`", cells):
            method, _, path = name.partition(" ")
            if path.startswith("/"):
                said = re.split("[:,]", meaning)[0].replace(" on purpose", "").replace(" ", "_")
                found = of(evidence, method, path)
                assert said in (found["verdict"], "removed" if found["removed_at"] else ""), name
                seen.add(name)
            elif name in callers or name == "key …":
                seen.add(name)
    in_readme = {name for name in callers if name != "PayHub" and not name.startswith("key")}
    assert in_readme | {"key …"} <= seen
    assert len([name for name in seen if "/" in name]) == 15


def test_the_past_was_observed_but_for_a_hole_of_some_days(evidence: dict[str, Any]) -> None:
    observed = evidence["observed"]
    assert observed["days"] > 400
    assert (len(observed["holes"]), observed["hole_days"]) == (1, 3)
    named = [
        one["path"]
        for one in evidence["endpoints"]
        if "days_not_seen" in {reason["code"] for reason in one["reasons"]}
    ]
    assert "/v2/gift-cards" in named


def test_endpoints_came_with_several_releases(evidence: dict[str, Any]) -> None:
    assert evidence["releases"] == [release.name for release in reversed(RELEASES)]
    feed = of(evidence, "GET", "/partner/feed")["releases"]
    assert (feed["introduced"], feed["first_called"]) == ("2.13.0", "2.13.0")
    assert of(evidence, "POST", "/v1/orders")["releases"]["last_called"] == "2.11.0"
    assert of(evidence, "GET", "/v2/products/{sku}/similar")["releases"]["introduced"] == "2.14.0"


def test_one_removed_endpoint_is_still_called_and_another_one_scanned(
    evidence: dict[str, Any],
) -> None:
    called = of(evidence, "GET", "/v1/customers/{customer_id}")
    scanned = of(evidence, "GET", "/v1/server-info")
    assert called["removed_at"] is not None
    assert called["releases"]["removed"] == "2.12.0"
    assert called["gone"]["calls"] > called["gone"]["noise_calls"] == 0
    assert scanned["gone"]["noise_calls"] > scanned["gone"]["calls"] == 0


def test_a_database_of_an_older_demo_still_works(settings: Settings) -> None:
    """It knows neither the new endpoints nor what was observed."""
    lay_down(replace(settings, history_days=2), now=time.time(), progress=lambda _share: None)
    with closing(sqlite3.connect(settings.lens_database)) as connection, connection:
        for table in ("lens_observed", "lens_release", "lens_gone"):
            connection.execute(f"DELETE FROM {table}")  # noqa: S608  Our own names.
        connection.execute("DELETE FROM lens_endpoint WHERE path LIKE '%similar'")
    app = create_app(settings)
    with TestClient(app) as client:
        client.get("/v2/products")
        # The endpoints become known with a flush.
        assert lens_of(app).flusher.flush()
        found = client.get("/lens/report/evidence", headers={"X-Lens-Key": DEMO_KEY}).json()
    assert of(found, "GET", "/v2/products")["verdict"] == "in_use"
    assert of(found, "GET", "/v2/products/{sku}/similar")["verdict"] == "not_enough_observation"
    assert not [one for one in found["endpoints"] if one["verdict"] == "safe_to_remove"]


def test_deployments_cover_the_past_without_a_gap() -> None:
    found = list(deployments(now=NOW, days=450))
    assert (found[0].start, found[-1].end) == (NOW - 450 * DAY, NOW)
    assert all(before.end == after.start for before, after in pairwise(found))
    assert set(REMOVED) & found[0].absent == set()
    assert found[-1].absent == set(REMOVED)
    assert [one.release for one in deployments(now=NOW, days=1)] == ["2.14.0"]


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
    found = list(steps(Load(NOW), start=NOW - 60 * DAY, end=NOW))
    assert (found[0].start, found[-1].end) == (NOW - 60 * DAY, NOW)
    assert all(before.end == after.start for before, after in pairwise(found))
    lengths = [step.end - step.start for step in found]
    assert max(lengths) == DAY
    assert all(length <= HOUR for step, length in _with_lengths(found) if _age(step) < 34 * DAY)
    assert all(length <= 60 for step, length in _with_lengths(found) if _age(step) < 5.9 * HOUR)


def test_no_step_crosses_an_hour_or_an_edge_of_the_incident() -> None:
    load = Load(NOW)
    edges = load.incident
    for step in steps(load, start=NOW - 30 * DAY, end=NOW):
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
