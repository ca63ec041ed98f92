"""Products: list, read, add, change, withdraw, and how many are in stock."""

from typing import Annotated

from fastapi import APIRouter, Query
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select

from example_project.errors import ConflictError
from example_project.models import Product
from example_project.ordering import get_product
from example_project.routers import images, product_imports, reviews
from example_project.schemas import NewProduct, ProductChange, Sku, StockLevel
from example_project.shop import CurrentPage, CurrentSession, takes

router = APIRouter(prefix="/products", tags=["catalog"])
router.include_router(product_imports.router)


@router.get("", dependencies=[takes(6)])
def list_products(
    session: CurrentSession,
    page: CurrentPage,
    category: Annotated[str | None, Query(max_length=50)] = None,
) -> list[Product]:
    """List what can be bought."""
    query = select(Product).where(col(Product.is_listed)).order_by(Product.name)
    if category is not None:
        query = query.where(Product.category == category)
    return list(session.exec(query.offset(page.offset).limit(page.limit)).all())


@router.post("", status_code=201)
def add_product(session: CurrentSession, wanted: NewProduct) -> Product:
    """Add a product."""
    product = Product.model_validate(wanted.model_dump())
    session.add(product)
    try:
        session.commit()
    except IntegrityError as error:
        raise ConflictError(f"There is a product {wanted.sku} already.") from error
    session.refresh(product)
    return product


@router.get("/{sku}")
def read_product(session: CurrentSession, sku: Sku) -> Product:
    """Show a product."""
    return get_product(session, sku)


@router.get("/{sku}/similar")
def list_similar_products(session: CurrentSession, page: CurrentPage, sku: Sku) -> list[Product]:
    """List other products of the same category; the shop's pages do not show them yet."""
    product = get_product(session, sku)
    query = select(Product).where(
        col(Product.is_listed), Product.category == product.category, Product.sku != sku
    )
    return list(session.exec(query.order_by(Product.name).limit(page.limit)).all())


@router.patch("/{sku}")
def change_product(session: CurrentSession, sku: Sku, change: ProductChange) -> Product:
    """Change a product's name, category, price or whether it is listed."""
    product = get_product(session, sku)
    product.sqlmodel_update(change.model_dump(exclude_unset=True))
    session.commit()
    session.refresh(product)
    return product


@router.delete("/{sku}", status_code=204)
def withdraw_product(session: CurrentSession, sku: Sku) -> None:
    """Sell a product no longer; its orders stay."""
    get_product(session, sku).is_listed = False
    session.commit()


@router.put("/{sku}/inventory", dependencies=[takes(9)])
def set_stock(session: CurrentSession, sku: Sku, level: StockLevel) -> Product:
    """Set how many pieces the warehouse has counted."""
    product = get_product(session, sku)
    product.stock = level.stock
    session.commit()
    session.refresh(product)
    return product


router.include_router(images.router, prefix="/{sku}/image")
router.include_router(reviews.router, prefix="/{sku}/reviews")
