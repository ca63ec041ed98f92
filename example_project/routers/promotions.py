"""Coupons, the newsletter, and gift cards, which were built and never announced."""

import secrets

from fastapi import APIRouter
from sqlalchemy.exc import IntegrityError

from example_project.errors import ConflictError
from example_project.models import Coupon, GiftCard, Subscriber
from example_project.ordering import found
from example_project.schemas import NewCoupon, NewGiftCard, NewSubscriber
from example_project.shop import CurrentSession

router = APIRouter(tags=["promotions"])


@router.get("/coupons/{code}")
def read_coupon(session: CurrentSession, code: str) -> Coupon:
    """Say what a coupon is worth."""
    return found(session.get(Coupon, code), f"coupon {code}")


@router.post("/coupons", status_code=201)
def add_coupon(session: CurrentSession, wanted: NewCoupon) -> Coupon:
    """Give out a coupon."""
    coupon = Coupon.model_validate(wanted.model_dump())
    session.add(coupon)
    try:
        session.commit()
    except IntegrityError as error:
        raise ConflictError(f"There is a coupon {wanted.code} already.") from error
    session.refresh(coupon)
    return coupon


@router.post("/newsletter/subscribers", status_code=201)
def subscribe(session: CurrentSession, wanted: NewSubscriber) -> Subscriber:
    """Send somebody the newsletter from now on."""
    subscriber = session.merge(Subscriber(email=wanted.email))
    session.commit()
    session.refresh(subscriber)
    return subscriber


@router.post("/gift-cards", status_code=201)
def sell_gift_card(session: CurrentSession, wanted: NewGiftCard) -> GiftCard:
    """Sell a gift card."""
    card = GiftCard(code=secrets.token_hex(8).upper(), balance_cents=wanted.balance_cents)
    session.add(card)
    session.commit()
    session.refresh(card)
    return card


@router.get("/gift-cards/{code}")
def read_gift_card(session: CurrentSession, code: str) -> GiftCard:
    """Say how much is left on a gift card."""
    return found(session.get(GiftCard, code), f"gift card {code}")
