"""Microseconds that each variant adds to a request, without a server.

Blocks of requests of all variants follow each other in random order, round after round; each is
compared with the bare application's block of the same round. So what slows the machine for a
while slows both. Prints JSON: ``python -m benchmarks.inprocess PROCESS SECONDS``.
"""

import asyncio
import gc
import json
import random
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from benchmarks.apps import ENDPOINTS, MANY, ONE, Shape, build, many_routes, one_route
from benchmarks.direct import Answers, no_body, running, scope_of
from benchmarks.variants import BARE, LENS, OURS, VARIANTS, Variant

BLOCK_SECONDS = 0.02
RIVALS_BLOCK_SECONDS = 0.003
"""Shorter where another package runs alone with the bare application: some hand work to a task of
the event loop, which gets no turn within a block, and wait for it for ever when it is too much."""

FEWEST_REQUESTS = 3
WARM_UP_REQUESTS = 50
OTHERS_EVERY_ROUNDS = 3
"""Interval of the variants around the bare application: they hardly differ from it."""

FEWEST_ROUNDS = OTHERS_EVERY_ROUNDS + 1


@dataclass(frozen=True, slots=True)
class Cost:
    """Cost of one variant per request, in microseconds.

    Attributes:
        total: Median of the whole request.
        added: Median of the differences to the bare application in the same round.
        low: First quartile of these differences.
        high: Third quartile.
        rounds: Number of rounds.
    """

    total: float
    added: float
    low: float
    high: float
    rounds: int


class Caller:
    """Calls one application again and again and takes the time."""

    def __init__(self, app: Any, path: str, *, block_seconds: float) -> None:
        """Call nothing yet."""
        self._app = app
        self._block_seconds = block_seconds
        self._path = path
        self._requests = WARM_UP_REQUESTS
        self.answers = Answers()

    async def block(self) -> float:
        """Microseconds per request of one block."""
        app, path, answers = self._app, self._path, self.answers
        begun = time.perf_counter_ns()
        for _ in range(self._requests):
            await app(scope_of(path), no_body(), answers)
        return (time.perf_counter_ns() - begun) / self._requests / 1_000

    async def warm_up(self) -> None:
        """Fill caches, and choose how many requests make a block."""
        await self.block()
        microseconds = await self.block()
        self._requests = max(FEWEST_REQUESTS, round(self._block_seconds * 1e6 / microseconds))
        assert self.answers.statuses == {200}, self.answers.statuses


def costs_of(rounds: Sequence[Mapping[str, float]]) -> dict[str, Cost]:
    """Cost that each variant adds to the bare application.

    Args:
        rounds: Microseconds per request of the variants in each round. The bare one is in all,
            every other in two at least.
    """
    costs = {}
    for name in rounds[0]:
        mine = [taken for taken in rounds if name in taken]
        low, middle, high = quantiles((taken[name] - taken[BARE] for taken in mine), n=4)
        total = median(taken[name] for taken in mine)
        costs[name] = Cost(total, middle, low, high, len(mine))
    return costs


def middle_of(costs: Sequence[Cost]) -> Cost:
    """The medians of what several processes have found."""
    return Cost(
        total=median(cost.total for cost in costs),
        added=median(cost.added for cost in costs),
        low=median(cost.low for cost in costs),
        high=median(cost.high for cost in costs),
        rounds=sum(cost.rounds for cost in costs),
    )


async def compare(
    variants: Mapping[str, Variant], shape: Shape, *, seconds: float, folder: Path
) -> dict[str, Cost]:
    """Measure variants of one application beside each other.

    Args:
        variants: With the bare one among them.
        shape: Of the application; its middle path is called.
        seconds: Duration of the measurement, after the warm-up.
        folder: For the files that variants write.
    """
    async with AsyncExitStack() as stack:
        callers = {}
        bare = build(variants[BARE], shape, folder)
        for name, variant in variants.items():
            own = folder / f"{name}-{len(shape.paths)}"
            app = variant.around(bare, own) if variant.around else build(variant, shape, own)
            await stack.enter_async_context(running(app))
            block_seconds = BLOCK_SECONDS if LENS in variants else RIVALS_BLOCK_SECONDS
            callers[name] = Caller(app, shape.middle, block_seconds=block_seconds)
            await callers[name].warm_up()
        often = [name for name in callers if variants[name].around]
        if len(often) == 1:
            often = list(callers)
        gc.collect()
        rounds: list[dict[str, float]] = []
        end = time.monotonic() + seconds
        while time.monotonic() < end or len(rounds) < FEWEST_ROUNDS:
            asked = callers if len(rounds) % OTHERS_EVERY_ROUNDS == 0 else often
            order = random.sample(list(asked), len(asked))
            taken = {name: await callers[name].block() for name in order}
            rounds.append(taken)
        return costs_of(rounds)


def measure(
    process: str, *, seconds: float, endpoints: int = ENDPOINTS
) -> dict[str, dict[str, dict[str, float]]]:
    """All shapes with the variants that one process can have, as JSON data.

    Args:
        process: Which variants; see `Variant`. Nothing is found where none is installed.
        seconds: For the larger application, where a request takes ten times as long and so differs
            by more; half of it for the other.
        endpoints: Of the larger application.
    """
    variants = {
        name: variant
        for name, variant in VARIANTS.items()
        if name == BARE or (variant.process == process and variant.is_here)
    }
    found: dict[str, dict[str, dict[str, float]]] = {}
    if len(variants) == 1 and process != OURS:
        return found
    with tempfile.TemporaryDirectory() as folder:
        shapes = ((ONE, one_route(), seconds / 2), (MANY, many_routes(endpoints), seconds))
        for name, shape, spent in shapes:
            costs = asyncio.run(compare(variants, shape, seconds=spent, folder=Path(folder)))
            found[name] = {variant: asdict(cost) for variant, cost in costs.items()}
    return found


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], seconds=float(sys.argv[2]))))
