"""Whether a catalog fits the source tree, and what was executed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from otel_coverage.catalog.catalog import SCHEMA_VERSION, Catalog
from otel_coverage.catalog.drift import Drift, Executed, Unknown, drift, unknown


@dataclass(frozen=True, slots=True)
class Check:
    """The outcome of a check.

    Attributes:
        catalog: which one was checked: a file or a store.
        revision: what was executed at; None where that was not looked at.
        symbols: how many the catalog has.
        executed: how many functions were executed; None where that was not looked at.
        drift: what the tree has otherwise than the catalog.
        unknown: executed functions that the catalog does not have.
    """

    catalog: str
    revision: str | None
    symbols: int
    executed: int | None
    drift: tuple[Drift, ...]
    unknown: tuple[Unknown, ...]

    @classmethod
    def of(
        cls,
        name: str,
        catalog: Catalog,
        tree: Catalog,
        *,
        revision: str | None = None,
        executed: Iterable[Executed] | None = None,
        lines: bool = True,
    ) -> Check:
        """Check a catalog.

        Args:
            name: of the catalog: a file or a store.
            catalog: as it was read from there.
            tree: just built from the source.
            revision: that of ``executed``.
            executed: what profiles executed; None for not to look at that.
            lines: see :func:`~otel_coverage.catalog.drift.drift`.
        """
        # a store has neither files nor symbols that coverage.py's configuration excludes
        kept = tree.symbols if catalog.files else tuple(each for each in tree.symbols if not each.excluded)
        found = None if executed is None else list(executed)
        return cls(
            name,
            revision,
            len(catalog.symbols),
            None if found is None else len(found),
            drift(catalog, replace(tree, symbols=kept), lines=lines),
            unknown(found or (), catalog, tree),
        )

    @property
    def fits(self) -> bool:
        """Whether nothing was found."""
        return not self.drift and not self.unknown

    def document(self) -> dict[str, Any]:
        """The outcome, ready for JSON."""
        return {
            "schema_version": SCHEMA_VERSION,
            "catalog": self.catalog,
            "revision": self.revision,
            "fits": self.fits,
            "drift": [
                {"change": each.change, "name": each.name, "file": each.file, "line": each.line, "detail": each.detail}
                for each in self.drift
            ],
            "unknown": [
                {
                    "id": each.executed.symbol.id,
                    "reason": each.reason,
                    "detail": each.detail,
                    "profiles": list(each.executed.profiles),
                    "exemplar_trace_id": each.executed.exemplar_trace_id,
                }
                for each in self.unknown
            ],
        }
