"""Fifty clients that ask for a report at once, in a process of their own.

``python -m benchmarks.admin_load_clients PORT SECONDS EVERY KEY [together]``: each asks every so
many seconds, spread over them unless ``together``; 0 means without a pause, an empty key none.
Prints JSON: answers by status, and how long they took. Measures no application.
"""

import asyncio
import json
import sys
import time
from collections import Counter

from tests.support.clients import Client

CLIENTS = 50
REPORT = "/lens/report"
CONNECTED = "connected"
"""Is printed when all are."""


async def ask(
    port: int, *, seconds: float, every: float, key: str, together: bool
) -> tuple[Counter[int], list[float]]:
    """Ask, each client on a connection of its own.

    Args:
        port: Of the server.
        seconds: How long.
        every: Seconds between two questions of a client.
        key: Of the admin; empty for none.
        together: Whether all ask at the same moment.

    Returns:
        Answers by status, and milliseconds to the last byte of each.
    """
    # As browsers and most libraries do by themselves.
    headers = {"Accept-Encoding": "gzip", **({"X-Lens-Key": key} if key else {})}
    statuses: Counter[int] = Counter()
    took_ms: list[float] = []
    clients = [await Client.connect(port) for _ in range(CLIENTS)]
    print(CONNECTED, flush=True)
    begin = time.perf_counter()

    async def one(number: int, client: Client) -> None:
        due = begin + (0.0 if together else every * number / CLIENTS)
        while due < begin + seconds and time.perf_counter() < begin + seconds:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            asked = time.perf_counter()
            answer = await client.send("GET", REPORT, headers=headers)
            assert answer is not None
            statuses[answer.status] += 1
            took_ms.append(1_000 * (time.perf_counter() - asked))
            due += every
        await client.close()

    await asyncio.gather(*(one(number, client) for number, client in enumerate(clients)))
    return statuses, took_ms


if __name__ == "__main__":
    found, took = asyncio.run(
        ask(
            int(sys.argv[1]),
            seconds=float(sys.argv[2]),
            every=float(sys.argv[3]),
            key=sys.argv[4],
            together="together" in sys.argv[5:],
        )
    )
    print(json.dumps({"statuses": found, "took_ms": sorted(took)}))
