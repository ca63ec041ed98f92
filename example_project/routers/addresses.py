"""A customer's addresses. Included below a customer, so each path has a ``customer_id``."""

from fastapi import APIRouter
from sqlmodel import select

from example_project.models import Address
from example_project.ordering import get_customer
from example_project.schemas import NewAddress
from example_project.shop import CurrentSession

router = APIRouter(tags=["addresses"])


@router.get("")
def list_addresses(session: CurrentSession, customer_id: int) -> list[Address]:
    """List where a customer gets parcels and invoices."""
    get_customer(session, customer_id)
    return list(session.exec(select(Address).where(Address.customer_id == customer_id)).all())


@router.post("", status_code=201)
def add_address(session: CurrentSession, customer_id: int, wanted: NewAddress) -> Address:
    """Add an address."""
    get_customer(session, customer_id)
    address = Address(customer_id=customer_id, **wanted.model_dump())
    session.add(address)
    session.commit()
    session.refresh(address)
    return address
