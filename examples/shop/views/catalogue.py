"""Products and their prices."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, g, request

from shop import database, money
from shop.products import Catalogue

pages = Blueprint("catalogue", __name__)


def _catalogue() -> Catalogue:
    return Catalogue(database.of_request(), g.run)


@pages.get("/runs/<run>/products")
def browse() -> dict[str, Any]:
    """All products, or those that a search finds."""
    words = request.args.get("q")
    found = _catalogue().search(words) if words else _catalogue().all()
    return {"products": [product.as_json() for product in found]}


@pages.get("/runs/<run>/products/<sku>")
def show(sku: str) -> dict[str, Any]:
    """One product."""
    return _catalogue().find(sku).as_json()


@pages.patch("/runs/<run>/products/<sku>")
def reprice(sku: str) -> dict[str, Any]:
    """Change the price of a product."""
    catalogue = _catalogue()
    product = catalogue.find(sku)
    product.price = money.cents(request.get_json()["price"])
    with catalogue.connection:
        catalogue.save(product)
    return product.as_json()


@pages.delete("/runs/<run>/products/<sku>")
def discontinue(sku: str) -> tuple[str, int]:
    """Take a product out of the catalogue."""
    catalogue = _catalogue()
    with catalogue.connection:
        catalogue.discontinue(sku)
    return "", 204
