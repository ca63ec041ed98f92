"""Dependencies of the handlers: one Shop per application."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Annotated, Any

from fastapi import Depends, Query
from sqlmodel import Session
from starlette.requests import HTTPConnection

from example_project.database import Database
from example_project.events import OrderEvents
from example_project.payments import PaymentProvider
from example_project.settings import Settings


@dataclass(frozen=True, slots=True)
class Shop:
    """The collaborators of all handlers, the partners' sub-application included."""

    settings: Settings
    database: Database
    events: OrderEvents = field(default_factory=OrderEvents)
    provider: PaymentProvider = field(default_factory=PaymentProvider)
    chance: Random = field(default_factory=lambda: Random(20240229))


def shop_of(connection: HTTPConnection) -> Shop:
    """The shop of the application that serves this request or WebSocket."""
    shop: Shop = connection.app.state.shop
    return shop


CurrentShop = Annotated[Shop, Depends(shop_of)]


def session_of(shop: CurrentShop) -> Iterator[Session]:
    """A session for one request."""
    with shop.database.session() as session:
        yield session


CurrentSession = Annotated[Session, Depends(session_of)]


def takes(median_ms: float, *, sigma: float = 0.4) -> Any:
    """A dependency that waits as a slower machine, or a service elsewhere, would.

    Args:
        median_ms: Half of the waits are shorter.
        sigma: Spread of the log-normal distribution.
    """

    async def wait(shop: CurrentShop) -> None:
        wait_ms = median_ms * shop.chance.lognormvariate(0, sigma)
        await asyncio.sleep(shop.settings.latency_scale * wait_ms / 1000)

    return Depends(wait)


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is asked for."""

    limit: Annotated[int, Query(ge=1, le=100)] = 20
    offset: Annotated[int, Query(ge=0)] = 0


CurrentPage = Annotated[Page, Depends()]
