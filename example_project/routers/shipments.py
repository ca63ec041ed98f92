"""Parcels: those of an order (included below it), and where one is."""

from datetime import timedelta

from fastapi import APIRouter
from sqlmodel import col, select

from example_project.events import OrderEvent
from example_project.models import Shipment, now
from example_project.ordering import found, get_order, ship
from example_project.schemas import NewShipment, Tracking
from example_project.shop import CurrentSession, CurrentShop, takes

router = APIRouter(tags=["shipping"])
tracking_router = APIRouter(prefix="/shipments", tags=["shipping"])


@router.get("")
def list_shipments(session: CurrentSession, order_id: int) -> list[Shipment]:
    """List the parcels of an order."""
    get_order(session, order_id)
    return list(session.exec(select(Shipment).where(Shipment.order_id == order_id)).all())


@router.post("", status_code=201, dependencies=[takes(75)])
def ship_order(
    session: CurrentSession, shop: CurrentShop, order_id: int, wanted: NewShipment
) -> Shipment:
    """Give the parcel of a paid order to a carrier."""
    order = get_order(session, order_id)
    shipment = ship(session, order, wanted.carrier)
    shop.events.publish(OrderEvent(order_id, order.status))
    return shipment


@tracking_router.get("/{tracking_code}", dependencies=[takes(32, sigma=0.8)])
def track_shipment(session: CurrentSession, tracking_code: str) -> Tracking:
    """Say where a parcel is."""
    query = select(Shipment).where(Shipment.tracking_code == tracking_code)
    shipment = found(session.exec(query).first(), f"parcel {tracking_code}")
    delivered = query.where(col(Shipment.created_at) < now() - timedelta(days=2))
    return Tracking(
        tracking_code=shipment.tracking_code,
        carrier=shipment.carrier,
        order_id=shipment.order_id,
        is_delivered=session.exec(delivered).first() is not None,
    )
