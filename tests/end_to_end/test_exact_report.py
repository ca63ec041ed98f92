import math
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from benchmarks.support.servers import Server
from benchmarks.support.waiting import wait_until
from fastapi_lens import LensConfig
from fastapi_lens.reporting.model import Window
from fastapi_lens.runtime.lens import Lens
from tests.end_to_end.script import Counts, Script, run
from tests.support.details import detail_of

KEY = "end-to-end"
WITHIN = 0.015
ROUNDED_MS = 0.0051  # Two decimals, and the histogram's own 0.004 ms below 0.26 ms.


def report(server: Server) -> dict[str, Any]:
    answer = httpx2.get(f"{server.url}/lens/report", headers={"X-Lens-Key": KEY})
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def tapped(file: Path) -> dict[tuple[str, str], list[float]]:
    """The true durations in milliseconds, sorted, by method and path."""
    durations: dict[tuple[str, str], list[float]] = defaultdict(list)
    for line in file.read_text().splitlines():
        method, path, _, duration_ns = line.split("\t")
        durations[method, path].append(int(duration_ns) / 1e6)
    return {key: sorted(found) for key, found in durations.items()}


def nearest_rank(durations: list[float], share: float) -> float:
    return durations[max(1, math.ceil(share * len(durations) - 1e-9)) - 1]


def summed(counts: Counts, *, first: int = 100, last: int = 599) -> Counter[tuple[str, str]]:
    sums: Counter[tuple[str, str]] = Counter()
    for (method, path, status), calls in counts.items():
        if first <= status <= last:
            sums[method, path] += calls
    return sums


def test_every_number_of_the_report_is_what_was_sent(
    run_server: Callable[..., Server], tmp_path: Path
) -> None:
    server = run_server(
        "tests.end_to_end.tapped:app",
        env={
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "EXAMPLE_DATA_DIR": str(tmp_path / "data"),
            "EXAMPLE_LATENCY": "0.05",
            "LENS_REPORT_KEY": KEY,
            "LENS_FLUSH_INTERVAL": "0.5",
            "TAP_FILE": str(tmp_path / "tap.txt"),
        },
        # A connection that the server closes while a request is on its way would be no call.
        args=["--workers", "2", "--log-level", "critical", "--timeout-keep-alive", "60"],
    )
    script = run(server.url)
    assert script.total >= 2_000
    assert len({status for _, _, status in script.counts}) >= 8
    wait_until(
        lambda: report(server)["summary"]["total_requests"] >= script.total,
        what=f"counting {script.total} calls",
    )

    found = report(server)
    by_endpoint = {(one["method"], one["path"]): one for one in found["endpoints"]}
    check_counts(script, found["summary"], by_endpoint)
    check_durations(tapped(tmp_path / "tap.txt"), by_endpoint)
    server.stop()
    assert status_codes(tmp_path / "data" / "lens.db") == script.counts


def check_counts(
    script: Script, summary: dict[str, int], by_endpoint: dict[tuple[str, str], dict[str, Any]]
) -> None:
    assert summary["total_requests"] == script.total
    calls = {key: one["total_calls"] for key, one in by_endpoint.items() if one["total_calls"]}
    assert calls == summed(script.counts)
    for column, first in (("error_4xx_count", 400), ("error_5xx_count", 500)):
        errors = {key: one[column] for key, one in by_endpoint.items() if one[column]}
        assert errors == summed(script.counts, first=first, last=first + 99)
    for key, one in by_endpoint.items():
        assert one["status"] == ("active" if key in calls else "never_called")
    assert summary["active"] == len(calls)
    assert summary["never_called"] == len(by_endpoint) - len(calls) > 0


def check_durations(
    exact: dict[tuple[str, str], list[float]], by_endpoint: dict[tuple[str, str], dict[str, Any]]
) -> None:
    assert len(exact) > 25
    for key, durations in exact.items():
        one = by_endpoint[key]
        for name, share in (("p50", 0.50), ("p95", 0.95), ("p99", 0.99), ("max", 1.0)):
            expected = nearest_rank(durations, share)
            assert one[f"{name}_duration_ms"] == pytest.approx(
                expected, rel=WITHIN, abs=ROUNDED_MS
            ), (key, name)
        mean = sum(durations) / len(durations)
        assert one["avg_duration_ms"] == pytest.approx(mean, abs=0.0151)


def status_codes(database: Path) -> Counts:
    """Counts by status code, read from the database after the server has stopped."""
    lens = Lens(LensConfig(db_path=str(database), app_name="orders-api"))
    now = lens.clock()
    counts: Counts = Counter()
    for one in lens.reader.endpoints(window=Window(), now=now):
        for status, calls in detail_of(lens.reader, one.id, window=Window(), now=now).codes:
            counts[one.method, one.path, status] = calls
    lens.stop()
    return counts
