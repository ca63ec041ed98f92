"""Real traffic for the demo, from a process of its own, until Ctrl-C: HTTP and WebSockets.

``python -m example_project.traffic --base-url http://127.0.0.1:8000 --rate 6``
"""

import argparse
import asyncio
import contextlib
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import httpx
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from example_project.catalogue import CATALOGUE
from example_project.clients import SERVICE_HEADER, Client
from example_project.pacing import DEFAULT_RATE, EnoughError, Pacer
from example_project.scenarios import MIX
from example_project.shopper import Memory, Shopper

CLIENTS = 12
LISTENERS = 2
TIMEOUT_SECONDS = 15.0
PAUSE_SECONDS = (2.0, 12.0)
LISTENING_SECONDS = (4.0, 25.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Command line options.

    Attributes:
        base_url: Of the API, without a slash at the end.
        rate: Requests a second, on average.
        seed: Of the chance; the same seed makes the same choices.
        count: Requests in all; None for no end.
    """

    base_url: str
    rate: float = DEFAULT_RATE
    seed: int = 1
    count: int | None = None


async def run(options: Options) -> Memory:
    """Send requests until all are sent, or until it is cancelled.

    Returns:
        Everything that the clients have in common at the end.
    """
    memory = Memory(skus=[row[0] for rows in CATALOGUE.values() for row in rows])
    Random(options.seed).shuffle(memory.skus)
    pacer = Pacer(options.rate, Random(options.seed), most=options.count)
    # No proxy from the environment: the API is on this machine.
    async with httpx.AsyncClient(
        base_url=options.base_url, timeout=TIMEOUT_SECONDS, trust_env=False
    ) as client:
        shoppers = [
            Shopper(client, pacer, memory, Random(f"{options.seed} client {number}"))
            for number in range(CLIENTS)
        ]
        listeners = [
            asyncio.create_task(_listen(options, Random(f"{options.seed} listener {number}")))
            for number in range(LISTENERS)
        ]
        try:
            await asyncio.gather(*(_be(shopper) for shopper in shoppers))
        finally:
            for listener in listeners:
                listener.cancel()
            await asyncio.gather(*listeners, return_exceptions=True)
    return memory


async def _be(shopper: Shopper) -> None:
    """Play one scenario after another."""
    scenarios, weights = list(MIX), list(MIX.values())
    with contextlib.suppress(EnoughError):
        while True:
            await shopper.chance.choices(scenarios, weights)[0](shopper)


async def _listen(options: Options, chance: Random) -> None:
    """Follow the orders for a while, again and again; some ask for what there is not."""
    address = "ws" + options.base_url.removeprefix("http") + "/v2/orders/events"
    headers = {SERVICE_HEADER: Client.BACK_OFFICE.value}
    questions = ("", "?only=paid", "?only=shipped", "?only=nonsense")
    while True:
        question = chance.choices(questions, (6, 3, 3, 1))[0]
        with contextlib.suppress(WebSocketException, OSError, TimeoutError):
            target = address + question
            async with connect(target, additional_headers=headers, proxy=None) as socket:
                async with asyncio.timeout(chance.uniform(*LISTENING_SECONDS)):
                    async for _ in socket:
                        pass
        await asyncio.sleep(chance.uniform(*PAUSE_SECONDS))


async def run_until_told(options: Options) -> Memory | None:
    """`run`, ended by SIGINT or SIGTERM; None when it was ended so."""
    running = asyncio.create_task(run(options))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, running.cancel)
    try:
        return await running
    except asyncio.CancelledError:
        return None


def parse(arguments: Sequence[str]) -> Options:
    """The command line as options."""
    parser = argparse.ArgumentParser(prog="python -m example_project.traffic", description=__doc__)
    parser.add_argument("--base-url", default="http://127.0.0.1:8000")
    parser.add_argument("--rate", type=_positive, default=DEFAULT_RATE, help="requests a second")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, help="requests in all; without it, no end")
    found = parser.parse_args(arguments)
    return Options(
        base_url=found.base_url.rstrip("/"), rate=found.rate, seed=found.seed, count=found.count
    )


def _positive(text: str) -> float:
    number = float(text)
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError("must be greater than 0")
    return number


def main(arguments: Sequence[str]) -> int:
    """Send traffic; returns the exit status."""
    memory = asyncio.run(run_until_told(parse(arguments)))
    if memory is not None:
        answers = ", ".join(f"{n:,} x {status}" for status, n in sorted(memory.statuses.items()))
        print(f"{memory.statuses.total():,} requests: {answers}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
