"""The typical application: SQLModel with tables of its own, and an endpoint as they are written.

Imported only by the server that has it: what SQLModel brings along is part of what is measured.
"""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends, FastAPI, Query
from sqlalchemy.orm import registry
from sqlmodel import Field, Relationship, SQLModel

from benchmarks.apps import Shape


class Table(SQLModel, registry=registry()):
    """Beside the tables of other applications in the same process."""


class Customer(Table, table=True):
    """Customer of the shop."""

    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(index=True, max_length=200)
    orders: list["Order"] = Relationship(back_populates="customer")


class Order(Table, table=True):
    """Order of a customer."""

    id: int | None = Field(default=None, primary_key=True)
    customer_id: int = Field(foreign_key="customer.id", index=True)
    ordered_at: datetime
    customer: Customer = Relationship(back_populates="orders")
    lines: list["Line"] = Relationship(back_populates="order")


class LineBase(Table):
    """Fields of a line, shared by the database and the answer."""

    article: str = Field(max_length=200)
    pieces: int = Field(ge=1)
    price: float = Field(ge=0)


class Line(LineBase, table=True):
    """Of an order."""

    id: int | None = Field(default=None, primary_key=True)
    order_id: int = Field(foreign_key="order.id", index=True)
    order: Order = Relationship(back_populates="lines")


class OrderPublic(SQLModel):
    """An order in an answer."""

    id: int
    customer: str
    ordered_at: datetime
    lines: list[LineBase]


class Paging:
    """A dependency with two query parameters."""

    def __init__(self, limit: Annotated[int, Query(ge=1, le=100)] = 10, q: str = "") -> None:
        """Keep them."""
        self.limit = limit
        self.q = q


def typical_route() -> Shape:
    """One endpoint with a dependency, checked parameters and a model of models.

    It asks no database, whose time would hide what is added to a request.
    """
    lines = [LineBase(article=f"article {n}", pieces=n, price=1.5) for n in range(1, 6)]
    at = datetime(2026, 1, 2, tzinfo=UTC)
    order = OrderPublic(id=7, customer="c-17", ordered_at=at, lines=lines)

    async def read_orders(
        customer_id: int, paging: Annotated[Paging, Depends()]
    ) -> list[OrderPublic]:
        return [order] * min(customer_id, paging.limit, 3)

    def add_to(app: FastAPI) -> None:
        app.add_api_route("/customers/{customer_id}/orders", read_orders, methods=["GET"])

    return Shape(add_to, ("/customers/7/orders?limit=5",))
