"""Customers, and what they have ordered."""

from fastapi import APIRouter
from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select

from example_project.errors import ConflictError
from example_project.models import Address, Customer, Order
from example_project.ordering import get_customer
from example_project.routers import addresses
from example_project.schemas import CustomerChange, NewCustomer
from example_project.shop import CurrentPage, CurrentSession, takes

router = APIRouter(prefix="/customers", tags=["customers"])


@router.get("", dependencies=[takes(14)])
def list_customers(session: CurrentSession, page: CurrentPage) -> list[Customer]:
    """List the customers, newest first."""
    query = select(Customer).order_by(col(Customer.id).desc())
    return list(session.exec(query.offset(page.offset).limit(page.limit)).all())


@router.post("", status_code=201, dependencies=[takes(22)])
def add_customer(session: CurrentSession, wanted: NewCustomer) -> Customer:
    """Open an account."""
    customer = Customer.model_validate(wanted.model_dump())
    session.add(customer)
    try:
        session.commit()
    except IntegrityError as error:
        raise ConflictError(f"Somebody has an account with {wanted.email} already.") from error
    session.refresh(customer)
    return customer


@router.get("/{customer_id}")
def read_customer(session: CurrentSession, customer_id: int) -> Customer:
    """Show a customer."""
    return get_customer(session, customer_id)


@router.patch("/{customer_id}")
def change_customer(session: CurrentSession, customer_id: int, change: CustomerChange) -> Customer:
    """Change a customer's name, e-mail address or country."""
    customer = get_customer(session, customer_id)
    customer.sqlmodel_update(change.model_dump(exclude_unset=True))
    session.commit()
    session.refresh(customer)
    return customer


@router.delete("/{customer_id}", status_code=204, openapi_extra={"x-lens": {"cadence": "yearly"}})
def erase_customer(session: CurrentSession, customer_id: int) -> None:
    """Forget who a customer was, as the law lets them ask; the orders stay for the books."""
    customer = get_customer(session, customer_id)
    customer.name, customer.email = "erased", f"erased.{customer_id}@example.com"
    session.exec(delete(Address).where(col(Address.customer_id) == customer_id))
    session.commit()


@router.get("/{customer_id}/orders", dependencies=[takes(11)])
def list_orders_of_customer(
    session: CurrentSession, page: CurrentPage, customer_id: int
) -> list[Order]:
    """List what a customer has ordered, newest first."""
    get_customer(session, customer_id)
    query = select(Order).where(Order.customer_id == customer_id).order_by(col(Order.id).desc())
    return list(session.exec(query.offset(page.offset).limit(page.limit)).all())


router.include_router(addresses.router, prefix="/{customer_id}/addresses")
