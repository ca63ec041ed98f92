"""Is the API alive? Asked by the load balancer, every few seconds."""

from fastapi import APIRouter
from sqlmodel import func, select

from example_project.models import Product
from example_project.schemas import Health
from example_project.shop import CurrentSession

router = APIRouter(tags=["operations"])


# The load balancer is no caller that the lens takes for a use.
@router.get(
    "/health",
    openapi_extra={"x-lens": {"keep": "asked by the load balancer", "until": "2036-12-31"}},
)
def health(session: CurrentSession) -> Health:
    """Say that the API and its database work."""
    return Health(products=session.exec(select(func.count()).select_from(Product)).one())


@router.post(
    "/operations/reindex",
    status_code=204,
    openapi_extra={"x-lens": {"keep": "repairs a broken index", "until": "2036-12-31"}},
)
def reindex(session: CurrentSession) -> None:
    """Rebuild the indexes of the catalogue. The database has never yet lost one."""
    session.connection().exec_driver_sql("REINDEX products")
    session.commit()
