"""Resident memory before and after 2 million requests to 200 endpoints with several statuses.

Requests are answered by a `Table`, else FastAPI would take twenty minutes. Counts are written to
SQLite every second. A histogram keeps a place for each latency that it has seen, some 30 KiB when
it has seen all; so the warm-up fills them, and what grows after that is something else.
Prints JSON: ``python -m benchmarks.memory REQUESTS``. Linux only: it reads ``/proc``.
"""

import asyncio
import gc
import json
import re
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

from benchmarks.apps import ENDPOINTS, build, many_routes
from benchmarks.direct import Answers, no_body, running, scope_of
from benchmarks.table import STATUSES, Table, assert_written
from benchmarks.variants import BARE, VARIANTS
from fastapi_lens import LensConfig, LensMiddleware

WARM_UP_SHARE = 0.1
YIELD_EVERY = 100
DURATIONS_NS = tuple(round(1_000 * 2 ** (step / 16)) for step in range(16 * 17))
"""From 1 µs to 0.1 s, closer together than the buckets of a histogram."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident memory, in KiB.

    Attributes:
        before: After the warm-up.
        after: At the end.
        requests: Between the two.
    """

    before: int
    after: int
    requests: int


async def measure(
    requests: int, *, endpoints: int = ENDPOINTS, durations: Sequence[int] = DURATIONS_NS
) -> Memory:
    """Send requests, and ask the system for the memory twice.

    Args:
        requests: After a warm-up of a tenth of them.
        endpoints: Of the application.
        durations: Nanoseconds of the calls that fill the histograms.
    """
    shape = many_routes(endpoints)
    with tempfile.TemporaryDirectory() as folder:
        below = Table(build(VARIANTS[BARE], shape, Path(folder)))
        app = LensMiddleware(below, LensConfig(db_path=f"{folder}/lens.db", flush_interval=1.0))
        async with running(app):
            _fill_histograms(app, shape.paths, durations)
            await _send(app, shape.paths, max(2 * endpoints, round(requests * WARM_UP_SHARE)))
            before = _resident_kib()
            await _send(app, shape.paths, requests)
            after = _resident_kib()
        assert_written(app)
        return Memory(before, after, requests)


def _fill_histograms(app: LensMiddleware, paths: Sequence[str], durations: Sequence[int]) -> None:
    for path in paths:
        template = path.removesuffix("7") + "{item_id}"
        for status in set(STATUSES):
            for duration in durations:
                app.lens.recorder.count(
                    method="GET", path=template, status=status, duration_ns=duration
                )


async def _send(app: Any, paths: Sequence[str], requests: int) -> None:
    answers = Answers()
    for number, path in zip(range(requests), cycle(paths), strict=False):
        await app(scope_of(path), no_body(), answers)
        if number % YIELD_EVERY == 0:
            await asyncio.sleep(0)


def _resident_kib() -> int:
    gc.collect()
    status = Path("/proc/self/status").read_text()
    found = re.search(r"^VmRSS:\s+(\d+) kB$", status, re.MULTILINE)
    assert found is not None
    return int(found[1])


if __name__ == "__main__":
    print(json.dumps(asdict(asyncio.run(measure(int(sys.argv[1]))))))
