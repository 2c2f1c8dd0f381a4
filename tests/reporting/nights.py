"""Two revisions of a small application, and what three profiles executed of each on one night."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

from otel_coverage import catalog
from otel_coverage.source import SourceTree
from otel_coverage.store import Store
from tests.support.spans import TracedSpan, insert_spans

OLD, NEW = "1111111111", "2222222222"

_ORDERS = """
    class Order:
        def total(self):
            if not self.rows:
                return 0
            return sum(self.rows)

        def cancel(self):
            self.rows = []


    def refund(order):
        return order


    def place(rows):
        return Order(rows)


    def ship(order):
        return order
    """

# two lines later: refund is gone, place and ship changed, invoice and audit are new
_NEW_ORDERS = """
    RATE = 1

    class Order:
        def total(self):
            if not self.rows:
                return 0
            return sum(self.rows)

        def cancel(self):
            self.rows = []


    def place(rows):
        order = Order(rows)
        return order


    def ship(order):
        return order.ship()


    def invoice(order):
        return order


    def audit(order):
        return order
    """

_REQUEST = TracedSpan(revision=OLD, run="old", attributes={"http.request.method": "GET", "http.route": "/place"})
OLD_SPANS = (
    _REQUEST.but(
        id="o1",
        trace="o1",
        functions=["orders:place@15", "orders:Order.total@2", "orders:refund@11"],
        lines=["orders.py:3-5,12,16"],
        second=1,
    ),
    _REQUEST.but(
        id="o2",
        trace="o2",
        profile="browse",
        functions=["orders:Order.total@2", "orders:Order.cancel@7", "orders:ship@19"],
        lines=["orders.py:3,5,8,20"],
        attributes={"http.request.method": "GET", "http.route": "/cancel"},
        second=2,
    ),
    _REQUEST.but(id="o3", trace="o3", profile="admin", functions=["orders:ship@19"], lines=["orders.py:20"], second=3),
)

_LATER = _REQUEST.but(revision=NEW, run="new")
NEW_SPANS = (
    _LATER.but(
        id="n1",
        trace="n1",
        functions=["orders:place@13", "orders:Order.total@4", "orders:invoice@22"],
        lines=["orders.py:5,7,14-15,23"],
        second=101,
    ),
    _LATER.but(
        id="n2",
        trace="n2",
        profile="browse",
        functions=["orders:Order.total@4"],
        lines=["orders.py:5,7"],
        second=102,
    ),
)


def push(store: Store, folder: Path, revision: str, source: str = _ORDERS) -> None:
    """Push the catalog of a revision."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "orders.py").write_text(dedent(source).lstrip("\n"), encoding="utf-8")
    catalog.push(store, catalog.build(SourceTree([str(folder)])), revision)


def fill_both(store: Store, folder: Path) -> SourceTree:
    """Both nights; returns the later tree."""
    push(store, folder / "old", OLD)
    push(store, folder / "new", NEW, _NEW_ORDERS)
    insert_spans(store, *OLD_SPANS, *NEW_SPANS)
    return SourceTree([str(folder / "new")])
