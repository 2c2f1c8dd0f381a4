"""The month's figures, calculated by several jobs."""

from __future__ import annotations

from collections import Counter

from shop.orders import OrderBook
from shop.service import Service


class Figures(Service):
    """The figures of a run."""

    def keep(self, name: str, value: int) -> None:
        """Store a figure."""
        self.connection.execute("INSERT INTO figures (run, name, value) VALUES (?, ?, ?)", (self.run, name, value))

    def all(self) -> dict[str, int]:
        """All figures by name."""
        rows = self.connection.execute("SELECT name, value FROM figures WHERE run = ? ORDER BY name", (self.run,))
        return {row["name"]: row["value"] for row in rows}

    def clear(self) -> None:
        """Delete the figures."""
        self.connection.execute("DELETE FROM figures WHERE run = ?", (self.run,))


def turnover(book: OrderBook) -> int:
    """The revenue of the paid orders."""
    return sum(order.total() for order in book.each() if order.status != "open")


def pieces(book: OrderBook) -> int:
    """The pieces sold of the best-selling product."""
    sold: Counter[str] = Counter()
    for order in book.each():
        for item in order.items:
            sold[item.sku] += item.quantity
    return max(sold.values(), default=0)


KINDS = {"turnover": turnover, "pieces": pieces}
