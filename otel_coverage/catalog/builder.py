"""Builds a catalog from a source tree, file by file."""

from __future__ import annotations

import warnings
from collections.abc import Callable

from otel_coverage.catalog.catalog import Catalog, CatalogError, CatalogFile, CatalogSymbol
from otel_coverage.catalog.definitions import ParsedFile, StatementReader
from otel_coverage.source import SourceFile, SourceTree


def build(tree: SourceTree, *, on_file: Callable[[SourceFile], object] | None = None) -> Catalog:
    """All symbols of a source tree, without importing or running any of it.

    A file that cannot be read or compiled, or whose module name another file already has, is skipped and listed in the
    catalog's errors.

    Args:
        tree: the files; its ``rcfile`` says which lines count.
        on_file: called with each file before it is read.

    Raises:
        ConfigurationError: the tree has no file, or coverage.py cannot use its configuration.
    """
    symbols: dict[str, CatalogSymbol] = {}
    files: dict[str, CatalogFile] = {}
    errors: list[CatalogError] = []
    paths: dict[str, str] = {}  # by module
    with warnings.catch_warnings(), StatementReader(tree.rcfile) as reader:
        warnings.simplefilter("ignore")  # of the compiler about the source
        for file in tree.files():
            if on_file is not None:
                on_file(file)
            first = paths.setdefault(file.module, file.filename)
            if first != file.filename:
                message = f"{first} already defines module {file.module}; put the two under different import roots"
                errors.append(CatalogError(file.path, 1, message))
                continue
            try:
                parsed = ParsedFile.parse(file)
                statements = reader.read(file.filename)
                symbols.update({symbol.id: symbol for symbol in parsed.symbols(statements)})
            except (SyntaxError, ValueError, RecursionError, MemoryError, OSError) as error:
                errors.append(_error_in(file, error))
                continue
            lines = sorted(statements.executable), sorted(statements.excluded)
            files[file.path] = CatalogFile(file.path, file.module, tuple(lines[0]), tuple(lines[1]))
    return Catalog(
        symbols=tuple(
            sorted(symbols.values(), key=lambda symbol: (symbol.symbol.module, symbol.symbol.line, symbol.id))
        ),
        files=tuple(files[path] for path in sorted(files)),
        errors=tuple(sorted(errors, key=lambda error: (error.file, error.line))),
    )


def _error_in(file: SourceFile, error: Exception) -> CatalogError:
    if isinstance(error, SyntaxError):
        return CatalogError(file.path, error.lineno or 1, str(error.msg))
    return CatalogError(file.path, 1, " ".join(f"{type(error).__name__}: {error}".split()))
