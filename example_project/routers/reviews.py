"""Reviews of a product. Included below a product, so each path has a ``sku``."""

from fastapi import APIRouter
from sqlmodel import col, select

from example_project.models import Review, known_id
from example_project.ordering import get_customer, get_product
from example_project.schemas import NewReview, Sku
from example_project.shop import CurrentPage, CurrentSession, takes

router = APIRouter(tags=["reviews"])


@router.get("", dependencies=[takes(8)])
def list_reviews(session: CurrentSession, page: CurrentPage, sku: Sku) -> list[Review]:
    """List what customers wrote about a product, newest first."""
    product = get_product(session, sku)
    query = (
        select(Review)
        .where(Review.product_id == product.id)
        .order_by(col(Review.created_at).desc())
    )
    return list(session.exec(query.offset(page.offset).limit(page.limit)).all())


@router.post("", status_code=201)
def add_review(session: CurrentSession, sku: Sku, wanted: NewReview) -> Review:
    """Write a review."""
    product = get_product(session, sku)
    get_customer(session, wanted.customer_id)
    review = Review(product_id=known_id(product.id), **wanted.model_dump())
    session.add(review)
    session.commit()
    session.refresh(review)
    return review
