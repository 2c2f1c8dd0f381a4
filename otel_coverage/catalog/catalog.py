"""The catalog: all that a source tree defines, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from otel_coverage.symbols import Symbol

Kind = Literal["function", "class"]


@dataclass(frozen=True, slots=True)
class CatalogSymbol:
    """A function or class definition.

    Attributes:
        symbol: its name, as the recorder knows it.
        kind: ``function`` or ``class``.
        file: path as in :class:`~otel_coverage.source.SourceFile`, e.g. ``shop/orders.py``.
        end_line: the last line of the definition.
        executable_lines: the statements of its own, as coverage.py counts them: those of its body without the bodies of
            functions that it holds, which have their own. The lines of its decorators and its ``def`` run where it is
            defined and belong to whatever stands around it, unless the body stands on the same line.
        parent: qualname of the class that directly holds it, empty where none does.
        digest: changes when the text of the definition does, wherever in the file it stands.
        excluded: coverage.py is told not to count it (``# pragma: no cover``, ``exclude_lines``).
    """

    symbol: Symbol
    kind: Kind
    file: str
    end_line: int
    executable_lines: tuple[int, ...]
    parent: str = ""
    digest: str = ""
    excluded: bool = False

    @property
    def id(self) -> str:
        """``module:qualname@line``."""
        return self.symbol.id


@dataclass(frozen=True, slots=True)
class CatalogFile:
    """A file that was read.

    Attributes:
        path: as in :class:`~otel_coverage.source.SourceFile`.
        module: the module's dotted name.
        executable_lines: all its statements, as coverage.py counts them.
        excluded_lines: the statements that coverage.py is told not to count.
    """

    path: str
    module: str
    executable_lines: tuple[int, ...]
    excluded_lines: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class CatalogError:
    """A file whose definitions are not, or not safely, in the catalog."""

    file: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"


@dataclass(frozen=True, slots=True)
class Catalog:
    """All classes and functions of one source tree, found without running it.

    Attributes:
        symbols: every definition that the interpreter can reach, sorted by module and line.
        files: every file that was read, sorted by path.
        errors: every file that could not be read, sorted by path.
    """

    symbols: tuple[CatalogSymbol, ...]
    files: tuple[CatalogFile, ...]
    errors: tuple[CatalogError, ...]
