"""A small source tree, and spans that say what two profiles executed of it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from textwrap import dedent

from otel_coverage import catalog
from otel_coverage.source import SourceTree
from otel_coverage.store import Store
from tests.support.spans import TracedSpan, insert_spans

FILES = {
    "shop/__init__.py": "",
    "shop/orders.py": '''
        RATE = 1


        class Order:
            """What somebody wants."""

            def __init__(self, rows):
                self.rows = rows

            @property
            def total(self):
                if not self.rows:
                    return 0
                return sum(
                    row * RATE
                    for row in self.rows
                )

            def cancel(self):
                self.rows = []


        class Empty:
            pass


        def place(rows):
            def check():
                return rows
            return Order(check())
        ''',
    "shop/jobs.py": """
        def mail(order):
            return order


        def nightly():
            x = 1
            return x


        class Unused:
            def run(self): return 1
        """,
}

PLACE = ["shop.orders:place@27", "shop.orders:place.<locals>.check@28", "shop.orders:Order.__init__@7"]

SPANS = (
    TracedSpan(
        id="s1",
        trace="t1",
        profile="checkout",
        functions=[*PLACE, "shop.orders:Order.total@10"],
        lines=["shop/orders.py:8,12,14-16,28-30"],
        second=1,
    ),
    TracedSpan(
        id="s2",
        trace="t1",
        parent="s1",
        profile="checkout",
        role="consumer",
        service="worker",
        functions=["shop.jobs:mail@1"],
        lines=["shop/jobs.py:2"],
        second=2,
    ),
    TracedSpan(id="s3", trace="t2", profile="browse", functions=PLACE, lines=["shop/orders.py:8,28-30"], second=3),
    TracedSpan(
        id="s4",
        trace="t3",
        profile="_startup",
        run="",
        role="startup",
        service="worker",
        functions=["shop.jobs:nightly@5", "shop.jobs:mail@1"],
        second=-60,
    ),
)


def make_project(folder: Path) -> SourceTree:
    """Write the files."""
    for name, source in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(source).lstrip("\n"), encoding="utf-8")
    return SourceTree([str(folder)])


def fill(store: Store, tree: SourceTree, spans: Iterable[TracedSpan] = SPANS) -> None:
    """Push the tree's catalog at revision ``abc``, and insert spans."""
    catalog.push(store, catalog.build(tree), "abc")
    insert_spans(store, *spans)
