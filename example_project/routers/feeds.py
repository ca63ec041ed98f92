"""Feeds for search engines. Nobody asks for them but crawlers."""

from fastapi import APIRouter
from sqlmodel import col, select

from example_project.models import Product
from example_project.shop import CurrentSession, takes

router = APIRouter(prefix="/feeds", tags=["feeds"])


@router.get("/products", dependencies=[takes(60)])
def list_all_products(session: CurrentSession) -> list[Product]:
    """List everything that can be bought, for search engines."""
    return list(session.exec(select(Product).where(col(Product.is_listed))).all())
