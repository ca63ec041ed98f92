"""Settings saved in one worker apply to all workers within one flush."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.admin.governed import FLUSH_SECONDS
from tests.support.clients import Client
from tests.support.servers import Server

ROOT = Path(__file__).parents[2]
WORKERS = 4
SLACK_SECONDS = 3.0
"""Time that four simultaneous flushes and an answer may take on a busy machine."""


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


async def until_all(clients: dict[int, Client], **wanted: Any) -> float:
    """Seconds until every worker goes by these settings."""
    begun = time.monotonic()
    while True:
        told = [await question(client) for client in clients.values()]
        if all(wanted.items() <= one.items() for one in told):
            return time.monotonic() - begun
        assert time.monotonic() - begun < 20, told
        await asyncio.sleep(0.02)


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

    async def watch() -> list[float]:
        clients = await each_worker(server.port)
        assert len(clients) == WORKERS
        await until_all(clients, ttl_days=None)
        save("retention", version=0, ttl_days=30)
        took = [await until_all(clients, ttl_days=30)]
        save("rules", version=0, pattern="/in-force")
        took.append(await until_all(clients, rules=["/in-force"]))
        save("retention", version=1, ttl_days="", reset="ttl_days")
        took.append(await until_all(clients, ttl_days=None))
        for client in clients.values():
            await client.close()
        return took

    took = asyncio.run(watch())
    assert max(took) < FLUSH_SECONDS + SLACK_SECONDS
