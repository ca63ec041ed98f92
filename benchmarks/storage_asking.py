"""Asks a server for its reports and pages, alone and many at once, while requests come in.

Knows nothing of what is answered but that it is a 200.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import cycle
from random import Random

from benchmarks.storage_routes import APP, BUSY, paths
from benchmarks.storage_server import FLUSH_SECONDS
from benchmarks.support.clients import Client
from fastapi_lens.storage.schema.identities import endpoint_id

CLIENTS = 8
BURST_APART_SECONDS = 1.1
"""Between two questions that all ask at once."""

PER_SECOND = 20
"""Requests to the endpoints meanwhile; each flush has new counts."""

_ENDPOINT = f"/lens/endpoints/{endpoint_id(APP, 'GET', paths()[0]):016x}"
QUESTIONS = (
    "/lens/report",
    "/lens/endpoints",
    "/lens/report?days=1",
    _ENDPOINT,
    "/lens/report/dead",
    "/lens/",
    "/lens/report?days=30",
    "/lens/report/top",
    "/lens/report?days=90",
)
"""Those that need the same data (everything kept; the last week) lie far apart."""

APART_SECONDS = (FLUSH_SECONDS + 0.1) / len(QUESTIONS)
"""Between two questions that are asked alone: new counts are written before one is asked again,
so that no answer is given twice."""

Timed = float
"""Milliseconds from the question to the last byte of its answer."""


class Asking:
    """Questions to one server.

    Attributes:
        flush_seconds: Interval of the server's writes.
        recorded: Requests to its endpoints so far.
    """

    def __init__(self, clients: Sequence[Client], chance: Random) -> None:
        """Ask nothing yet."""
        self._clients = clients
        self._chance = chance
        self.flush_seconds = FLUSH_SECONDS
        self.recorded = 0

    async def each_once(self) -> dict[str, list[Timed]]:
        """Each question for the first time since the server has started."""
        return {path: [await timed(self._clients[0], path)] for path in QUESTIONS}

    async def alone(self, rounds: int) -> dict[str, list[Timed]]:
        """One question after the other, so far apart that no answer serves twice."""
        found: dict[str, list[Timed]] = {path: [] for path in QUESTIONS}
        for _ in range(rounds):
            for path in QUESTIONS:
                await asyncio.sleep(APART_SECONDS)
                found[path].append(await timed(self._clients[0], path))
        return found

    async def bursts(self, rounds: int) -> dict[str, list[Timed]]:
        """All clients ask the same at the same moment, and nobody has just before."""
        found: dict[str, list[Timed]] = {path: [] for path in QUESTIONS}
        for _ in range(rounds):
            for path in QUESTIONS:
                await asyncio.sleep(BURST_APART_SECONDS)
                found[path] += await asyncio.gather(*(timed(one, path) for one in self._clients))
        return found

    async def busily(self, seconds: float) -> dict[str, list[Timed]]:
        """Each client asks one question after the other without a pause, in any order."""
        found: dict[str, list[Timed]] = {path: [] for path in QUESTIONS}
        end = time.perf_counter() + seconds

        async def keep_asking(client: Client) -> None:
            while time.perf_counter() < end:
                path = self._chance.choice(QUESTIONS)
                found[path].append(await timed(client, path))

        await asyncio.gather(*map(keep_asking, self._clients))
        return found

    async def use(self, client: Client) -> None:
        """Call the server's endpoints, a few a second, until cancelled."""
        busy = paths()[:BUSY]
        self._chance.shuffle(busy)
        for path in cycle(busy):
            await client.get(path.replace("{thing_id}", "7"))
            self.recorded += 1
            await asyncio.sleep(1 / PER_SECOND)


@asynccontextmanager
async def ask(port: int) -> AsyncIterator[Asking]:
    """Connect, and call endpoints all the while."""
    clients = [await Client.connect(port) for _ in range(CLIENTS + 1)]
    asking = Asking(clients[1:], Random(CLIENTS))
    using = asyncio.create_task(asking.use(clients[0]))
    try:
        yield asking
    finally:
        using.cancel()
        for client in clients:
            await client.close()


async def ask_alone(port: int, path: str, rounds: int) -> list[Timed]:
    """One question again and again over one connection; the first time is left out."""
    client = await Client.connect(port)
    times = [await timed(client, path) for _ in range(rounds + 1)]
    await client.close()
    return times[1:]


async def timed(client: Client, path: str) -> Timed:
    """Duration of an answer."""
    began = time.perf_counter()
    assert await client.get(path), path
    return 1_000 * (time.perf_counter() - began)
