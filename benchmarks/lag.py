"""Event loop lag while the lens writes 200 endpoints every second.

One task sleeps a millisecond at a time and notes how much later than that it wakes; another calls
each endpoint once a second, evenly, so that every flush has all of them to write. Prints JSON:
``python -m benchmarks.lag STATE SECONDS SETTLE_SECONDS``.
"""

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.apps import ENDPOINTS, Shape, build, many_routes
from benchmarks.direct import Answers, no_body, running, scope_of
from benchmarks.table import Table, assert_written
from benchmarks.variants import BARE, VARIANTS
from fastapi_lens import LensConfig, LensMiddleware

STATES: Mapping[str, float | None] = {BARE: None, "idle": 86_400.0, "flushing": 1.0}
"""Seconds between two writes; None for an application without the lens."""

NAP_SECONDS = 0.001


async def measure(
    state: str, *, seconds: float, settle_seconds: float, endpoints: int = ENDPOINTS
) -> float:
    """The 99th percentile of the lag, in milliseconds.

    Args:
        state: One of `STATES`.
        seconds: Duration.
        settle_seconds: Duration of the phase before, while the tables are made.
        endpoints: Of the application.
    """
    shape = many_routes(endpoints)
    with tempfile.TemporaryDirectory() as folder:
        app = _app(STATES[state], shape, Path(folder))
        async with running(app):
            caller = asyncio.create_task(_call_all(app, shape.paths))
            await lags(settle_seconds)
            measured = await lags(seconds)
            caller.cancel()
            await asyncio.gather(caller, return_exceptions=True)
        if isinstance(app, LensMiddleware):
            assert_written(app)
    return p99(measured)


def _app(flush_interval: float | None, shape: Shape, folder: Path) -> Any:
    below = Table(build(VARIANTS[BARE], shape, folder))
    if flush_interval is None:
        return below
    config = LensConfig(db_path=f"{folder}/lens.db", flush_interval=flush_interval)
    return LensMiddleware(below, config)


async def lags(seconds: float) -> list[float]:
    """Lag of the event loop in milliseconds, once per nap, for a while."""
    found = []
    end = time.perf_counter() + seconds
    while (begun := time.perf_counter()) < end:
        await asyncio.sleep(NAP_SECONDS)
        found.append((time.perf_counter() - begun - NAP_SECONDS) * 1_000)
    return found


def p99(values: Sequence[float]) -> float:
    """The 99th percentile of at least one value."""
    return sorted(values)[len(values) * 99 // 100]


async def _call_all(app: Any, paths: Sequence[str]) -> None:
    answers = Answers()
    while True:
        for path in paths:
            await app(scope_of(path), no_body(), answers)
            await asyncio.sleep(1 / len(paths))


if __name__ == "__main__":
    _, state_name, *times = sys.argv
    length, settle = map(float, times)
    print(json.dumps(asyncio.run(measure(state_name, seconds=length, settle_seconds=settle))))
