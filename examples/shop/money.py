"""Money in whole cents; used by the web pages and the jobs."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

from shop.errors import InvalidError


def cents(text: str | float) -> int:
    """Parse an amount into cents."""
    try:
        amount = Decimal(str(text))
    except InvalidOperation:
        raise InvalidError(f"not an amount of money: {text!r}") from None
    return int((amount * 100).quantize(Decimal(1), rounding=ROUND_HALF_UP))


def shown(amount: int) -> str:
    """An amount as text."""
    sign = "-" if amount < 0 else ""
    return f"{sign}{abs(amount) // 100}.{abs(amount) % 100:02d} EUR"


def percent(amount: int, rate: int) -> int:
    """``rate`` percent of an amount, rounded down in the shop's favour."""
    return amount * rate // 100


def exchanged(amount: int, rate: Decimal) -> int:
    """An amount in another currency."""
    return int((amount * rate).quantize(Decimal(1), rounding=ROUND_HALF_UP))
