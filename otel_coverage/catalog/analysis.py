"""What the text of a file says: its definitions and statements, wherever the file lies."""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from otel_coverage.catalog.catalog import CatalogError, CatalogFile, CatalogSymbol
from otel_coverage.catalog.definitions import Definition, ParsedFile, StatementReader
from otel_coverage.source import SourceFile, encodable
from otel_coverage.symbols import Symbol

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass(frozen=True, slots=True)
class FileAnalysis:
    """The definitions of a file, and its statements as coverage.py counts them."""

    definitions: tuple[Definition, ...]
    executable_lines: tuple[int, ...]
    excluded_lines: tuple[int, ...]

    def symbols(self, file: SourceFile) -> Iterator[CatalogSymbol]:
        """The symbols of a file with that text, each id once, by line and id."""
        named = {(found.line, f"{found.qualname}@{found.line}"): found for found in self.definitions}
        for _, found in sorted(named.items(), key=_by_line):
            yield CatalogSymbol(
                symbol=Symbol(file.module, found.qualname, found.line),
                kind=found.kind,
                file=file.path,
                end_line=found.end_line,
                executable_lines=found.executable_lines,
                parent=found.parent,
                digest=found.digest,
                excluded=found.excluded,
                decorators=found.decorators,
                summary=found.summary,
            )

    def entry(self, file: SourceFile) -> CatalogFile:
        """A file with that text."""
        return CatalogFile(file.path, file.module, self.executable_lines, self.excluded_lines)

    def record(self) -> list[Any]:
        """The analysis for JSON."""
        return [[astuple(found) for found in self.definitions], self.executable_lines, self.excluded_lines]

    @classmethod
    def from_record(cls, record: Any) -> FileAnalysis:
        """Read a :meth:`record` back.

        Raises:
            TypeError, ValueError: it is not one.
        """
        definitions, executable, excluded = record
        return cls(
            tuple(map(_definition, definitions)),
            tuple(executable),
            tuple(excluded),
        )


@dataclass(frozen=True, slots=True)
class Analyzed:
    """The outcome of analyzing a file.

    Attributes:
        outcome: what the file says, or why it cannot be read.
        content: digest of the text that ``outcome`` holds for; empty where that changed meanwhile.
    """

    outcome: FileAnalysis | CatalogError
    content: str = ""

    def record(self) -> list[Any]:
        """The outcome for JSON."""
        if isinstance(self.outcome, CatalogError):
            return [None, astuple(self.outcome)]
        return [self.content, self.outcome.record()]

    @classmethod
    def from_record(cls, record: Any) -> Analyzed:
        """Read a :meth:`record` back.

        Raises:
            TypeError, ValueError: it is not one.
        """
        content, outcome = record
        return cls(CatalogError(*outcome)) if content is None else cls(FileAnalysis.from_record(outcome), content)


class Analyzer:
    """Analyzes files without running them.

    Args:
        rcfile: the coverage.py configuration that says which lines count; None for coverage.py's defaults.

    Raises:
        ConfigurationError: coverage.py cannot use the configuration.

    Attributes:
        exclude_lines: the expressions of the lines that the configuration excludes.
    """

    def __init__(self, rcfile: str | None) -> None:
        self._statements = StatementReader(rcfile)
        self.exclude_lines = self._statements.exclude_lines

    def __enter__(self) -> Self:
        self._statements.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._statements.__exit__(kind, error, traceback)

    def analyze(self, file: SourceFile) -> Analyzed:
        """What a file says, or why it cannot be read.

        Raises:
            ConfigurationError: coverage.py cannot use its configuration.
        """
        try:
            with _garbage_collector_paused():
                parsed = ParsedFile(file)
                statements = self._statements.read(file.filename)
                analysis = FileAnalysis(
                    tuple(parsed.definitions(statements)),
                    tuple(sorted(statements.executable)),
                    tuple(sorted(statements.excluded)),
                )
                is_unchanged = Path(file.filename).read_bytes() == parsed.source  # coverage.py read it once more
        except (SyntaxError, ValueError, RecursionError, MemoryError, OSError) as error:
            return Analyzed(_error_in(file, error))
        return Analyzed(analysis, content_digest(parsed.source) if is_unchanged else "")


def _definition(record: Any) -> Definition:
    qualname, line, kind, end_line, lines, parent, digest, excluded, decorators, summary = record
    return Definition(
        qualname, line, kind, end_line, tuple(lines), parent, digest, excluded, tuple(decorators), summary
    )


def _by_line(named: tuple[tuple[int, str], Definition]) -> tuple[int, str]:
    return named[0]


def content_digest(content: bytes) -> str:
    """The digest by which a file's text is known."""
    return hashlib.sha256(content).hexdigest()


@contextmanager
def _garbage_collector_paused() -> Iterator[None]:
    """Syntax trees are many objects and no cycles: looking for some again and again takes a third of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _error_in(file: SourceFile, error: Exception) -> CatalogError:
    if isinstance(error, SyntaxError):
        return CatalogError(file.path, error.lineno or 1, encodable(str(error.msg)))
    return CatalogError(file.path, 1, encodable(" ".join(f"{type(error).__name__}: {error}".split())))
