"""The modules that have gaps, by package, as a summary shows them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

Module = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Package:
    """A package, or a module outside of any.

    Attributes:
        name: its dotted name.
        modules: those directly in it that have gaps, largest first; ``__init__`` belongs to the package above it.
        row: the sums of all its modules, with the columns of one.
    """

    name: str
    modules: tuple[Module, ...]
    row: Module

    @property
    def is_module(self) -> bool:
        """Whether it is a single module of the same name."""
        return [module["module"] for module in self.modules] == [self.name]


def packages_with_gaps(modules: Iterable[Module]) -> list[Package]:
    """The packages that have functions which no profile executed.

    Args:
        modules: rows of the query ``modules``, in its order: by package, largest gaps first.
    """
    found: list[Package] = []
    for name, rows in groupby(modules, key=lambda row: str(row["package"])):
        every = list(rows)
        with_gaps = tuple(row for row in every if row["functions_covered"] < row["functions_total"])
        if with_gaps:
            found.append(Package(name, with_gaps, _sums(name, every)))
    return found


def _sums(name: str, rows: list[Module]) -> Module:
    counts = [key for key, value in rows[0].items() if isinstance(value, int)]
    sums: dict[str, Any] = {key: sum(row[key] for row in rows) for key in counts}
    lines = sums["lines_total"]
    return {**sums, "module": name, "lines_percent": round(100 * sums["lines_covered"] / lines, 2) if lines else 100.0}
