"""Stock lists as suppliers send them: CSV with a header."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from shop import money
from shop.errors import InvalidError
from shop.products import Product

COLUMNS = ("sku", "name", "price", "stock")


def check(text: str) -> None:
    """Reject a file that is not a stock list, before a job is enqueued."""
    header = text.partition("\n")[0].strip().split(",")
    if tuple(header) != COLUMNS:
        raise InvalidError(f"a stock list has the columns {', '.join(COLUMNS)}")


def products(text: str) -> Iterator[Product]:
    """The products of the list; invalid lines are skipped."""
    for row in csv.DictReader(io.StringIO(text)):
        product = _read(row)
        if product is not None:
            yield product


def _read(row: dict[str, str]) -> Product | None:
    try:
        return Product(row["sku"], row["name"], money.cents(row["price"]), int(row["stock"]))
    except (InvalidError, ValueError):
        return None


def write(catalogue: list[Product]) -> str:
    """A stock list of the catalogue, for a supplier."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    writer.writerows((product.sku, product.name, product.price, product.stock) for product in catalogue)
    return out.getvalue()
