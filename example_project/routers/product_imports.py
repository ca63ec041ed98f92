"""Products from a supplier's price list, a CSV file with sku, name, category and price_cents."""

import csv
import io

from fastapi import APIRouter, UploadFile
from sqlmodel import Session, select

from example_project.errors import InvalidUploadError
from example_project.models import Product
from example_project.schemas import ImportResult
from example_project.shop import CurrentSession, takes

COLUMNS = {"sku", "name", "category", "price_cents"}

router = APIRouter(tags=["imports"])


@router.post("/import", dependencies=[takes(180)])
def import_products(session: CurrentSession, price_list: UploadFile) -> ImportResult:
    """Add or change products from a supplier's CSV file."""
    # A file in another encoding than UTF-8 (spreadsheets write them) ends in an unhandled
    # UnicodeDecodeError: the second of the demo's bugs to find.
    rows = csv.DictReader(io.StringIO(price_list.file.read().decode("utf-8")))
    missing = COLUMNS - set(rows.fieldnames or ())
    if missing:
        raise InvalidUploadError(f"The file has no column {', '.join(sorted(missing))}.")
    added = changed = 0
    for row in rows:
        if _store(session, row):
            added += 1
        else:
            changed += 1
    session.commit()
    return ImportResult(added=added, changed=changed)


def _store(session: Session, row: dict[str, str]) -> bool:
    """Add or change one product; returns whether it is new."""
    price = row["price_cents"]
    if not price.isdecimal():
        raise InvalidUploadError(f"{price!r} of {row['sku']} is no price in cents.")
    product = session.exec(select(Product).where(Product.sku == row["sku"])).first()
    is_new = product is None
    product = product or Product(sku=row["sku"], name="", category="", price_cents=0)
    product.name, product.category, product.price_cents = row["name"], row["category"], int(price)
    session.add(product)
    return is_new
