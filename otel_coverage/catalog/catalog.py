"""The catalog of a source tree as plain data, and as the document of ``symbols.json``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from otel_coverage.symbols import Symbol

SCHEMA_VERSION = 1

Kind = Literal["function", "class"]


@dataclass(frozen=True, slots=True)
class CatalogSymbol:
    """A function or class definition.

    Attributes:
        symbol: its identity, the same as the recorder's.
        kind: ``function`` or ``class``.
        file: path as in :class:`~otel_coverage.source.SourceFile`, e.g. ``shop/orders.py``.
        end_line: the last line of the definition.
        executable_lines: its own statements as coverage.py counts them: those of its body, without the bodies of nested
            functions, which have their own. Decorator and ``def`` lines run where the function is defined and belong to
            the enclosing scope, unless the body is on the same line.
        parent: qualname of the class that directly contains it; empty without one.
        digest: of the definition's text; independent of its position in the file.
        decorators: the text of each, without its ``@``, the outermost first; cut after 200 characters.
        summary: the first line of its docstring; empty without one, cut after 200 characters.
        excluded: whether coverage.py's configuration excludes it (``# pragma: no cover``, ``exclude_lines``).
    """

    symbol: Symbol
    kind: Kind
    file: str
    end_line: int
    executable_lines: tuple[int, ...]
    parent: str = ""
    digest: str = ""
    excluded: bool = False
    decorators: tuple[str, ...] = ()
    summary: str = ""

    @property
    def id(self) -> str:
        """``module:qualname@line``."""
        return self.symbol.id


@dataclass(frozen=True, slots=True)
class CatalogFile:
    """A file of the catalog.

    Attributes:
        path: as in :class:`~otel_coverage.source.SourceFile`.
        module: the module's dotted name.
        executable_lines: all its statements as coverage.py counts them.
        excluded_lines: the statements that coverage.py's configuration excludes.
    """

    path: str
    module: str
    executable_lines: tuple[int, ...]
    excluded_lines: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class CatalogError:
    """A file whose definitions are not in the catalog, and why."""

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
        errors: every file that was skipped, sorted by path.
    """

    symbols: tuple[CatalogSymbol, ...]
    files: tuple[CatalogFile, ...]
    errors: tuple[CatalogError, ...]

    def document(self, revision: str | None) -> dict[str, Any]:
        """The content of ``symbols.json``, ready for JSON, as ``catalog.schema.json`` describes it.

        Args:
            revision: whose catalog it is; None for an inventory, which leaves that out.
        """
        return {
            "schema_version": SCHEMA_VERSION,
            **({} if revision is None else {"revision": revision}),
            "symbols": [
                {
                    "id": entry.id,
                    "module": entry.symbol.module,
                    "qualname": entry.symbol.qualname,
                    "line": entry.symbol.line,
                    "kind": entry.kind,
                    "file": entry.file,
                    "end_line": entry.end_line,
                    "parent": entry.parent,
                    "decorators": list(entry.decorators),
                    "summary": entry.summary,
                    "excluded": entry.excluded,
                    "executable_lines": list(entry.executable_lines),
                }
                for entry in self.symbols
            ],
            "files": [
                {
                    "file": file.path,
                    "module": file.module,
                    "executable_lines": list(file.executable_lines),
                    "excluded_lines": list(file.excluded_lines),
                }
                for file in self.files
            ],
            "errors": [{"file": error.file, "line": error.line, "message": error.message} for error in self.errors],
        }
