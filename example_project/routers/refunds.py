"""Money that goes back. Included below an order, so each path has an ``order_id``."""

from fastapi import APIRouter
from sqlmodel import select

from example_project.events import OrderEvent
from example_project.models import OrderStatus, Refund
from example_project.ordering import get_order, refund
from example_project.schemas import NewRefund
from example_project.shop import CurrentSession, CurrentShop, takes

router = APIRouter(tags=["refunds"])


@router.get("")
def list_refunds(session: CurrentSession, order_id: int) -> list[Refund]:
    """List what was sent back of an order."""
    get_order(session, order_id)
    return list(session.exec(select(Refund).where(Refund.order_id == order_id)).all())


@router.post("", status_code=201, dependencies=[takes(95, sigma=0.5)])
def refund_order(
    session: CurrentSession, shop: CurrentShop, order_id: int, wanted: NewRefund
) -> Refund:
    """Send all or a part of an order's money back."""
    order = get_order(session, order_id)
    row = refund(session, order, wanted)
    if order.status is OrderStatus.REFUNDED:
        shop.events.publish(OrderEvent(order_id, order.status))
    return row
