"""Order processing: place, pay, ship, refund, cancel. Knows no HTTP."""

import secrets
from collections.abc import Sequence
from typing import Any, TypeVar, cast

from sqlalchemy import CursorResult, update
from sqlmodel import Session, SQLModel, col, func, select

from example_project.errors import ConflictError, NotFoundError
from example_project.models import (
    Coupon,
    Customer,
    Order,
    OrderLine,
    OrderStatus,
    Payment,
    Product,
    Refund,
    Shipment,
    known_id,
)
from example_project.schemas import (
    Invoice,
    LineDetail,
    NewLine,
    NewRefund,
    OrderDetail,
)

SHIPPING_CENTS = 490
VAT = 0.19

Row = TypeVar("Row", bound=SQLModel)


def found(row: Row | None, what: str) -> Row:
    """The row, or a 404 that says what is missing."""
    if row is None:
        raise NotFoundError(f"There is no {what}.")
    return row


def get_order(session: Session, order_id: int) -> Order:
    """An order by its number."""
    return found(session.get(Order, order_id), f"order {order_id}")


def get_customer(session: Session, customer_id: int) -> Customer:
    """A customer by their number."""
    return found(session.get(Customer, customer_id), f"customer {customer_id}")


def get_product(session: Session, sku: str) -> Product:
    """A product by its SKU."""
    row = session.exec(select(Product).where(Product.sku == sku)).first()
    return found(row, f"product {sku}")


def place(session: Session, order: Order, lines: Sequence[NewLine]) -> Order:
    """Take the goods out of the stock and store the order with its lines and its total.

    Raises:
        ConflictError: There is not enough of a product in stock.
        NotFoundError: There is no such product, customer or coupon.
    """
    get_customer(session, order.customer_id)
    goods_cents = 0
    session.add(order)
    session.flush()
    for line in lines:
        product = get_product(session, line.sku)
        _take_from_stock(session, product, line.quantity)
        goods_cents += product.price_cents * line.quantity
        session.add(
            OrderLine(
                order_id=known_id(order.id),
                product_id=known_id(product.id),
                quantity=line.quantity,
                unit_price_cents=product.price_cents,
            )
        )
    percent_off = _percent_off(session, order.coupon_code)
    order.shipping_cents = SHIPPING_CENTS
    order.total_cents = (goods_cents + SHIPPING_CENTS) * (100 - percent_off) // 100
    session.commit()
    return order


def _percent_off(session: Session, code: str | None) -> int:
    if code is None:
        return 0
    return found(session.get(Coupon, code), f"coupon {code}").percent_off


def _take_from_stock(session: Session, product: Product, quantity: int) -> None:
    """Look and take in one statement, so that two orders never get the same last piece."""
    taken = cast(
        "CursorResult[Any]",
        session.exec(
            update(Product)
            .where(col(Product.id) == product.id, col(Product.stock) >= quantity)
            .values(stock=col(Product.stock) - quantity)
        ),
    )
    if taken.rowcount == 0:
        raise ConflictError(f"There are fewer than {quantity} pieces of {product.sku} in stock.")


def details(session: Session, order: Order) -> OrderDetail:
    """An order with its lines."""
    rows = session.exec(
        select(OrderLine, Product)
        .join(Product, col(Product.id) == OrderLine.product_id)
        .where(OrderLine.order_id == order.id)
    ).all()
    lines = [
        LineDetail(
            sku=product.sku,
            name=product.name,
            quantity=line.quantity,
            unit_price_cents=line.unit_price_cents,
        )
        for line, product in rows
    ]
    return OrderDetail.model_validate({**order.model_dump(), "lines": lines})


def move(order: Order, to: OrderStatus, *, only_from: OrderStatus) -> None:
    """Give an order its next status.

    Raises:
        ConflictError: It has another status than `only_from`.
    """
    if order.status is not only_from:
        raise ConflictError(f"Order {order.id} is {order.status}, not {only_from}.")
    order.status = to


def cancel(session: Session, order: Order) -> None:
    """Give up an order that is not paid, and put the goods back.

    Raises:
        ConflictError: It is paid or more.
    """
    move(order, OrderStatus.CANCELLED, only_from=OrderStatus.PLACED)
    for line in session.exec(select(OrderLine).where(OrderLine.order_id == order.id)):
        session.exec(
            update(Product)
            .where(col(Product.id) == line.product_id)
            .values(stock=col(Product.stock) + line.quantity)
        )
    session.commit()


def settle(session: Session, order: Order, provider_reference: str) -> Payment:
    """Note that an order is paid."""
    move(order, OrderStatus.PAID, only_from=OrderStatus.PLACED)
    payment = Payment(
        order_id=known_id(order.id),
        amount_cents=order.total_cents,
        provider_reference=provider_reference,
    )
    session.add(payment)
    session.commit()
    session.refresh(payment)
    return payment


def ship(session: Session, order: Order, carrier: str) -> Shipment:
    """Give the parcel to a carrier.

    Raises:
        ConflictError: The order is not paid, or is shipped already.
    """
    move(order, OrderStatus.SHIPPED, only_from=OrderStatus.PAID)
    code = f"KC{secrets.token_hex(5).upper()}"
    shipment = Shipment(order_id=known_id(order.id), carrier=carrier, tracking_code=code)
    session.add(shipment)
    session.commit()
    session.refresh(shipment)
    return shipment


def refund(session: Session, order: Order, wanted: NewRefund) -> Refund:
    """Send money back.

    Raises:
        ConflictError: The order was never paid, or less than that is left of it.
    """
    if order.status not in (OrderStatus.PAID, OrderStatus.SHIPPED):
        raise ConflictError(f"Order {order.id} is {order.status}; nothing can be sent back.")
    returned_cents = session.exec(
        select(func.coalesce(func.sum(Refund.amount_cents), 0)).where(Refund.order_id == order.id)
    ).one()
    left_cents = order.total_cents - returned_cents
    amount_cents = wanted.amount_cents or left_cents
    if amount_cents > left_cents:
        raise ConflictError(f"Only {left_cents} cents are left of order {order.id}.")
    if amount_cents == left_cents:
        order.status = OrderStatus.REFUNDED
    row = Refund(order_id=known_id(order.id), amount_cents=amount_cents, reason=wanted.reason)
    session.add(row)
    session.commit()
    session.refresh(row)
    return row


def invoice(order: Order) -> Invoice:
    """Invoice of an order.

    An order that a coupon has made free divides by zero here. That is the demo's bug to find:
    the admin shows the endpoint's 5xx.
    """
    net_cents = round(order.total_cents / (1 + VAT))
    return Invoice(
        order_id=known_id(order.id),
        net_cents=net_cents,
        vat_cents=order.total_cents - net_cents,
        total_cents=order.total_cents,
        shipping_share_pct=round(100 * order.shipping_cents / order.total_cents, 2),
    )
