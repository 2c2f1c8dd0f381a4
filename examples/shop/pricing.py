"""Discounts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from shop import money
from shop.errors import InvalidError

if TYPE_CHECKING:
    from shop.orders import Order

VOUCHERS = {"WELCOME": 10, "FRIENDS": 25}


class Rule(ABC):
    """A discount rule."""

    @abstractmethod
    def applies(self, order: Order) -> bool:
        """Whether it applies to the order."""

    @abstractmethod
    def reduction(self, order: Order) -> int:
        """The discount, in cents."""


class Bulk(Rule):
    """Five percent off from six pieces of anything."""

    def applies(self, order: Order) -> bool:
        """Whether one item alone is that many."""
        return any(item.quantity >= 6 for item in order.items)

    def reduction(self, order: Order) -> int:
        """Five percent of all."""
        return money.percent(order.subtotal(), 5)


class Voucher(Rule):
    """The discount of a voucher's code."""

    def applies(self, order: Order) -> bool:
        """Whether the order has a valid code."""
        return order.voucher is not None

    def reduction(self, order: Order) -> int:
        """The code's percentage of all."""
        return money.percent(order.subtotal(), VOUCHERS[str(order.voucher)])


class Staff(Rule):
    """Thirty percent off for staff; not used yet."""

    def applies(self, order: Order) -> bool:
        """Whether the customer is staff."""
        return False

    def reduction(self, order: Order) -> int:
        """Thirty percent of all."""
        return money.percent(order.subtotal(), 30)


RULES: tuple[Rule, ...] = (Bulk(), Voucher())


def reduction(order: Order) -> int:
    """The largest discount that applies; discounts are not combined."""
    return max((rule.reduction(order) for rule in RULES if rule.applies(order)), default=0)


def check_voucher(code: str | None) -> str | None:
    """The voucher's code in capitals, or None without one."""
    if code is None:
        return None
    if code.upper() not in VOUCHERS:
        raise InvalidError(f"no voucher {code!r}")
    return code.upper()
