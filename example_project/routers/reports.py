"""Figures for those who run the shop. Slow, and seldom asked for."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Path, Query
from sqlmodel import col, func, select

from example_project.models import Order, OrderLine, OrderStatus, Product, now
from example_project.schemas import CategoryRevenue, SalesDay, SalesTax
from example_project.shop import CurrentSession, takes

MONTHS_PER_QUARTER = 3
LAST_QUARTER = 4
LOW_STOCK = 20
TAX_PERCENT = 19

Year = Annotated[int, Path(ge=2000, le=2100)]
Quarter = Annotated[int, Path(ge=1, le=LAST_QUARTER)]

router = APIRouter(prefix="/reports", tags=["reports"])


@router.get("/sales", dependencies=[takes(420, sigma=0.55)])
def sales(session: CurrentSession, days: Annotated[int, Query(ge=1, le=90)] = 30) -> list[SalesDay]:
    """Add up the sales of each of the last days."""
    day = func.date(Order.created_at)
    query = (
        select(day, func.count(), func.sum(Order.total_cents))
        .where(
            col(Order.created_at) >= now() - timedelta(days=days),
            Order.status != OrderStatus.CANCELLED,
        )
        .group_by(day)
        .order_by(day)
    )
    return [
        SalesDay(day=when, orders=orders, revenue_cents=cents)
        for when, orders, cents in session.exec(query)
    ]


@router.get("/low-stock", dependencies=[takes(38)])
def low_stock(session: CurrentSession) -> list[Product]:
    """List the products that have to be bought soon."""
    query = select(Product).where(col(Product.is_listed), Product.stock < LOW_STOCK)
    return list(session.exec(query.order_by(col(Product.stock))).all())


@router.get("/quarterly/{year}/{quarter}", dependencies=[takes(2_400, sigma=0.3)])
def quarterly(session: CurrentSession, year: Year, quarter: Quarter) -> list[CategoryRevenue]:
    """Add up what each category brought in, for the tax office; asked for once a quarter."""
    start, end = _bounds(year, quarter)
    revenue = func.sum(OrderLine.quantity * OrderLine.unit_price_cents)
    query = (
        select(Product.category, func.sum(OrderLine.quantity), revenue)
        .join(OrderLine, col(OrderLine.product_id) == Product.id)
        .join(Order, col(Order.id) == OrderLine.order_id)
        .where(col(Order.created_at) >= start, col(Order.created_at) < end)
        .group_by(Product.category)
    )
    return [
        CategoryRevenue(category=category, pieces=pieces, revenue_cents=cents)
        for category, pieces, cents in session.exec(query)
    ]


@router.get("/tax/{year}/{quarter}", dependencies=[takes(900, sigma=0.3)])
def sales_tax(session: CurrentSession, year: Year, quarter: Quarter) -> SalesTax:
    """Add up the sales tax of a quarter; the bookkeepers have had a program for it lately."""
    start, end = _bounds(year, quarter)
    query = select(func.sum(Order.total_cents)).where(
        col(Order.created_at) >= start,
        col(Order.created_at) < end,
        Order.status != OrderStatus.CANCELLED,
    )
    gross_cents = session.exec(query).one() or 0
    net_cents = gross_cents * 100 // (100 + TAX_PERCENT)
    return SalesTax(net_cents=net_cents, tax_cents=gross_cents - net_cents)


def _bounds(year: int, quarter: int) -> tuple[datetime, datetime]:
    """The begin and the end of a quarter."""
    start = datetime(year, MONTHS_PER_QUARTER * (quarter - 1) + 1, 1, tzinfo=UTC)
    next_year, next_quarter = (year + 1, 0) if quarter == LAST_QUARTER else (year, quarter)
    return start, datetime(next_year, MONTHS_PER_QUARTER * next_quarter + 1, 1, tzinfo=UTC)
