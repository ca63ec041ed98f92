"""The rows that a new shop starts with: plausible, and the same every time. Knows no HTTP."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from random import Random

from sqlmodel import Session, SQLModel, select

from example_project.catalogue import CATALOGUE, FREE_COUPON
from example_project.models import (
    Address,
    Channel,
    Coupon,
    Customer,
    Order,
    OrderLine,
    OrderStatus,
    Payment,
    Product,
    Review,
    Shipment,
    known_id,
    now,
)
from example_project.ordering import SHIPPING_CENTS

CUSTOMERS = 120
ORDERS = 420
DAYS = 180

_FIRST_NAMES = ("Ada", "Ben", "Carla", "David", "Elif", "Femke", "Goran", "Hanna", "Ivan", "Jana")
_LAST_NAMES = ("Adler", "Baker", "Costa", "Dvorak", "Egger", "Fischer", "Garcia", "Horvat", "Ito")
_CITIES = (("DE", "Leipzig"), ("AT", "Graz"), ("NL", "Utrecht"), ("FR", "Lyon"), ("DK", "Aarhus"))
_OPINIONS = (
    (5, "Better than what the cafe around the corner uses."),
    (5, "Arrived in two days, well packed."),
    (4, "Good, a little smaller than I thought."),
    (3, "Does what it should, no more."),
    (2, "The lid was scratched."),
)
_PAST = (
    *(OrderStatus.SHIPPED,) * 12,
    *(OrderStatus.PAID,) * 3,
    *(OrderStatus.PLACED,) * 2,
    OrderStatus.CANCELLED,
)


def seed(session: Session) -> None:
    """Fill an empty shop; do nothing where there is a product already."""
    if session.exec(select(Product).limit(1)).first() is not None:
        return
    chance = Random(7)
    products = [*_products(chance)]
    session.add_all(products)
    session.add_all(_customers(chance))
    session.add_all(
        Coupon(code=code, percent_off=percent)
        for code, percent in (("SPRING10", 10), ("FRIENDS20", 20), (FREE_COUPON, 100))
    )
    session.flush()
    ages_days = sorted((chance.uniform(0.1, DAYS) for _ in range(ORDERS)), reverse=True)
    for order_id, age_days in enumerate(ages_days, start=1):
        order = Order(
            id=order_id,
            customer_id=chance.randint(1, CUSTOMERS),
            status=chance.choice(_PAST),
            channel=Channel.WEB,
            created_at=now() - timedelta(days=age_days),
        )
        bought = chance.sample(products, 2)
        session.add_all(_fill(order, bought, chance))
        session.add_all(_consequences(order, bought[0], chance))


def _products(chance: Random) -> Iterator[Product]:
    rows = [(category, *row) for category, rows in CATALOGUE.items() for row in rows]
    for product_id, (category, sku, name, price_cents) in enumerate(rows, start=1):
        yield Product(
            id=product_id,
            sku=sku,
            name=name,
            category=category,
            price_cents=price_cents,
            stock=chance.randint(5, 400),
        )


def _customers(chance: Random) -> Iterator[Customer | Address]:
    """Customers, each with the address for their parcels."""
    for customer_id in range(1, CUSTOMERS + 1):
        first, last = chance.choice(_FIRST_NAMES), chance.choice(_LAST_NAMES)
        country, city = chance.choice(_CITIES)
        yield Customer(
            id=customer_id,
            name=f"{first} {last}",
            email=f"{first}.{last}.{customer_id}@example.com".lower(),
            country=country,
            created_at=now() - timedelta(days=DAYS + chance.uniform(1, DAYS)),
        )
        yield Address(
            customer_id=customer_id,
            kind="shipping",
            street=f"Market Street {chance.randint(1, 99)}",
            city=city,
            postal_code=f"{chance.randint(10000, 99999)}",
            country=country,
        )


def _fill(order: Order, products: Sequence[Product], chance: Random) -> Iterator[SQLModel]:
    """The order with its total, and its lines."""
    order.shipping_cents = order.total_cents = SHIPPING_CENTS
    for product in products:
        quantity = chance.randint(1, 3)
        order.total_cents += product.price_cents * quantity
        yield OrderLine(
            order_id=known_id(order.id),
            product_id=known_id(product.id),
            quantity=quantity,
            unit_price_cents=product.price_cents,
        )
    yield order


def _consequences(order: Order, product: Product, chance: Random) -> Iterator[SQLModel]:
    """The payment, the parcel and the review of an order."""
    order_id = known_id(order.id)
    if order.status in (OrderStatus.PAID, OrderStatus.SHIPPED):
        yield Payment(
            order_id=order_id,
            amount_cents=order.total_cents,
            provider_reference=f"pay_{chance.getrandbits(64):016x}",
            is_settled=True,
            created_at=order.created_at,
        )
    if order.status is OrderStatus.SHIPPED:
        yield Shipment(
            order_id=order_id,
            carrier=chance.choice(("post", "bike-courier")),
            tracking_code=f"KC{chance.getrandbits(40):010X}",
            created_at=order.created_at + timedelta(days=1),
        )
    stars, text = chance.choice(_OPINIONS)
    reviewed_at = order.created_at + timedelta(days=5)
    if order.status is OrderStatus.SHIPPED and reviewed_at < now():
        yield Review(
            product_id=known_id(product.id),
            customer_id=order.customer_id,
            stars=stars,
            text=text,
            created_at=reviewed_at,
        )
