"""Settings saved in one worker apply to all workers within one flush."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks.support.clients import Client
from benchmarks.support.servers import Server

ROOT = Path(__file__).parents[2]
WORKERS = 4


async def each_worker(port: int) -> dict[int, Client]:
    """A connection to every worker, by its process."""
    found: dict[int, Client] = {}
    others: list[Client] = []
    for _ in range(200):
        # Those that are held keep their worker, so that the next ones come to others in the end.
        made = await asyncio.gather(*(Client.connect(port) for _ in range(8)))
        for client, told in zip(made, await asyncio.gather(*map(question, made)), strict=True):
            if found.setdefault(told["pid"], client) is not client:
                others.append(client)
        if len(found) == WORKERS:
            break
    for client in others:
        await client.close()
    return found


async def question(client: Client) -> dict[str, Any]:
    answer = await client.send("GET", "/in-force")
    assert answer is not None
    told: dict[str, Any] = answer.json()
    return told


async def flushes_until_all(clients: dict[int, Client], **wanted: Any) -> int:
    """The most flushes that a worker finishes from now on until it goes by these settings."""
    before = [await question(client) for client in clients.values()]
    async with asyncio.timeout(60):
        while True:
            told = [await question(client) for client in clients.values()]
            if all(wanted.items() <= one["now"].items() for one in told):
                break
            await asyncio.sleep(0.02)
    most = 0
    for first, last in zip(before, told, strict=True):
        since = [first["now"], *last["after_each_flush"][len(first["after_each_flush"]) :]]
        steps = (n for n, one in enumerate(since) if wanted.items() <= one.items())
        # A change that was just taken is perhaps not yet noted.
        most = max(most, next(steps, len(since)))
    return most


@pytest.mark.postgres
@pytest.mark.server
def test_a_change_is_in_force_in_each_of_four_workers_within_one_flush(
    run_server: Callable[..., Server], postgres_url: str
) -> None:
    args = ["--app-dir", str(ROOT), "--workers", str(WORKERS), "--log-level", "warning"]
    server = run_server(
        "tests.admin.governed:app", args=args, env={"LENS_DATABASE_URL": postgres_url}
    )

    def save(section: str, **fields: Any) -> None:
        answer = httpx.post(
            f"{server.url}/lens/settings/{section}", data=fields, headers={"Origin": server.url}
        )
        assert answer.status_code == 303

    async def watch() -> list[int]:
        clients = await each_worker(server.port)
        assert len(clients) == WORKERS
        await flushes_until_all(clients, ttl_days=None)
        save("retention", version=0, ttl_days=30)
        flushes = [await flushes_until_all(clients, ttl_days=30)]
        save("rules", version=0, pattern="/in-force")
        flushes.append(await flushes_until_all(clients, rules=["/in-force"]))
        save("retention", version=1, ttl_days="", reset="ttl_days")
        flushes.append(await flushes_until_all(clients, ttl_days=None))
        for client in clients.values():
            await client.close()
        return flushes

    # The first of two may have begun before the change was saved.
    assert max(asyncio.run(watch())) <= 2
