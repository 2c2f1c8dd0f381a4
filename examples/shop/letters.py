"""Letters to customers; written by the worker."""

from __future__ import annotations

from collections.abc import Iterable
from textwrap import indent

from shop import money
from shop.orders import Item, Order
from shop.service import Service


class Letters(Service):
    """The letters of a run, stored instead of sent."""

    def post(self, order: Order, text: str) -> None:
        """Send one."""
        self.connection.execute(
            "INSERT INTO letters (run, number, text) VALUES (?, ?, ?)", (self.run, order.number, text)
        )

    def resend(self, number: int) -> None:
        """Send all letters about an order again."""
        self.connection.execute(
            "INSERT INTO letters SELECT run, number, text FROM letters WHERE run = ? AND number = ?",
            (self.run, number),
        )


def receipt(order: Order) -> str:
    """The text of a receipt."""
    return f"Thank you for order {order.number}.\n{_table(order.items)}\nPaid: {money.shown(order.total())}\n"


def credit_note(order: Order) -> str:
    """The text of a credit note."""
    return f"We took back order {order.number}.\nReturned: {money.shown(-order.total())}\n"


def reminder(order: Order, days: int) -> str:
    """The text of a payment reminder."""
    return f"Order {order.number} has waited for {days} days.\n"


def _table(items: Iterable[Item]) -> str:
    def line(item: Item) -> str:
        return f"{item.quantity} x {item.sku}: {money.shown(item.amount)}"

    return indent("\n".join(map(line, items)), "  ")
