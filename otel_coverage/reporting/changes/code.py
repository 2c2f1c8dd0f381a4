"""Which functions are new, changed or removed between two revisions, by the digests in their catalogs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

NEW, CHANGED, UNCHANGED, REMOVED, UNKNOWN = "new", "changed", "unchanged", "removed", "unknown"

Row = Mapping[str, Any]
Name = tuple[str, str]  # module and qualname: what stays when lines move


@dataclass(frozen=True, slots=True)
class CodeChanges:
    """The functions of two catalogs, side by side.

    Attributes:
        known: whether both revisions have a catalog; without, nothing can be said of any function.
        now: the functions of the later catalog, by symbol.
        states: what became of each of these: new, changed or unchanged.
        pairs: each unchanged function with the one that it was: rows of the catalogs, now and then.
        removed: the functions of the earlier catalog whose names the later one does not have.
        by_name: what became of the first function of each name.
    """

    known: bool
    now: dict[str, Row] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    pairs: list[tuple[Row, Row]] = field(default_factory=list)
    removed: list[Row] = field(default_factory=list)
    by_name: dict[Name, str] = field(default_factory=dict)

    def of(self, name: Name, executed: Row | None) -> str:
        """What became of a function: by its symbol that is executed now, else by what the catalogs have of its name."""
        if not self.known:
            return UNKNOWN
        if executed is not None:
            return self.states.get(executed["symbol"], UNKNOWN)  # else in no catalog
        return self.by_name.get(name, UNKNOWN)


def code_changes(now: Iterable[Row], then: Iterable[Row]) -> CodeChanges:
    """Compare two catalogs: rows of the named query ``catalog``.

    A function is the one of the same module and qualified name. Where several have one name, as a property's getter and
    setter, those whose text is the same belong together.
    """
    functions = {row["symbol"]: row for row in now if row["kind"] == "function"}
    before: dict[Name, list[Row]] = {}
    for row in then:
        if row["kind"] == "function":
            before.setdefault((row["module"], row["qualname"]), []).append(row)
    if not functions or not before:
        return CodeChanges(False)
    states: dict[str, str] = {}
    pairs: list[tuple[Row, Row]] = []
    by_name: dict[Name, str] = {}
    rest = {name: list(rows) for name, rows in before.items()}
    for symbol, row in functions.items():
        name = row["module"], row["qualname"]
        was = before.get(name, [])
        same = [each for each in was if each["digest"] == row["digest"]]
        states[symbol] = UNCHANGED if same else CHANGED if was else NEW
        by_name.setdefault(name, states[symbol])
        left = rest.get(name, [])
        for each in same:
            if each in left:  # the first of several that are the same is the first
                left.remove(each)
                pairs.append((row, each))
                break
    removed = [row for name, rows in before.items() if name not in by_name for row in rows]
    by_name.update(((row["module"], row["qualname"]), REMOVED) for row in removed)
    return CodeChanges(True, functions, states, pairs, removed, by_name)
