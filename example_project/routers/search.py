"""Searching the catalogue. Slow, because it looks at the text of every review as well."""

from typing import Annotated

from fastapi import APIRouter, Query
from sqlmodel import col, or_, select

from example_project.models import Product, Review
from example_project.shop import CurrentPage, CurrentSession, takes

router = APIRouter(tags=["catalog"])


@router.get("/search", dependencies=[takes(110, sigma=0.7)])
def search_products(
    session: CurrentSession, page: CurrentPage, q: Annotated[str, Query(min_length=2)]
) -> list[Product]:
    """Find products by words in their name, their category or their reviews."""
    pattern = f"%{q}%"
    reviewed = select(Review.product_id).where(col(Review.text).like(pattern))
    query = (
        select(Product)
        .where(
            col(Product.is_listed),
            or_(
                col(Product.name).ilike(pattern),
                col(Product.category).ilike(pattern),
                col(Product.id).in_(reviewed),
            ),
        )
        .order_by(Product.name)
    )
    return list(session.exec(query.offset(page.offset).limit(page.limit)).all())
