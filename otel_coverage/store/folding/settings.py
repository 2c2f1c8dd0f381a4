"""What a store is set to: how spans without a run id are put into runs, the same for whoever does it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otel_coverage.store.store import Store

_PREFIX = "runs/"


@dataclass(frozen=True, slots=True)
class FoldSettings:
    """How runs are distinguished, in seconds.

    Attributes:
        gap: without requests of a profile, after which its next one is of another run, where no window holds them.
        skew: by how much the clocks of clients and servers may differ.
        longest: how long a window without an end holds requests, after its begin.
    """

    gap: int = 15 * 60
    skew: int = 5
    longest: int = 6 * 3600

    @classmethod
    def of(cls, store: Store) -> FoldSettings:
        """Those of a store that the schema was applied to."""
        rows = store.query(
            "SELECT name, argMax(digest, applied_at) FROM coverage_schema WHERE startsWith(name, {prefix:String})"
            " GROUP BY name",
            {"prefix": _PREFIX},
        ).rows
        return cls(**{str(name).removeprefix(_PREFIX): int(value) for name, value in rows})

    @staticmethod
    def write(store: Store, *, gap: int | None = None, skew: int | None = None) -> None:
        """Set those that are not None, for whoever folds from now on."""
        rows = [(_PREFIX + name, str(value)) for name, value in (("gap", gap), ("skew", skew)) if value is not None]
        store.insert("coverage_schema", ["name", "digest"], rows)
