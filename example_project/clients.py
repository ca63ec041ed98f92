"""Clients of the API, and how each one makes itself known. Knows no lens."""

from collections.abc import Mapping
from enum import StrEnum

from example_project.credentials import DEMO_PARTNER_KEY

SERVICE_HEADER = "X-Service-Name"
KEY_HEADER = "X-Partner-Key"


class Client(StrEnum):
    """The clients; the value of an internal service is the name that it sends."""

    STOREFRONT = "storefront"
    BACK_OFFICE = "back-office"
    WAREHOUSE = "warehouse"
    ACCOUNTING = "accounting"
    BOOKKEEPING = "bookkeeping"
    QUARTER_CLOSE = "quarter-close"
    CAMPAIGNS = "campaign-batch"
    BROWSER = "browser"
    PAYMENTS = "payments"
    PARTNER = "partner"
    PARTNER_WITHOUT_KEY = "partner-without-key"
    TILL = "till"
    CARRIER = "carrier"
    CRAWLER = "crawler"
    PROBE = "probe"
    SCANNER = "scanner"


SERVICES = frozenset(
    {
        *(Client.STOREFRONT, Client.BACK_OFFICE, Client.WAREHOUSE),
        *(Client.ACCOUNTING, Client.BOOKKEEPING),
        *(Client.QUARTER_CLOSE, Client.CAMPAIGNS),
    }
)
"""Internal services; nobody else's name is believed."""

AGENTS: Mapping[Client, str] = {
    Client.BROWSER: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    Client.PAYMENTS: "PayHub/3.2",
    Client.PARTNER: "PartnerShop/2.0",
    Client.PARTNER_WITHOUT_KEY: "PartnerShop/2.0",
    Client.TILL: "TillSync/1.4",
    Client.CARRIER: "ParcelPost/1.0",
    Client.CRAWLER: "Googlebot/2.1",
    Client.PROBE: "kube-probe/1.33",
    Client.SCANNER: "Mozilla/5.0 zgrab/0.x",
}
"""The User-Agent of those that are no internal services."""


def headers_of(client: Client) -> dict[str, str]:
    """The headers by which a client makes itself known."""
    if client in SERVICES:
        return {SERVICE_HEADER: client.value, "User-Agent": "python-httpx/0.28"}
    headers = {"User-Agent": AGENTS[client]}
    if client is Client.PARTNER:
        headers[KEY_HEADER] = DEMO_PARTNER_KEY
    return headers
