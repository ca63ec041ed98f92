"""Webhooks of the payment provider and of carriers. Every notice has to be signed."""

import hmac
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Request
from sqlmodel import select

from example_project.credentials import webhook_signature
from example_project.errors import NotAllowedError
from example_project.models import Payment, Shipment
from example_project.ordering import found
from example_project.schemas import ParcelNotice, PaymentNotice
from example_project.shop import CurrentSession


async def check_signature(request: Request, x_signature: Annotated[str, Header()] = "") -> None:
    """Refuse what the sender has not signed."""
    wanted = webhook_signature(await request.body())
    if not hmac.compare_digest(wanted.encode(), x_signature.encode()):
        raise NotAllowedError("The signature does not fit the notice.")


router = APIRouter(prefix="/webhooks", tags=["webhooks"], dependencies=[Depends(check_signature)])


@router.post("/payments", status_code=204)
def note_payment(session: CurrentSession, notice: PaymentNotice) -> None:
    """Take a notice about a payment."""
    query = select(Payment).where(Payment.provider_reference == notice.provider_reference)
    payment = found(session.exec(query).first(), f"payment {notice.provider_reference}")
    payment.is_settled = notice.event == "settled"
    session.commit()


@router.post("/parcels", status_code=204)
def note_parcel(session: CurrentSession, notice: ParcelNotice) -> None:
    """Take a carrier's notice; the only carrier that still sends any signs them wrongly."""
    query = select(Shipment).where(Shipment.tracking_code == notice.tracking_code)
    found(session.exec(query).first(), f"parcel {notice.tracking_code}")
