"""What the store knows of one revision's functions and lines, as far as checks need it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from otel_coverage.errors import ConfigurationError
from otel_coverage.gates.places import places
from otel_coverage.reporting.changes.lines import ExecutedLines
from otel_coverage.reporting.queries import RevisionQueries, doubts
from otel_coverage.source import SourceTree

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Evidence:
    """The coverage of a revision.

    Attributes:
        queries: about the revision.
        tree: the source as it is here; it says where the files of the catalog lie.
        source: the revision of that; empty where that is not to matter.
        accept_incomplete: take what is known for all that there is.
    """

    queries: RevisionQueries
    tree: SourceTree
    source: str = ""
    accept_incomplete: bool = False
    _lines: dict[str, int] = field(default_factory=dict)

    @cached_property
    def functions(self) -> list[Row]:
        """The functions of the catalog."""
        return [row for row in self.queries.catalog if row["kind"] == "function"]

    @cached_property
    def names(self) -> frozenset[tuple[str, str]]:
        """Module and qualname of each of them."""
        return frozenset((row["module"], row["qualname"]) for row in self.functions)

    @cached_property
    def undecidable(self) -> str:
        """Why nothing can be said of the source here, a sentence; empty where something can."""
        revision = self.queries.revision
        if self.source and revision != self.source:
            return (
                f"the newest coverage is of {short_revision(revision)}, and the source here is "
                f"{short_revision(self.source)}: replay the profiles against it, or name what to judge by --revision"
            )
        if not self.functions:
            return f"no catalog was pushed for {short_revision(revision)}; `otel-coverage catalog push` stores one"
        return ""

    @cached_property
    def incomplete(self) -> str:
        """Why more may have been executed than is known, a sentence; empty where nothing says so."""
        if self.accept_incomplete:
            return ""
        queries = self.queries
        reasons = [f"{row['profile']}: {why}" for row in queries.profiles if (why := doubts(row))]
        return "; ".join([*queries.problems, *reasons][:3])

    def is_executed(self, row: Row) -> bool:
        """Whether some profile executes a function."""
        return bool(row["covered"])

    def lines_run(self, row: Row) -> list[int]:
        """The executable lines of a function that some profile executes.

        Raises:
            ConfigurationError: lines were not recorded.
        """
        file = row["file"]
        if file not in self._lines:
            self._lines[file] = self._executed_lines.together(file)
        return [line for line in row["executable_lines"] if self._lines[file] >> line & 1]

    @cached_property
    def _executed_lines(self) -> ExecutedLines:
        bits = {str(row["profile"]): 1 << place for place, row in enumerate(self.queries.profiles)}
        found = ExecutedLines(self.queries.ask("executed-ranges").rows, bits, self.queries.catalog)
        if not found.any:
            raise ConfigurationError(
                f"no lines were recorded at revision {short_revision(self.queries.revision)}: judge functions (--unit "
                "functions), or record with OTEL_COVERAGE_GRANULARITY=line"
            )
        return found

    def place(self, row: Row) -> str:
        """A function's file below the repository's folder, as it is here; as in the catalog where it is not."""
        return self._places.get(row["file"], str(row["file"]))

    @cached_property
    def _places(self) -> dict[str, str]:
        return dict(places(self.tree))


def percent(part: int, whole: int) -> float:
    """A share in percent."""
    return 100 * part / whole if whole else 100.0


def shown(names: Sequence[str], most: int = 3) -> str:
    """The first of some names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def short_revision(revision: str) -> str:
    """A revision as it is shown."""
    name, _, dirty = (revision or "unknown").partition("+")
    return (name[:12] if len(name) >= 40 else name) + (f"+{dirty}" if dirty else "")
