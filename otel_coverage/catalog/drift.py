"""What a catalog and the source tree disagree about, and what was executed that the catalog does not know."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from otel_coverage.catalog.catalog import Catalog, CatalogSymbol
from otel_coverage.symbols import Symbol

Change = Literal["added", "removed", "moved", "changed", "unreadable"]


@dataclass(frozen=True, slots=True)
class Drift:
    """One thing that the tree has otherwise than the catalog.

    Attributes:
        change: ``added`` (the tree has it, the catalog does not), ``removed`` (the other way round), ``moved`` (the
            same definition stands on another line), ``changed``, or ``unreadable`` (a file that the tree's catalog
            skips).
        name: the symbol's id, as in the tree unless it was removed; the path, where it is about a file.
        file: path as in :class:`~otel_coverage.source.SourceFile`.
        line: in that file, as in the tree unless it was removed.
        detail: what is different, for people.
    """

    change: Change
    name: str
    file: str
    line: int
    detail: str


@dataclass(frozen=True, slots=True)
class Executed:
    """A function that was executed.

    Attributes:
        symbol: the recorder's name of it.
        profiles: who executed it.
        exemplar_trace_id: a trace in which that happened.
    """

    symbol: Symbol
    profiles: tuple[str, ...] = ()
    exemplar_trace_id: str = ""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A function that was executed, and that the catalog does not have.

    Attributes:
        executed: the function.
        reason: a code: ``stale_catalog`` (the tree defines it), ``skipped_file``, ``other_line``, ``other_name`` or
            ``other_module``.
        detail: the explanation, for people.
    """

    executed: Executed
    reason: str
    detail: str


def drift(catalog: Catalog, tree: Catalog, *, lines: bool = True) -> tuple[Drift, ...]:
    """What has changed from the catalog to the tree, by file and line.

    Args:
        catalog: from a file or a store. Where its symbols have digests, these show whether a text changed; where it has
            no files, as one from a store, these are not compared.
        tree: just built.
        lines: whether it matters where a definition stands, and which of its lines can be executed.
    """
    found = [*_errors(catalog, tree), *_symbols(catalog, tree, lines)]
    if catalog.files:
        found += _files(catalog, tree, {each.file for each in found}, lines)
    return tuple(sorted(found, key=lambda each: (each.file, each.line, each.name, each.change)))


def unknown(executed: Iterable[Executed], catalog: Catalog, tree: Catalog) -> tuple[Unknown, ...]:
    """The executed functions that the catalog does not have, with an explanation of each, by module and line.

    One that coverage.py's configuration excludes is known, though a store has none of those.
    """
    known = {entry.id for entry in catalog.symbols} | {entry.id for entry in tree.symbols if entry.excluded}
    explain = _Explanation(catalog, tree)
    found = [Unknown(each, *explain(each.symbol)) for each in executed if each.symbol.id not in known]
    return tuple(sorted(found, key=lambda each: (each.executed.symbol.module, each.executed.symbol.line)))


class _Explanation:
    """Why the catalog does not have a function."""

    def __init__(self, catalog: Catalog, tree: Catalog) -> None:
        self._in_tree = {entry.id for entry in tree.symbols}
        self._skipped = {error.file: error for error in (*catalog.errors, *tree.errors)}
        self._lines: dict[tuple[str, str], set[int]] = defaultdict(set)
        self._modules = {file.module for file in (*catalog.files, *tree.files)}
        for entry in (*catalog.symbols, *tree.symbols):
            self._lines[entry.symbol.module, entry.symbol.qualname].add(entry.symbol.line)
            self._modules.add(entry.symbol.module)

    def __call__(self, symbol: Symbol) -> tuple[str, str]:
        """A code, and a sentence."""
        if symbol.id in self._in_tree:
            return "stale_catalog", "the source tree defines it: build or push the catalog again"
        path = symbol.module.replace(".", "/")
        for file in (f"{path}.py", f"{path}/__init__.py"):
            if file in self._skipped:
                return "skipped_file", f"its file is in no catalog: {self._skipped[file]}"
        at = sorted(self._lines.get((symbol.module, symbol.qualname), ()))
        if at:
            where = f"line {at[0]}" if len(at) == 1 else f"lines {', '.join(map(str, at))}"
            return "other_line", f"it is defined on {where} here: another version of the file was executed"
        if symbol.module in self._modules:
            return "other_name", (
                f"{symbol.module} defines nothing of that name: it was made by exec or compile, "
                "or another version of the file was executed"
            )
        return "other_module", (
            f"no file of the source is the module {symbol.module}: the process that executed it has another "
            "OTEL_COVERAGE_SOURCE, or other files"
        )


def _errors(catalog: Catalog, tree: Catalog) -> Iterator[Drift]:
    before = set(catalog.errors)
    for error in tree.errors:
        if error not in before:
            yield Drift("unreadable", error.file, error.file, error.line, error.message)


def _symbols(catalog: Catalog, tree: Catalog, lines: bool) -> Iterator[Drift]:
    unreadable = {error.file for error in tree.errors}
    before = {entry.id: entry for entry in catalog.symbols if entry.file not in unreadable}
    after = {entry.id: entry for entry in tree.symbols}
    pairs = [(before[name], after[name]) for name in before.keys() & after.keys()]
    gone, come = _by_name(before, after), _by_name(after, before)
    for name, removed in gone.items():
        added = come.get(name, [])
        count = min(len(removed), len(added))
        pairs += zip(removed[:count], added[:count], strict=True)
        for entry in removed[count:]:
            yield Drift("removed", entry.id, entry.file, entry.symbol.line, f"a {entry.kind} of the catalog")
        del added[:count]
    for added in come.values():
        for entry in added:
            yield Drift("added", entry.id, entry.file, entry.symbol.line, f"a {entry.kind} of the tree")
    for was, is_ in pairs:
        differences = list(_differences(was, is_, lines))
        if differences:
            yield Drift("changed", is_.id, is_.file, is_.symbol.line, "; ".join(differences))
        elif lines and was.symbol.line != is_.symbol.line:
            yield Drift("moved", is_.id, is_.file, is_.symbol.line, f"from line {was.symbol.line}")


def _by_name(
    symbols: dict[str, CatalogSymbol], others: dict[str, CatalogSymbol]
) -> dict[tuple[str, str], list[CatalogSymbol]]:
    """Those that ``others`` has not, by module and qualname, in the order of their lines."""
    found: dict[tuple[str, str], list[CatalogSymbol]] = defaultdict(list)
    for entry in sorted(symbols.values(), key=lambda entry: entry.symbol.line):
        if entry.id not in others:
            found[entry.symbol.module, entry.symbol.qualname].append(entry)
    return found


def _differences(was: CatalogSymbol, is_: CatalogSymbol, lines: bool) -> Iterator[str]:
    if was.digest and is_.digest:  # of a store, which has nothing of what follows but kind and lines
        if was.digest != is_.digest:
            yield "its text"
    else:
        for name, before, now in (
            ("parent", was.parent, is_.parent),
            ("decorators", _joined(was.decorators), _joined(is_.decorators)),
            ("summary", was.summary, is_.summary),
            ("excluded", str(was.excluded).lower(), str(is_.excluded).lower()),
        ):
            if before != now:
                yield f"{name}: was {before or 'none'}, is {now or 'none'}"
    if was.kind != is_.kind:
        yield f"kind: was {was.kind}, is {is_.kind}"
    if lines and _shape(was) != _shape(is_):
        yield "lines: " + (
            f"was {_counted(was)}, is {_counted(is_)}"
            if _counted(was) != _counted(is_)
            else "other ones can be executed"
        )


def _joined(decorators: tuple[str, ...]) -> str:
    return " ".join(f"@{decorator}" for decorator in decorators)


def _shape(entry: CatalogSymbol) -> tuple[int, ...]:
    """The lines of a definition, counted from its first one."""
    first = entry.symbol.line
    return entry.end_line - first, *(line - first for line in entry.executable_lines)


def _counted(entry: CatalogSymbol) -> str:
    return f"{entry.end_line - entry.symbol.line + 1} of which {len(entry.executable_lines)} can be executed"


def _files(catalog: Catalog, tree: Catalog, drifted: set[str], lines: bool) -> Iterator[Drift]:
    """Files that came and went, and those of which only what stands outside of definitions has changed."""
    unreadable = {error.file for error in tree.errors}
    before = {file.path: file for file in catalog.files}
    after = {file.path: file for file in tree.files}
    for path in before.keys() - after.keys() - unreadable:
        yield Drift("removed", path, path, 1, "a file of the catalog")
    for path in after.keys() - before.keys():
        yield Drift("added", path, path, 1, "a file of the tree")
    if lines:
        for path in (before.keys() & after.keys()) - drifted:
            if before[path] != after[path]:
                yield Drift("changed", path, path, 1, "the statements outside of its definitions")
