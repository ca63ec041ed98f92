"""The picture of a product. Included below a product, so each path has a ``sku``."""

from pathlib import Path

from fastapi import APIRouter, UploadFile
from fastapi.responses import FileResponse

from example_project.errors import TooLargeError, WrongMediaTypeError
from example_project.models import Product
from example_project.ordering import get_product
from example_project.schemas import Sku
from example_project.shop import CurrentSession, CurrentShop, takes

MEDIA_TYPES = {"image/png", "image/jpeg", "image/webp"}
MAX_BYTES = 1_000_000
NO_PICTURE = Path(__file__).parents[1] / "static" / "no-picture.svg"

router = APIRouter(tags=["images"])


@router.put("", dependencies=[takes(45)])
def replace_image(
    session: CurrentSession, shop: CurrentShop, sku: Sku, image: UploadFile
) -> Product:
    """Upload the picture of a product."""
    product = get_product(session, sku)
    if image.content_type not in MEDIA_TYPES:
        raise WrongMediaTypeError(f"{image.content_type} is not one of {sorted(MEDIA_TYPES)}.")
    content = image.file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise TooLargeError(f"A picture may have {MAX_BYTES:,} bytes at most.")
    (shop.settings.images / product.sku).write_bytes(content)
    product.image_type = image.content_type
    session.commit()
    session.refresh(product)
    return product


@router.get("")
def read_image(session: CurrentSession, shop: CurrentShop, sku: Sku) -> FileResponse:
    """Download the picture of a product, or one that says that there is none."""
    product = get_product(session, sku)
    if product.image_type is None:
        return FileResponse(NO_PICTURE, media_type="image/svg+xml")
    return FileResponse(shop.settings.images / product.sku, media_type=product.image_type)
