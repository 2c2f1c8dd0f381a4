"""What the store knows of one revision: plain data, from which every file of a report is made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from otel_coverage.symbols import Symbol


@dataclass(frozen=True, slots=True)
class Profile:
    """A profile as its runs at this revision went.

    Attributes:
        name: its slug; whatever stands in the store, when something else wrote it.
        runs: how often it was played.
        failed_runs: how many of these the playback client saw fail.
        requests: how many requests were traced.
        jobs: how many jobs were traced.
        complete: whether the coverage of all of them arrived whole.
        incomplete_reasons: what is known to be missing.
        first_seen, last_seen: start of its first and of its last span.
    """

    name: str
    runs: int
    failed_runs: int
    requests: int
    jobs: int
    complete: bool
    incomplete_reasons: tuple[str, ...]
    first_seen: datetime
    last_seen: datetime


@dataclass(frozen=True, slots=True)
class Hit:
    """A profile's executions of a function.

    Attributes:
        first_seen, last_seen: start of the first and of the last span that executed it.
        exemplar_trace_id: one of the traces.
    """

    first_seen: datetime
    last_seen: datetime
    exemplar_trace_id: str


@dataclass(frozen=True, slots=True)
class Definition:
    """A function or class of the catalog; see :class:`~otel_coverage.catalog.CatalogSymbol`."""

    symbol: Symbol
    kind: str
    file: str
    end_line: int
    parent: str
    executable_lines: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ModuleCoverage:
    """A module's functions and their lines: how many there are, and how many of them some profile executed."""

    module: str
    functions_covered: int
    functions_total: int
    lines_covered: int
    lines_total: int


@dataclass(frozen=True)
class Findings:
    """Everything that a report tells.

    Attributes:
        revision: what the report is about.
        namespace: the services that share one source tree.
        services: those whose coverage counts here.
        newest_span: start of the newest span of the revision.
        profiles: sorted by name.
        hits: what each profile executed.
        lines: the lines that each profile executed, by file.
        catalog: all definitions, sorted by module and line; empty where none was pushed for the revision.
        arcs: from which line to which other each profile went, by file, as coverage.py's branch mode has it; only of
            profiles whose lines were all recorded with branches.
        half_branched: the profiles of which only some lines were.
    """

    revision: str
    namespace: str
    services: tuple[str, ...]
    newest_span: datetime
    profiles: tuple[Profile, ...]
    hits: Mapping[str, Mapping[Symbol, Hit]]
    lines: Mapping[str, Mapping[str, frozenset[int]]]
    catalog: tuple[Definition, ...]
    arcs: Mapping[str, Mapping[str, frozenset[tuple[int, int]]]] = field(default_factory=dict)
    half_branched: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether no profile failed or lost coverage."""
        return not self.doubtful

    @property
    def doubtful(self) -> tuple[Profile, ...]:
        """The profiles whose figures may be too low: a run failed, or coverage is known to be missing."""
        return tuple(profile for profile in self.profiles if profile.failed_runs or not profile.complete)

    @cached_property
    def functions(self) -> tuple[Definition, ...]:
        """The functions of the catalog."""
        return tuple(definition for definition in self.catalog if definition.kind == "function")

    @cached_property
    def profiles_of(self) -> Mapping[Symbol, tuple[str, ...]]:
        """The reverse index: for each executed function, sorted, the profiles that execute it, sorted too."""
        found: dict[Symbol, list[str]] = {}
        for profile in sorted(self.hits):
            for symbol in self.hits[profile]:
                found.setdefault(symbol, []).append(profile)
        return {symbol: tuple(found[symbol]) for symbol in sorted(found, key=_in_source_order)}

    @cached_property
    def covered(self) -> frozenset[Symbol]:
        """The functions of the catalog that some profile executed, and the classes that hold one of them."""
        functions = {definition.symbol for definition in self.functions} & self.profiles_of.keys()
        classes = {holder.symbol for holder, methods in self._classes.items() if functions.intersection(methods)}
        return frozenset(functions | classes)

    @cached_property
    def gaps(self) -> tuple[Definition, ...]:
        """The functions that no profile executed, and the classes none of whose functions ran, where they have any."""
        return tuple(
            definition
            for definition in self.catalog
            if definition.symbol not in self.covered
            and (definition.kind == "function" or self._classes.get(definition))
        )

    @cached_property
    def modules(self) -> tuple[ModuleCoverage, ...]:
        """The modules of the catalog, those with the most functions that nobody executed first."""
        functions: dict[str, list[Definition]] = {}
        for definition in self.functions:
            functions.setdefault(definition.symbol.module, []).append(definition)
        modules = [
            ModuleCoverage(
                module,
                functions_covered=sum(definition.symbol in self.covered for definition in definitions),
                functions_total=len(definitions),
                lines_covered=_count_common(_executable(definitions), self._lines_of_all),
                lines_total=sum(map(len, _executable(definitions).values())),
            )
            for module, definitions in functions.items()
        ]
        return tuple(sorted(modules, key=lambda m: (m.functions_covered - m.functions_total, m.module)))

    @cached_property
    def lines_total(self) -> int:
        """How many executable lines the functions of the catalog have."""
        return sum(map(len, self._executable_lines.values()))

    def functions_covered(self, profile: str) -> int:
        """How many functions of the catalog a profile executed."""
        hits = self.hits.get(profile, {})
        return sum(definition.symbol in hits for definition in self.functions)

    def lines_covered(self, profile: str) -> int:
        """How many executable lines of the catalog's functions a profile executed."""
        return _count_common(self._executable_lines, self.lines.get(profile, {}))

    @cached_property
    def _classes(self) -> Mapping[Definition, tuple[Symbol, ...]]:
        """Each class of the catalog with the functions that it holds; the lines tell namesakes apart."""
        methods: dict[tuple[str, str], list[Symbol]] = {}
        for definition in self.functions:
            methods.setdefault((definition.symbol.module, definition.parent), []).append(definition.symbol)
        return {
            holder: tuple(
                method
                for method in methods.get((holder.symbol.module, holder.symbol.qualname), ())
                if holder.symbol.line <= method.line <= holder.end_line
            )
            for holder in self.catalog
            if holder.kind == "class"
        }

    @cached_property
    def _executable_lines(self) -> Mapping[str, frozenset[int]]:
        return _executable(self.functions)

    @cached_property
    def _lines_of_all(self) -> Mapping[str, frozenset[int]]:
        found: dict[str, frozenset[int]] = {}
        for files in self.lines.values():
            for file, lines in files.items():
                found[file] = found.get(file, frozenset()) | lines
        return found


def _executable(definitions: Iterable[Definition]) -> dict[str, frozenset[int]]:
    found: dict[str, set[int]] = {}
    for definition in definitions:
        found.setdefault(definition.file, set()).update(definition.executable_lines)
    return {file: frozenset(lines) for file, lines in found.items()}


def _count_common(wanted: Mapping[str, frozenset[int]], executed: Mapping[str, frozenset[int]]) -> int:
    return sum(len(lines & executed.get(file, frozenset())) for file, lines in wanted.items())


def _in_source_order(symbol: Symbol) -> tuple[str, int, str]:
    return symbol.module, symbol.line, symbol.qualname
