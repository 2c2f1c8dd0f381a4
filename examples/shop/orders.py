"""Orders, and the order book."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from shop import money, pricing
from shop.errors import ConflictError, InvalidError, NotFoundError
from shop.service import Service, audited

NEXT = {"open": ("paid", "cancelled"), "paid": ("fulfilled",), "fulfilled": ("refunded",)}


@dataclass(frozen=True)
class Item:
    """A quantity of one product, at its price when ordered."""

    sku: str
    price: int
    quantity: int

    def __post_init__(self) -> None:
        if self.quantity < 1:
            raise InvalidError(f"{self.sku}: order one at least")

    @property
    def amount(self) -> int:
        """The price of the quantity."""
        return self.price * self.quantity


class Order:
    """An order and its status."""

    def __init__(self, number: int, status: str, voucher: str | None, items: list[Item]) -> None:
        self.number = number
        self.voucher = voucher
        self.items = items
        self._status = status

    @property
    def status(self) -> str:
        """``open``, ``paid``, ``fulfilled``, ``refunded`` or ``cancelled``."""
        return self._status

    @status.setter
    def status(self, value: str) -> None:
        if value not in NEXT.get(self._status, ()):
            raise ConflictError(f"order {self.number} cannot be {value}", state=self._status)
        self._status = value

    def subtotal(self) -> int:
        """The sum of the items' prices."""
        return sum(item.amount for item in self.items)

    def total(self) -> int:
        """The amount to pay."""
        return self.subtotal() - pricing.reduction(self)

    def as_json(self) -> dict[str, Any]:
        """The order, ready for JSON."""
        return {"number": self.number, "status": self.status, "total": money.shown(self.total())}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Order) and self.number == other.number

    def __hash__(self) -> int:
        return hash(self.number)


class OrderBook(Service):
    """The orders of a run."""

    @audited("ordered")
    def write(self, items: list[Item], voucher: str | None) -> Order:
        """Create an order."""
        row = self.connection.execute("SELECT COUNT(*) AS taken FROM orders WHERE run = ?", (self.run,)).fetchone()
        order = Order(row["taken"] + 1, "open", pricing.check_voucher(voucher), items)
        self.connection.execute(
            "INSERT INTO orders (run, number, status, voucher) VALUES (?, ?, ?, ?)",
            (self.run, order.number, order.status, order.voucher),
        )
        self.connection.executemany(
            "INSERT INTO items (run, number, sku, price, quantity) VALUES (?, ?, ?, ?, ?)",
            [(self.run, order.number, item.sku, item.price, item.quantity) for item in items],
        )
        return order

    def find(self, number: int) -> Order:
        """One order, with its items."""
        found = self.connection.execute(
            "SELECT * FROM orders WHERE run = ? AND number = ?", (self.run, number)
        ).fetchone()
        if found is None:
            raise NotFoundError(f"no order {number}")
        return Order(number, found["status"], found["voucher"], list(self._items(number)))

    def each(self) -> Iterator[Order]:
        """Iterate over all orders."""
        rows = self.connection.execute("SELECT number FROM orders WHERE run = ? ORDER BY number", (self.run,))
        for row in rows.fetchall():
            yield self.find(row["number"])

    @audited("moved")
    def move(self, order: Order, status: str) -> None:
        """Change the status of an order."""
        order.status = status
        self.connection.execute(
            "UPDATE orders SET status = ? WHERE run = ? AND number = ?", (status, self.run, order.number)
        )

    @audited("cancelled")
    def cancel(self, number: int) -> Order:
        """Cancel an unpaid order."""
        order = self.find(number)
        self.move(order, "cancelled")
        return order

    def _items(self, number: int) -> Iterator[Item]:
        rows = self.connection.execute(
            "SELECT sku, price, quantity FROM items WHERE run = ? AND number = ? ORDER BY rowid", (self.run, number)
        )
        for row in rows:
            yield Item(row["sku"], row["price"], row["quantity"])
