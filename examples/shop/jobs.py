"""The worker's jobs. They take and return plain values, and may enqueue further jobs."""

from __future__ import annotations

from shop import letters, queueing, stockfile
from shop.database import of_job
from shop.figures import KINDS, Figures
from shop.letters import Letters
from shop.orders import OrderBook
from shop.products import Catalogue


def fulfil(run: str, number: int) -> str:
    """Pack an order, and enqueue its receipt."""
    with of_job() as connection:
        book, catalogue = OrderBook(connection, run), Catalogue(connection, run)
        order = book.find(number)
        for item in order.items:
            catalogue.take(item.sku, item.quantity)
        book.move(order, "fulfilled")
    queueing.later("write_letter", run, number, "receipt")
    return order.status


def refund(run: str, number: int) -> str:
    """Refund an order, and enqueue its credit note."""
    with of_job() as connection:
        book, catalogue = OrderBook(connection, run), Catalogue(connection, run)
        order = book.find(number)
        for item in order.items:
            catalogue.put_back(item.sku, item.quantity)
        book.move(order, "refunded")
    queueing.later("write_letter", run, number, "credit_note")
    return order.status


def write_letter(run: str, number: int, kind: str) -> str:
    """Write a letter of a kind defined in :mod:`shop.letters`."""
    with of_job() as connection:
        order = OrderBook(connection, run).find(number)
        text = letters.credit_note(order) if kind == "credit_note" else letters.receipt(order)
        Letters(connection, run).post(order, text)
    return text


def import_stock(run: str, text: str) -> int:
    """Import a supplier's stock list."""
    with of_job() as connection:
        catalogue = Catalogue(connection, run)
        imported = [catalogue.save(product) for product in stockfile.products(text)]
    return len(imported)


def close_month(run: str) -> list[str]:
    """Enqueue a job for each figure, and one that combines them when they are finished."""
    parts = [queueing.later("work_out", run, name) for name in sorted(KINDS)]
    queueing.later("put_together", run, after=parts)
    return [part.id for part in parts]


def work_out(run: str, name: str) -> int:
    """One figure of the month."""
    with of_job() as connection:
        value = KINDS[name](OrderBook(connection, run))
        Figures(connection, run).keep(name, value)
    return value


def put_together(run: str) -> dict[str, int]:
    """All figures of the month."""
    with of_job() as connection:
        return Figures(connection, run).all()


def purge(run: str) -> None:
    """Delete a run's orders; intended for a scheduler that was never set up."""
    with of_job() as connection:
        for number in [order.number for order in OrderBook(connection, run).each()]:
            connection.execute("DELETE FROM items WHERE run = ? AND number = ?", (run, number))
        connection.execute("DELETE FROM orders WHERE run = ?", (run,))
