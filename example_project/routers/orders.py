"""Orders from the basket to the invoice; refunds and parcels lie below each order."""

from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Query
from sqlmodel import col, select

from example_project.errors import ConflictError
from example_project.events import OrderEvent
from example_project.models import Order, OrderStatus, Payment, known_id
from example_project.ordering import cancel, details, get_order, invoice, place, settle
from example_project.routers import live, order_exports, refunds, shipments
from example_project.schemas import Invoice, NewOrder, NewPayment, OrderDetail
from example_project.shop import CurrentPage, CurrentSession, CurrentShop, takes

router = APIRouter(prefix="/orders", tags=["orders"])
# Before /{order_id}, which would take their names for numbers of orders.
router.include_router(order_exports.router)
router.include_router(live.router)


@router.get("", dependencies=[takes(18)])
def list_orders(
    session: CurrentSession,
    page: CurrentPage,
    status: Annotated[OrderStatus | None, Query()] = None,
) -> list[Order]:
    """List the orders, newest first."""
    query = select(Order).order_by(col(Order.id).desc())
    if status is not None:
        query = query.where(Order.status == status)
    return list(session.exec(query.offset(page.offset).limit(page.limit)).all())


@router.post("", status_code=201, dependencies=[takes(28)])
def place_order(
    session: CurrentSession, shop: CurrentShop, wanted: NewOrder, later: BackgroundTasks
) -> OrderDetail:
    """Order the products of a basket."""
    order = Order(customer_id=wanted.customer_id, coupon_code=wanted.coupon_code)
    order = place(session, order, wanted.lines)
    event = OrderEvent(known_id(order.id), order.status)
    later.add_task(shop.events.publish, event)
    return details(session, order)


@router.get("/{order_id}", dependencies=[takes(5)])
def read_order(session: CurrentSession, order_id: int) -> OrderDetail:
    """Show an order with its lines."""
    return details(session, get_order(session, order_id))


@router.post("/{order_id}/cancel")
def cancel_order(session: CurrentSession, shop: CurrentShop, order_id: int) -> OrderDetail:
    """Give up an order that is not paid yet."""
    order = get_order(session, order_id)
    cancel(session, order)
    shop.events.publish(OrderEvent(order_id, order.status))
    return details(session, order)


@router.post(
    "/{order_id}/payment", status_code=201, tags=["payments"], dependencies=[takes(140, sigma=0.5)]
)
def pay_order(
    session: CurrentSession, shop: CurrentShop, order_id: int, wanted: NewPayment
) -> Payment:
    """Pay an order through the payment provider."""
    order = get_order(session, order_id)
    if order.status is not OrderStatus.PLACED:
        raise ConflictError(f"Order {order_id} is {order.status}.")
    reference = shop.provider.charge(wanted.token, order.total_cents)
    payment = settle(session, order, reference)
    shop.events.publish(OrderEvent(order_id, OrderStatus.PAID))
    return payment


@router.get("/{order_id}/invoice", tags=["payments"], dependencies=[takes(60)])
def read_invoice(session: CurrentSession, order_id: int) -> Invoice:
    """Show what a customer owes, with the VAT."""
    return invoice(get_order(session, order_id))


router.include_router(refunds.router, prefix="/{order_id}/refunds")
router.include_router(shipments.router, prefix="/{order_id}/shipments")
