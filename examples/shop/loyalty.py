"""Loyalty points: written for a campaign that never came, and not called."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Account:
    """A customer's points."""

    customer: str
    points: int = 0

    def earn(self, cents: int) -> None:
        """A point for each euro."""
        self.points += cents // 100

    def spend(self, points: int) -> int:
        """Cents for points."""
        if points > self.points:
            raise ValueError(f"{self.customer} has {self.points} points only")
        self.points -= points
        return points * 5


def tier(account: Account) -> str:
    """The salutation of the customer."""
    return "gold" if account.points > 1_000 else "silver"
