"""The month's figures: counted in parts by the worker, put together in the end."""

from __future__ import annotations

from collections import Counter

from shop.orders import OrderBook
from shop.service import Service


class Figures(Service):
    """Numbers that were worked out for a run."""

    def keep(self, name: str, value: int) -> None:
        """Write a number down."""
        self.connection.execute("INSERT INTO figures (run, name, value) VALUES (?, ?, ?)", (self.run, name, value))

    def all(self) -> dict[str, int]:
        """All numbers by name."""
        rows = self.connection.execute("SELECT name, value FROM figures WHERE run = ? ORDER BY name", (self.run,))
        return {row["name"]: row["value"] for row in rows}

    def clear(self) -> None:
        """Forget the numbers."""
        self.connection.execute("DELETE FROM figures WHERE run = ?", (self.run,))


def turnover(book: OrderBook) -> int:
    """What the paid orders brought in."""
    return sum(order.total() for order in book.each() if order.status != "open")


def pieces(book: OrderBook) -> int:
    """How many pieces left the shelf, most wanted product."""
    sold: Counter[str] = Counter()
    for order in book.each():
        for item in order.items:
            sold[item.sku] += item.quantity
    return max(sold.values(), default=0)


KINDS = {"turnover": turnover, "pieces": pieces}
