"""Usage profile of each endpoint in the demo's past. Numbers only: no clock, no chance, no I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from example_project.clients import Client

Key = tuple[str, str]
"""Method and path template, as fastapi_lens reports them."""


class Rhythm(StrEnum):
    """When those who call an endpoint are awake."""

    SHOPPERS = "shoppers"
    OFFICE = "office"
    MACHINES = "machines"


class Trend(StrEnum):
    """Trend of the number of calls."""

    GROWING = "growing"
    STEADY = "steady"
    FADING = "fading"
    LAUNCHED = "launched"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Usage profile of one endpoint.

    Attributes:
        share: Calls, compared with the other endpoints.
        median_ms: Half of the calls were faster.
        sigma: Spread of the log-normal distribution of the latency.
        ok: The status of a call that went well.
        errors: Other statuses, each as a share of the calls.
        rhythm: Daily rhythm of its callers.
        trend: Trend of its calls.
        before_release: Factor on the latency before the last release.
        last_days_ago: When it was called last; 0 for up to now.
        incident_5xx: Share of the calls that failed during the incident.
    """

    share: float
    median_ms: float
    sigma: float = 0.5
    ok: int = 200
    errors: Mapping[int, float] = field(default_factory=dict[int, float])
    rhythm: Rhythm = Rhythm.SHOPPERS
    trend: Trend = Trend.GROWING
    before_release: float = 1.0
    last_days_ago: float = 0.0
    incident_5xx: float = 0.06


NEVER_CALLED: frozenset[Key] = frozenset(
    {
        ("POST", "/operations/reindex"),
        ("DELETE", "/v2/customers/{customer_id}"),
        ("GET", "/v2/products/{sku}/similar"),
        ("POST", "/v2/gift-cards"),
        ("GET", "/v2/gift-cards/{code}"),
    }
)


@dataclass(frozen=True, slots=True)
class Batch:
    """A job that calls an endpoint once a quarter.

    Attributes:
        client: Its name.
        days_ago: When it ran.
        ok: The status of its calls.
        calls: Calls of each run.
    """

    client: Client
    days_ago: tuple[float, ...]
    ok: int = 200
    calls: int = 1


BATCHES: Mapping[Key, Batch] = {
    # In use, though it rests for three months.
    ("GET", "/v2/reports/quarterly/{year}/{quarter}"): Batch(
        Client.QUARTER_CLOSE, (20.5, 111.5, 202.5, 293.5, 384.5)
    ),
    # Has stopped.
    ("GET", "/v2/reports/tax/{year}/{quarter}"): Batch(
        Client.BOOKKEEPING, (183.5, 274.5, 365.5, 446.5)
    ),
    # Hides behind the back office, which called every working day until it stopped.
    ("POST", "/v2/coupons"): Batch(
        Client.CAMPAIGNS, (85.5, 176.5, 267.5, 358.5, 449.5), ok=201, calls=6
    ),
}
"""Endpoints that a job calls once a quarter."""

CATALOG: Mapping[Key, Profile] = {
    ("GET", "/v2/products"): Profile(share=283, median_ms=9.5, sigma=0.55),
    ("POST", "/v2/products"): Profile(
        share=8,
        trend=Trend.STEADY,
        median_ms=6.2,
        ok=201,
        errors={409: 0.1, 422: 0.04},
        rhythm=Rhythm.OFFICE,
    ),
    ("GET", "/v2/products/{sku}"): Profile(share=753, median_ms=3.1, sigma=0.6, errors={404: 0.03}),
    ("PATCH", "/v2/products/{sku}"): Profile(
        share=7,
        trend=Trend.STEADY,
        median_ms=4.6,
        errors={404: 0.01, 422: 0.03},
        rhythm=Rhythm.OFFICE,
    ),
    ("DELETE", "/v2/products/{sku}"): Profile(
        share=12,
        trend=Trend.FADING,
        median_ms=4.9,
        ok=204,
        errors={404: 0.08},
        rhythm=Rhythm.OFFICE,
        last_days_ago=19.4,
    ),
    ("PUT", "/v2/products/{sku}/inventory"): Profile(
        share=100, median_ms=14.5, errors={422: 0.01}, rhythm=Rhythm.OFFICE
    ),
    ("GET", "/v2/products/{sku}/image"): Profile(share=293, median_ms=3.6, sigma=0.7),
    ("PUT", "/v2/products/{sku}/image"): Profile(
        share=9,
        trend=Trend.STEADY,
        median_ms=55.0,
        errors={413: 0.02, 415: 0.08},
        rhythm=Rhythm.OFFICE,
    ),
    ("GET", "/v2/products/{sku}/reviews"): Profile(share=172, median_ms=12.0, errors={404: 0.03}),
    ("POST", "/v2/products/{sku}/reviews"): Profile(
        share=17, median_ms=6.5, ok=201, errors={422: 0.02}
    ),
    ("POST", "/v2/products/import"): Profile(
        share=7,
        trend=Trend.STEADY,
        median_ms=200.0,
        errors={422: 0.1, 500: 0.2},
        rhythm=Rhythm.OFFICE,
    ),
    ("GET", "/v2/search"): Profile(
        share=58, median_ms=120.0, sigma=0.75, errors={422: 0.05}, before_release=0.55
    ),
}

CUSTOMERS: Mapping[Key, Profile] = {
    ("GET", "/v2/customers"): Profile(
        share=43, trend=Trend.STEADY, median_ms=18.0, rhythm=Rhythm.OFFICE
    ),
    ("POST", "/v2/customers"): Profile(
        share=24, median_ms=27.0, ok=201, errors={409: 0.04, 422: 0.06}
    ),
    ("GET", "/v2/customers/{customer_id}"): Profile(
        share=42, median_ms=3.3, errors={404: 0.04}, rhythm=Rhythm.OFFICE
    ),
    ("PATCH", "/v2/customers/{customer_id}"): Profile(
        share=8, median_ms=5.8, errors={404: 0.04, 422: 0.02}, rhythm=Rhythm.OFFICE
    ),
    ("GET", "/v2/customers/{customer_id}/orders"): Profile(
        share=42, median_ms=15.5, errors={404: 0.04}, rhythm=Rhythm.OFFICE
    ),
    ("GET", "/v2/customers/{customer_id}/addresses"): Profile(
        share=13, trend=Trend.STEADY, median_ms=3.6, errors={404: 0.04}, rhythm=Rhythm.OFFICE
    ),
    ("POST", "/v2/customers/{customer_id}/addresses"): Profile(share=20, median_ms=5.9, ok=201),
}

ORDERS: Mapping[Key, Profile] = {
    ("GET", "/v2/orders"): Profile(
        share=52, trend=Trend.STEADY, median_ms=24.0, errors={422: 0.04}, rhythm=Rhythm.OFFICE
    ),
    ("POST", "/v2/orders"): Profile(
        share=128, median_ms=38.0, ok=201, errors={409: 0.04, 422: 0.05}, incident_5xx=0.22
    ),
    ("GET", "/v2/orders/{order_id}"): Profile(share=124, median_ms=9.5, errors={404: 0.06}),
    ("POST", "/v2/orders/{order_id}/cancel"): Profile(
        share=20, trend=Trend.STEADY, median_ms=6.0, errors={409: 0.5}
    ),
    ("POST", "/v2/orders/{order_id}/payment"): Profile(
        share=112,
        median_ms=150.0,
        ok=201,
        errors={402: 0.06, 409: 0.01, 503: 0.03},
        incident_5xx=0.55,
    ),
    ("GET", "/v2/orders/{order_id}/invoice"): Profile(
        share=54, median_ms=65.0, errors={404: 0.01, 500: 0.08}
    ),
    ("GET", "/v2/orders/{order_id}/refunds"): Profile(share=26, median_ms=4.5),
    ("POST", "/v2/orders/{order_id}/refunds"): Profile(
        share=29, median_ms=100.0, ok=201, errors={409: 0.11, 503: 0.01}, incident_5xx=0.5
    ),
    ("GET", "/v2/orders/{order_id}/shipments"): Profile(share=17, median_ms=5.1),
    ("POST", "/v2/orders/{order_id}/shipments"): Profile(
        share=64, median_ms=82.0, ok=201, errors={409: 0.02}, rhythm=Rhythm.OFFICE
    ),
    ("GET", "/v2/shipments/{tracking_code}"): Profile(
        share=80, median_ms=37.0, sigma=0.8, errors={404: 0.06}
    ),
    ("GET", "/v2/orders/export.csv"): Profile(
        share=12,
        trend=Trend.STEADY,
        median_ms=55.0,
        errors={422: 0.01, 500: 0.08},
        rhythm=Rhythm.OFFICE,
    ),
    ("WEBSOCKET", "/v2/orders/events"): Profile(
        share=9,
        trend=Trend.LAUNCHED,
        median_ms=11_500.0,
        sigma=0.45,
        ok=101,
        errors={403: 0.07},
        rhythm=Rhythm.OFFICE,
        incident_5xx=0.0,
    ),
    ("POST", "/webhooks/payments"): Profile(
        share=97, median_ms=4.6, ok=204, errors={401: 0.02, 404: 0.01}, incident_5xx=0.3
    ),
}

THE_REST: Mapping[Key, Profile] = {
    # Only crawlers ask for it.
    ("GET", "/v2/feeds/products"): Profile(
        share=3, trend=Trend.STEADY, median_ms=75.0, rhythm=Rhythm.MACHINES
    ),
    # Every call is refused.
    ("POST", "/webhooks/parcels"): Profile(
        share=4,
        trend=Trend.STEADY,
        median_ms=2.1,
        ok=401,
        rhythm=Rhythm.MACHINES,
        incident_5xx=0.0,
    ),
    ("GET", "/health"): Profile(
        share=87, trend=Trend.STEADY, median_ms=3.0, rhythm=Rhythm.MACHINES, incident_5xx=0.1
    ),
    ("GET", "/static/{path}"): Profile(share=79, median_ms=2.4, errors={304: 0.2, 404: 0.06}),
    ("GET", "/v2/coupons/{code}"): Profile(share=26, median_ms=3.3, errors={404: 0.05}),
    ("POST", "/v2/coupons"): Profile(
        share=30,
        trend=Trend.FADING,
        median_ms=5.2,
        ok=201,
        errors={409: 0.1},
        rhythm=Rhythm.OFFICE,
        last_days_ago=78.9,
    ),
    ("POST", "/v2/newsletter/subscribers"): Profile(
        share=16, trend=Trend.FADING, median_ms=5.6, ok=201, errors={422: 0.07}, last_days_ago=105.3
    ),
    ("GET", "/v2/reports/sales"): Profile(
        share=6,
        trend=Trend.STEADY,
        median_ms=560.0,
        sigma=0.6,
        errors={422: 0.01},
        rhythm=Rhythm.OFFICE,
    ),
    ("GET", "/v2/reports/low-stock"): Profile(
        share=13, trend=Trend.STEADY, median_ms=45.0, rhythm=Rhythm.OFFICE
    ),
    ("GET", "/partner/feed"): Profile(
        share=23, trend=Trend.LAUNCHED, median_ms=95.0, errors={401: 0.04}, rhythm=Rhythm.MACHINES
    ),
    ("GET", "/partner/stock/{sku}"): Profile(
        share=78,
        trend=Trend.LAUNCHED,
        median_ms=4.1,
        errors={401: 0.04, 404: 0.01},
        rhythm=Rhythm.MACHINES,
    ),
    ("POST", "/partner/orders"): Profile(
        share=24, trend=Trend.LAUNCHED, median_ms=44.0, ok=201, errors={409: 0.03}, incident_5xx=0.2
    ),
    ("GET", "/partner/orders/{reference}"): Profile(
        share=5,
        trend=Trend.LAUNCHED,
        median_ms=6.3,
        errors={401: 0.03, 404: 0.12},
        last_days_ago=11.7,
    ),
    ("GET", "/v1/orders"): Profile(
        share=15, trend=Trend.FADING, median_ms=85.0, sigma=0.6, rhythm=Rhythm.OFFICE
    ),
    ("POST", "/v1/orders"): Profile(
        share=11,
        trend=Trend.FADING,
        median_ms=34.0,
        ok=201,
        errors={409: 0.03, 422: 0.08},
        last_days_ago=415.2,
    ),
    ("GET", "/v1/orders/{order_id}"): Profile(
        share=19, trend=Trend.FADING, median_ms=5.0, errors={404: 0.07}, last_days_ago=48.2
    ),
}

PROFILES: Mapping[Key, Profile] = {**CATALOG, **CUSTOMERS, **ORDERS, **THE_REST}

QUIET: frozenset[Key] = (
    NEVER_CALLED
    | frozenset(BATCHES)
    | frozenset(key for key, profile in PROFILES.items() if profile.last_days_ago)
)
"""Endpoints that the demo shows as cold, dead or never called; its traffic must not call them."""

REMOVED: Mapping[Key, Profile] = {
    ("GET", "/v1/customers/{customer_id}"): Profile(
        share=9, trend=Trend.FADING, median_ms=4.0, errors={404: 0.05}, rhythm=Rhythm.OFFICE
    ),
    ("GET", "/v1/server-info"): Profile(
        share=2, trend=Trend.FADING, median_ms=1.5, rhythm=Rhythm.OFFICE
    ),
}
"""Endpoints that only earlier releases had."""


@dataclass(frozen=True, slots=True)
class Leftover:
    """Calls that a removed endpoint still gets.

    Attributes:
        path: A path that it had.
        client: Its caller.
        calls_per_day: Calls a day.
    """

    path: str
    client: Client
    calls_per_day: float


LEFTOVERS: Mapping[Key, Leftover] = {
    ("GET", "/v1/customers/{customer_id}"): Leftover("/v1/customers/17", Client.TILL, 7.0),
    ("GET", "/v1/server-info"): Leftover("/v1/server-info", Client.SCANNER, 2.0),
}
"""Callers of the removed endpoints: an old till, and a scanner."""


class UnknownEndpointError(Exception):
    """A profile names an endpoint that the app does not have, or the app has one without."""


def check(endpoints: frozenset[Key]) -> None:
    """See that there is exactly one profile for each endpoint of the app.

    Raises:
        UnknownEndpointError: There is not; names those that don't fit.
    """
    planned = NEVER_CALLED | frozenset(BATCHES) | frozenset(PROFILES)
    differences = [
        (planned - endpoints, "profiles.py names endpoints that the app does not have"),
        (endpoints - planned, "profiles.py lacks endpoints of the app"),
    ]
    for keys, problem in differences:
        if keys:
            listed = ", ".join(f"{method} {path}" for method, path in sorted(keys))
            raise UnknownEndpointError(f"{problem}: {listed}")
