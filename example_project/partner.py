"""The partners' API: an application of its own, mounted at /partner, with a key of its own."""

import hmac
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Header
from sqlmodel import Session, col, select

from example_project.credentials import DEMO_PARTNER_KEY
from example_project.errors import NotAllowedError, answer_shop_errors
from example_project.events import OrderEvent
from example_project.models import Channel, Customer, Order, Product, known_id
from example_project.ordering import details, found, get_product, place
from example_project.schemas import NewPartnerOrder, Offer, OrderDetail, Sku
from example_project.shop import CurrentSession, CurrentShop, Shop, takes

PARTNER_EMAIL = "orders@partner.example.com"

router = APIRouter(tags=["partner"])


def check_partner(x_partner_key: Annotated[str, Header()] = "") -> None:
    """Refuse who does not have the partners' key."""
    if not hmac.compare_digest(x_partner_key.encode(), DEMO_PARTNER_KEY.encode()):
        raise NotAllowedError("X-Partner-Key is missing or wrong.")


def create_partner_app(shop: Shop) -> FastAPI:
    """The application to be mounted; shares the shop with the one that it is mounted in."""
    app = FastAPI(title="Partner API", dependencies=[Depends(check_partner)])
    app.state.shop = shop
    answer_shop_errors(app)
    app.include_router(router)
    return app


@router.get("/feed", dependencies=[takes(85)])
def list_offers(session: CurrentSession) -> list[Offer]:
    """List everything that partners may sell."""
    products = session.exec(select(Product).where(col(Product.is_listed)))
    return [_as_offer(product) for product in products]


@router.get("/stock/{sku}")
def read_stock(session: CurrentSession, sku: Sku) -> Offer:
    """Say whether a product is in stock."""
    return _as_offer(get_product(session, sku))


@router.post("/orders", status_code=201, dependencies=[takes(30)])
def place_partner_order(
    session: CurrentSession, shop: CurrentShop, wanted: NewPartnerOrder
) -> OrderDetail:
    """Order products for a partner's customer."""
    order = Order(
        customer_id=_partner_id(session), channel=Channel.PARTNER, reference=wanted.reference
    )
    order = place(session, order, wanted.lines)
    shop.events.publish(OrderEvent(known_id(order.id), order.status))
    return details(session, order)


@router.get("/orders/{reference}")
def read_partner_order(session: CurrentSession, reference: str) -> OrderDetail:
    """Show an order by the partner's own reference."""
    query = select(Order).where(Order.reference == reference).order_by(col(Order.id).desc())
    return details(session, found(session.exec(query).first(), f"order {reference}"))


def _partner_id(session: Session) -> int:
    """The customer that partners' orders belong to, made at the first one."""
    partner = session.exec(select(Customer).where(Customer.email == PARTNER_EMAIL)).first()
    if partner is None:
        partner = Customer(name="Partner Ltd", email=PARTNER_EMAIL, country="DE")
        session.add(partner)
        session.flush()
    return known_id(partner.id)


def _as_offer(product: Product) -> Offer:
    return Offer(
        sku=product.sku,
        name=product.name,
        price_cents=product.price_cents,
        in_stock=product.stock > 0,
    )
