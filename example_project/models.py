"""The shop's tables. Money is in cents, times are aware and in UTC. Knows no HTTP."""

from datetime import UTC, datetime
from enum import StrEnum

from sqlmodel import Field, SQLModel


class OrderStatus(StrEnum):
    """Progress of an order."""

    PLACED = "placed"
    PAID = "paid"
    SHIPPED = "shipped"
    REFUNDED = "refunded"
    CANCELLED = "cancelled"


class Channel(StrEnum):
    """Where an order came from."""

    WEB = "web"
    PARTNER = "partner"
    LEGACY = "legacy"


def now() -> datetime:
    """The present, aware and in UTC."""
    return datetime.now(UTC)


class Product(SQLModel, table=True):
    """Something that the shop sells."""

    __tablename__ = "products"

    id: int | None = Field(default=None, primary_key=True)
    sku: str = Field(unique=True)
    name: str
    category: str = Field(index=True)
    price_cents: int
    stock: int = 0
    is_listed: bool = True
    image_type: str | None = None


class Review(SQLModel, table=True):
    """Review of a product by a customer."""

    __tablename__ = "reviews"

    id: int | None = Field(default=None, primary_key=True)
    product_id: int = Field(foreign_key="products.id", index=True)
    customer_id: int = Field(foreign_key="customers.id")
    stars: int
    text: str
    created_at: datetime = Field(default_factory=now)


class Customer(SQLModel, table=True):
    """Somebody who buys."""

    __tablename__ = "customers"

    id: int | None = Field(default=None, primary_key=True)
    name: str
    email: str = Field(unique=True)
    country: str
    created_at: datetime = Field(default_factory=now)


class Address(SQLModel, table=True):
    """Where a customer wants parcels or invoices to go."""

    __tablename__ = "addresses"

    id: int | None = Field(default=None, primary_key=True)
    customer_id: int = Field(foreign_key="customers.id", index=True)
    kind: str
    street: str
    city: str
    postal_code: str
    country: str


class Order(SQLModel, table=True):
    """Order of a customer; the total is after the coupon, with shipping."""

    __tablename__ = "orders"

    id: int | None = Field(default=None, primary_key=True)
    customer_id: int = Field(foreign_key="customers.id", index=True)
    status: OrderStatus = Field(default=OrderStatus.PLACED, index=True)
    channel: Channel = Channel.WEB
    reference: str | None = Field(default=None, index=True)
    coupon_code: str | None = None
    shipping_cents: int = 0
    total_cents: int = 0
    created_at: datetime = Field(default_factory=now, index=True)


class OrderLine(SQLModel, table=True):
    """One product of an order, at the price of that day."""

    __tablename__ = "order_lines"

    id: int | None = Field(default=None, primary_key=True)
    order_id: int = Field(foreign_key="orders.id", index=True)
    product_id: int = Field(foreign_key="products.id", index=True)
    quantity: int
    unit_price_cents: int


class Payment(SQLModel, table=True):
    """Money that came in for an order."""

    __tablename__ = "payments"

    id: int | None = Field(default=None, primary_key=True)
    order_id: int = Field(foreign_key="orders.id", unique=True)
    amount_cents: int
    provider_reference: str = Field(unique=True)
    is_settled: bool = False
    created_at: datetime = Field(default_factory=now)


class Refund(SQLModel, table=True):
    """Money that went back."""

    __tablename__ = "refunds"

    id: int | None = Field(default=None, primary_key=True)
    order_id: int = Field(foreign_key="orders.id", index=True)
    amount_cents: int
    reason: str
    created_at: datetime = Field(default_factory=now)


class Shipment(SQLModel, table=True):
    """A parcel on its way."""

    __tablename__ = "shipments"

    id: int | None = Field(default=None, primary_key=True)
    order_id: int = Field(foreign_key="orders.id", index=True)
    carrier: str
    tracking_code: str = Field(unique=True)
    created_at: datetime = Field(default_factory=now)


class Coupon(SQLModel, table=True):
    """A discount that customers get by a word."""

    __tablename__ = "coupons"

    code: str = Field(primary_key=True)
    percent_off: int


class GiftCard(SQLModel, table=True):
    """Money that was paid in advance."""

    __tablename__ = "gift_cards"

    code: str = Field(primary_key=True)
    balance_cents: int


class Subscriber(SQLModel, table=True):
    """Somebody who wants the newsletter."""

    __tablename__ = "subscribers"

    email: str = Field(primary_key=True)
    created_at: datetime = Field(default_factory=now)


def known_id(row_id: int | None) -> int:
    """The id of a row that the database has."""
    if row_id is None:
        raise ValueError("the row has not been flushed")
    return row_id


TABLES = [
    SQLModel.metadata.tables[name]
    for name in (
        *("products", "reviews", "customers", "addresses", "orders", "order_lines", "payments"),
        *("refunds", "shipments", "coupons", "gift_cards", "subscribers"),
    )
]
"""The shop's own tables, whatever else the process has in SQLModel's metadata."""
