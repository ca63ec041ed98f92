"""Request and response bodies that are not rows of a table. No logic."""

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints

from example_project.models import Channel, OrderStatus

Sku = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2,4}-[0-9]{3,5}$")]
Email = Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+\.[a-z]{2,}$")]
Country = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=500)]
Cents = Annotated[int, Field(ge=0, le=10_000_000)]


class Health(BaseModel):
    """Health of the API."""

    status: Literal["ok"] = "ok"
    products: int


class NewProduct(BaseModel):
    """A product to be sold."""

    sku: Sku
    name: Text
    category: Text
    price_cents: Cents
    stock: Annotated[int, Field(ge=0)] = 0


class ProductChange(BaseModel):
    """Fields of a product to change; fields left out stay as they are."""

    name: Text | None = None
    category: Text | None = None
    price_cents: Cents | None = None
    is_listed: bool | None = None


class StockLevel(BaseModel):
    """Stock of a product, in pieces."""

    stock: Annotated[int, Field(ge=0, le=100_000)]


class ImportResult(BaseModel):
    """Result of an import."""

    added: int
    changed: int


class NewReview(BaseModel):
    """A customer's opinion of a product."""

    customer_id: int
    stars: Annotated[int, Field(ge=1, le=5)]
    text: Text


class NewCustomer(BaseModel):
    """Somebody who wants to buy."""

    name: Text
    email: Email
    country: Country


class CustomerChange(BaseModel):
    """Fields of a customer to change; fields left out stay as they are."""

    name: Text | None = None
    email: Email | None = None
    country: Country | None = None


class NewAddress(BaseModel):
    """Where parcels or invoices are to go."""

    kind: Literal["shipping", "billing"]
    street: Text
    city: Text
    postal_code: Text
    country: Country


class NewLine(BaseModel):
    """Some pieces of one product."""

    sku: Sku
    quantity: Annotated[int, Field(ge=1, le=50)]


Lines = Annotated[list[NewLine], Field(min_length=1, max_length=20)]


class NewOrder(BaseModel):
    """Order of a customer."""

    customer_id: int
    lines: Lines
    coupon_code: str | None = None


class NewPartnerOrder(BaseModel):
    """Order of a partner for one of their customers; the reference is theirs."""

    reference: Text
    lines: Lines


class LineDetail(BaseModel):
    """One product of an order."""

    sku: str
    name: str
    quantity: int
    unit_price_cents: int


class OrderDetail(BaseModel):
    """An order with all that is in it."""

    id: int
    customer_id: int
    status: OrderStatus
    channel: Channel
    reference: str | None
    coupon_code: str | None
    shipping_cents: int
    total_cents: int
    created_at: datetime
    lines: list[LineDetail]


class NewPayment(BaseModel):
    """Payment of an order."""

    token: Text


class NewRefund(BaseModel):
    """Money to go back; without an amount, all that is left."""

    reason: Text
    amount_cents: Annotated[int, Field(ge=1)] | None = None


class NewShipment(BaseModel):
    """Shipment of an order."""

    carrier: Literal["post", "bike-courier", "freight"]


class Tracking(BaseModel):
    """Where a parcel is."""

    tracking_code: str
    carrier: str
    order_id: int
    is_delivered: bool


class Invoice(BaseModel):
    """Invoice of an order, with its lines."""

    order_id: int
    net_cents: int
    vat_cents: int
    total_cents: int
    shipping_share_pct: float


class NewCoupon(BaseModel):
    """A discount to be given."""

    code: Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]{4,20}$")]
    percent_off: Annotated[int, Field(ge=1, le=100)]


class NewGiftCard(BaseModel):
    """Money paid in advance."""

    balance_cents: Annotated[int, Field(ge=500, le=50_000)]


class NewSubscriber(BaseModel):
    """Somebody who wants the newsletter."""

    email: Email


class SalesDay(BaseModel):
    """Sales of one day."""

    day: date
    orders: int
    revenue_cents: int


class CategoryRevenue(BaseModel):
    """Revenue of one category."""

    category: str
    pieces: int
    revenue_cents: int


class SalesTax(BaseModel):
    """Revenue of one quarter without tax, and the tax."""

    net_cents: int
    tax_cents: int


class PaymentNotice(BaseModel):
    """Notice of the payment provider about a payment."""

    provider_reference: str
    event: Literal["settled", "disputed"]


class ParcelNotice(BaseModel):
    """Notice of a carrier that it has delivered a parcel."""

    tracking_code: str


class LegacyOrder(BaseModel):
    """An order in the words of version 1."""

    orderId: int  # noqa: N815  Version 1 spelled it so.
    state: str
    amount: float


class NewLegacyOrder(BaseModel):
    """An order in the words of version 1: one product."""

    customerId: int  # noqa: N815  Version 1 spelled it so.
    sku: Sku
    amount: Annotated[int, Field(ge=1, le=50)] = 1


class Offer(BaseModel):
    """Product as partners see it."""

    sku: str
    name: str
    price_cents: int
    in_stock: bool
