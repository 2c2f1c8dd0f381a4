"""Base of the services: a connection, a run, and an audit log."""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S", bound="Service")


class Service:
    """Part of the shop, for one run."""

    def __init__(self, connection: sqlite3.Connection, run: str) -> None:
        self.connection = connection
        self.run = run

    def note(self, action: str) -> None:
        """Add an action to the audit log."""
        self.connection.execute("INSERT INTO audit (run, action) VALUES (?, ?)", (self.run, action))

    def history(self) -> list[str]:
        """All actions of this run."""
        rows = self.connection.execute("SELECT action FROM audit WHERE run = ? ORDER BY rowid", (self.run,))
        return [row["action"] for row in rows]


def audited(action: str) -> Callable[[Callable[Concatenate[S, P], R]], Callable[Concatenate[S, P], R]]:
    """Add an action to the audit log after a method of a service has succeeded."""

    def decorate(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
        @functools.wraps(method)
        def call(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
            result = method(self, *args, **kwargs)
            self.note(action)
            return result

        return call

    return decorate
