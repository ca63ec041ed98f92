"""One client of the API: sends requests when it is its turn, and remembers what it has seen."""

import asyncio
import copy
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, Self

import httpx

from example_project.clients import Client, headers_of
from example_project.pacing import Pacer

REMEMBERED = 200
BREAK_SECONDS = 0.5
NO_ANSWER = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer of the API.

    Attributes:
        status: The HTTP status; `NO_ANSWER` where the connection broke.
        body: The JSON of it; an empty dictionary where there is none.
    """

    status: int
    body: Any

    @property
    def is_good(self) -> bool:
        """True when the server accepted the request."""
        return 200 <= self.status < 300  # noqa: PLR2004  As HTTP counts them.


@dataclass(slots=True)
class Memory:
    """Memory that all clients of one run share; bounded, however long it runs."""

    skus: list[str] = field(default_factory=list[str])
    customers: deque[int] = field(default_factory=lambda: deque(range(1, 121), REMEMBERED))
    orders: deque[int] = field(default_factory=lambda: deque(range(1, 200), REMEMBERED))
    paid: deque[int] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    parcels: deque[str] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    payments: deque[str] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    statuses: Counter[int] = field(default_factory=Counter[int])


class Shopper:
    """A client with its own chance, sharing connections, pace and memory with the others.

    The API knows it as the storefront, unless it acts as another client.
    """

    def __init__(
        self, client: httpx.AsyncClient, pacer: Pacer, memory: Memory, chance: Random
    ) -> None:
        """Send nothing yet."""
        self._client = client
        self._pacer = pacer
        self.headers = headers_of(Client.STOREFRONT)
        self.memory = memory
        self.chance = chance

    def acting_as(self, client: Client) -> Self:
        """The same shopper, known to the API as another client."""
        other = copy.copy(self)
        other.headers = headers_of(client)
        return other

    async def get(self, path: str, **options: Any) -> Answer:
        """Send a GET; options are httpx's."""
        return await self.send("GET", path, **options)

    async def post(self, path: str, json: Mapping[str, Any] | None = None) -> Answer:
        """Send a POST with JSON."""
        return await self.send("POST", path, json=json)

    async def send(self, method: str, path: str, **options: Any) -> Answer:
        """Wait for a turn and send a request; no answer is an answer, too.

        Args:
            method: Of the request.
            path: Of the request.
            options: Those of httpx; headers are added to those of the client.

        Raises:
            EnoughError: There is no turn left.
        """
        await self._pacer.turn()
        try:
            headers = {**self.headers, **options.pop("headers", {})}
            response = await self._client.request(method, path, headers=headers, **options)
        except httpx.TransportError as error:
            self.memory.statuses[NO_ANSWER] += 1
            if isinstance(error, httpx.ConnectError):
                await asyncio.sleep(BREAK_SECONDS)
            return Answer(NO_ANSWER, {})
        self.memory.statuses[response.status_code] += 1
        is_json = response.headers.get("content-type", "").startswith("application/json")
        has_json = is_json and bool(response.content)
        return Answer(response.status_code, response.json() if has_json else {})

    def sku(self) -> str:
        """A product that there is; some are more popular than others."""
        place = min(int(self.chance.expovariate(1 / 9)), len(self.memory.skus) - 1)
        return self.memory.skus[place]

    def customer(self) -> int:
        """A customer that there is."""
        return self.chance.choice(self.memory.customers)

    def likely(self, probability: float) -> bool:
        """True with this probability."""
        return self.chance.random() < probability
