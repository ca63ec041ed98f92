"""The rows that a new shop starts with: plausible, and the same every time. Knows no HTTP."""

from datetime import timedelta
from random import Random

from sqlmodel import Session, select

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
    products = _add_products(session, chance)
    customers = _add_customers(session, chance)
    session.add_all(
        Coupon(code=code, percent_off=percent)
        for code, percent in (("SPRING10", 10), ("FRIENDS20", 20), (FREE_COUPON, 100))
    )
    for _ in range(ORDERS):
        _add_order(session, chance, chance.choice(customers), chance.sample(products, 2))


def _add_products(session: Session, chance: Random) -> list[Product]:
    products = [
        Product(
            sku=sku,
            name=name,
            category=category,
            price_cents=price_cents,
            stock=chance.randint(5, 400),
        )
        for category, rows in CATALOGUE.items()
        for sku, name, price_cents in rows
    ]
    session.add_all(products)
    session.flush()
    return products


def _add_customers(session: Session, chance: Random) -> list[Customer]:
    customers = []
    for number in range(CUSTOMERS):
        first, last = chance.choice(_FIRST_NAMES), chance.choice(_LAST_NAMES)
        country, city = chance.choice(_CITIES)
        customer = Customer(
            name=f"{first} {last}",
            email=f"{first}.{last}.{number}@example.com".lower(),
            country=country,
            created_at=now() - timedelta(days=chance.uniform(1, 2 * DAYS)),
        )
        session.add(customer)
        session.flush()
        session.add(
            Address(
                customer_id=known_id(customer.id),
                kind="shipping",
                street=f"Market Street {chance.randint(1, 99)}",
                city=city,
                postal_code=f"{chance.randint(10000, 99999)}",
                country=country,
            )
        )
        customers.append(customer)
    return customers


def _add_order(
    session: Session, chance: Random, customer: Customer, products: list[Product]
) -> None:
    created_at = now() - timedelta(days=chance.uniform(0.1, DAYS))
    quantities = [chance.randint(1, 3) for _ in products]
    goods_cents = sum(p.price_cents * n for p, n in zip(products, quantities, strict=True))
    order = Order(
        customer_id=known_id(customer.id),
        status=chance.choice(_PAST),
        channel=Channel.WEB,
        shipping_cents=SHIPPING_CENTS,
        total_cents=goods_cents + SHIPPING_CENTS,
        created_at=created_at,
    )
    session.add(order)
    session.flush()
    order_id = known_id(order.id)
    session.add_all(
        OrderLine(
            order_id=order_id,
            product_id=known_id(product.id),
            quantity=quantity,
            unit_price_cents=product.price_cents,
        )
        for product, quantity in zip(products, quantities, strict=True)
    )
    _add_consequences(session, chance, order, products)


def _add_consequences(
    session: Session, chance: Random, order: Order, products: list[Product]
) -> None:
    """The payment, the parcel and the reviews of an order."""
    order_id = known_id(order.id)
    if order.status in (OrderStatus.PAID, OrderStatus.SHIPPED):
        session.add(
            Payment(
                order_id=order_id,
                amount_cents=order.total_cents,
                provider_reference=f"pay_{chance.getrandbits(64):016x}",
                is_settled=True,
                created_at=order.created_at,
            )
        )
    if order.status is OrderStatus.SHIPPED:
        session.add(
            Shipment(
                order_id=order_id,
                carrier=chance.choice(("post", "bike-courier")),
                tracking_code=f"KC{chance.getrandbits(40):010X}",
                created_at=order.created_at + timedelta(days=1),
            )
        )
        stars, text = chance.choice(_OPINIONS)
        session.add(
            Review(
                product_id=known_id(products[0].id),
                customer_id=order.customer_id,
                stars=stars,
                text=text,
                created_at=order.created_at + timedelta(days=5),
            )
        )
