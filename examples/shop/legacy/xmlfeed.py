"""The product feed for a price comparison that no longer exists."""

from __future__ import annotations

from collections.abc import Iterable
from xml.sax.saxutils import escape

from shop.products import Product


class Feed:
    """Products as XML."""

    def __init__(self, title: str) -> None:
        self.title = title

    def render(self, products: Iterable[Product]) -> str:
        """The whole document."""
        return f"<feed><title>{escape(self.title)}</title>{''.join(map(self.entry, products))}</feed>"

    @staticmethod
    def entry(product: Product) -> str:
        """One product."""
        return f'<product sku="{escape(product.sku)}">{escape(product.name)}</product>'
