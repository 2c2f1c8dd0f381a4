"""Products, and the catalogue."""

from __future__ import annotations

import sqlite3
from typing import Any

from shop import money
from shop.errors import ConflictError, InvalidError, NotFoundError
from shop.service import Service, audited

STARTING_STOCK = (
    ("tea", "Green tea", 450, 40),
    ("cup", "Cup, blue", 1250, 12),
    ("pot", "Teapot", 4900, 3),
    ("tin", "Tin for tea", 790, 0),
)


class Product:
    """A product."""

    def __init__(self, sku: str, name: str, price: int, stock: int) -> None:
        self.sku = sku
        self.name = name
        self.stock = stock
        self._price = price

    @classmethod
    def from_row(cls, row: sqlite3.Row) -> Product:
        """A product from a database row."""
        return cls(row["sku"], row["name"], row["price"], row["stock"])

    @property
    def price(self) -> int:
        """The price of one piece, in cents."""
        return self._price

    @price.setter
    def price(self, value: int) -> None:
        if value <= 0:
            raise InvalidError(f"{self.sku}: a price is more than nothing")
        self._price = value

    @property
    def available(self) -> bool:
        """Whether it is in stock."""
        return self.stock > 0

    def as_json(self) -> dict[str, Any]:
        """The product, ready for JSON."""
        return {"sku": self.sku, "name": self.name, "price": money.shown(self.price), "available": self.available}

    def __repr__(self) -> str:
        return f"Product({self.sku!r})"


class Catalogue(Service):
    """The products of a run."""

    @audited("opened")
    def stock_up(self) -> None:
        """Insert the starting stock of a new run."""
        self.connection.executemany(
            "INSERT INTO products (run, sku, name, price, stock) VALUES (?, ?, ?, ?, ?)",
            [(self.run, *product) for product in STARTING_STOCK],
        )

    def all(self) -> list[Product]:
        """Every product, by name."""
        rows = self.connection.execute("SELECT * FROM products WHERE run = ? ORDER BY name", (self.run,))
        return [Product.from_row(row) for row in rows]

    def find(self, sku: str) -> Product:
        """One product."""
        found = self.connection.execute("SELECT * FROM products WHERE run = ? AND sku = ?", (self.run, sku)).fetchone()
        if found is None:
            raise NotFoundError(f"no product {sku!r}")
        return Product.from_row(found)

    def search(self, words: str) -> list[Product]:
        """Products whose names contain all the words."""

        def matches(product: Product) -> bool:
            return all(word in product.name.lower() for word in words.lower().split())

        return sorted(filter(matches, self.all()), key=lambda product: product.price)

    @audited("priced")
    def save(self, product: Product) -> None:
        """Insert or update a product."""
        self.connection.execute(
            "INSERT INTO products (run, sku, name, price, stock) VALUES (?, ?, ?, ?, ?) ON CONFLICT (run, sku) "
            "DO UPDATE SET name = excluded.name, price = excluded.price, stock = excluded.stock",
            (self.run, product.sku, product.name, product.price, product.stock),
        )

    def take(self, sku: str, quantity: int) -> None:
        """Reduce the stock of a product."""
        product = self.find(sku)
        if product.stock < quantity:
            raise ConflictError(f"only {product.stock} of {sku!r} left", state="short")
        self._shift(sku, -quantity)

    def put_back(self, sku: str, quantity: int) -> None:
        """Increase the stock of a product."""
        self._shift(sku, quantity)

    def discontinue(self, sku: str) -> None:
        """Take a product out of the catalogue."""
        self.connection.execute("DELETE FROM products WHERE run = ? AND sku = ?", (self.run, sku))

    def _shift(self, sku: str, quantity: int) -> None:
        self.connection.execute(
            "UPDATE products SET stock = stock + ? WHERE run = ? AND sku = ?", (quantity, self.run, sku)
        )
