"""Version 1, deprecated: an old till in one shop still lists its orders through it."""

from fastapi import APIRouter
from sqlmodel import col, select

from example_project.models import Channel, Order
from example_project.ordering import get_order, place
from example_project.schemas import LegacyOrder, NewLegacyOrder, NewLine
from example_project.shop import CurrentSession, takes

MOST = 20

router = APIRouter(prefix="/v1/orders", tags=["v1"], deprecated=True)


@router.get("", dependencies=[takes(70, sigma=0.6)])
def list_orders_v1(session: CurrentSession) -> list[LegacyOrder]:
    """List the newest orders in the words of version 1."""
    query = select(Order).order_by(col(Order.id).desc()).limit(MOST)
    return [_as_legacy(order) for order in session.exec(query)]


@router.post("", status_code=201)
def place_order_v1(session: CurrentSession, wanted: NewLegacyOrder) -> LegacyOrder:
    """Order one product in the words of version 1."""
    order = Order(customer_id=wanted.customerId, channel=Channel.LEGACY)
    line = NewLine(sku=wanted.sku, quantity=wanted.amount)
    return _as_legacy(place(session, order, [line]))


@router.get("/{order_id}")
def read_order_v1(session: CurrentSession, order_id: int) -> LegacyOrder:
    """Show an order in the words of version 1."""
    return _as_legacy(get_order(session, order_id))


def _as_legacy(order: Order) -> LegacyOrder:
    return LegacyOrder.model_validate(
        {"orderId": order.id, "state": order.status.upper(), "amount": order.total_cents / 100}
    )
