"""Habits of clients in the demo's past. Numbers only: no clock, no chance, no I/O."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf

from example_project.clients import Client
from example_project.profiles import PROFILES, REMOVED, Key, Rhythm

UNAUTHORIZED = 401


@dataclass(frozen=True, slots=True)
class Habit:
    """The habit of one client of an endpoint.

    Attributes:
        client: Which.
        share: Its calls, compared with the other clients of the endpoint.
        first_days_ago: When it began; infinite for always.
        last_days_ago: When it stopped; 0 for up to now.
    """

    client: Client
    share: float = 1.0
    first_days_ago: float = inf
    last_days_ago: float = 0.0


_OF_RHYTHM: Mapping[Rhythm, tuple[Habit, ...]] = {
    Rhythm.SHOPPERS: (Habit(Client.STOREFRONT),),
    Rhythm.OFFICE: (Habit(Client.BACK_OFFICE),),
    Rhythm.MACHINES: (Habit(Client.PROBE),),
}

_PARTNER = (Habit(Client.PARTNER),)
_WAREHOUSE = (Habit(Client.WAREHOUSE),)

_OF_ENDPOINT: Mapping[Key, tuple[Habit, ...]] = {
    ("GET", "/v2/products/{sku}/image"): (Habit(Client.BROWSER),),
    ("GET", "/static/{path}"): (Habit(Client.BROWSER),),
    ("PUT", "/v2/products/{sku}/inventory"): _WAREHOUSE,
    ("GET", "/v2/orders/{order_id}/shipments"): _WAREHOUSE,
    ("POST", "/v2/orders/{order_id}/shipments"): _WAREHOUSE,
    ("GET", "/v2/orders/export.csv"): (Habit(Client.ACCOUNTING),),
    ("GET", "/v2/reports/sales"): (
        Habit(Client.BACK_OFFICE, 3),
        Habit(Client.ACCOUNTING, 1, first_days_ago=160),
    ),
    ("POST", "/webhooks/payments"): (Habit(Client.PAYMENTS),),
    ("POST", "/webhooks/parcels"): (Habit(Client.CARRIER),),
    ("GET", "/v2/feeds/products"): (Habit(Client.CRAWLER),),
    ("GET", "/partner/feed"): _PARTNER,
    ("GET", "/partner/stock/{sku}"): _PARTNER,
    ("POST", "/partner/orders"): _PARTNER,
    ("GET", "/partner/orders/{reference}"): _PARTNER,
    # Version 1 burns down: two have moved to version 2, the till has not.
    ("GET", "/v1/orders"): (
        Habit(Client.TILL, 2),
        Habit(Client.ACCOUNTING, 5, last_days_ago=61.5),
        Habit(Client.BACK_OFFICE, 9, last_days_ago=152.5),
    ),
    ("GET", "/v1/orders/{order_id}"): (
        Habit(Client.TILL, 2),
        Habit(Client.BACK_OFFICE, 5, last_days_ago=152.5),
    ),
    ("POST", "/v1/orders"): (Habit(Client.TILL),),
    ("GET", "/v1/customers/{customer_id}"): (Habit(Client.TILL),),
}


def habits_of(key: Key, days_ago: float) -> tuple[Habit, ...]:
    """The clients that called an endpoint so many days ago; at least one.

    Args:
        key: Of an endpoint with a profile.
        days_ago: Days before the present.
    """
    profile = PROFILES.get(key) or REMOVED[key]
    habits = _OF_ENDPOINT.get(key) or _OF_RHYTHM[profile.rhythm]
    return tuple(one for one in habits if one.last_days_ago <= days_ago < one.first_days_ago)


def client_of(habit: Habit, status: int) -> Client:
    """The client of a call with this status: a partner without its key is refused."""
    if habit.client is Client.PARTNER and status == UNAUTHORIZED:
        return Client.PARTNER_WITHOUT_KEY
    return habit.client
