"""Builds a catalog from a source tree."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from otel_coverage.catalog.analysis import Analyzed, Analyzer, FileAnalysis, content_digest
from otel_coverage.catalog.cache import AnalysisCache
from otel_coverage.catalog.catalog import Catalog, CatalogError, CatalogFile, CatalogSymbol
from otel_coverage.catalog.workers import analyze_in_processes, processes_for
from otel_coverage.source import SourceFile, SourceTree, encodable


def build(
    tree: SourceTree,
    *,
    on_file: Callable[[SourceFile], object] | None = None,
    in_parallel: bool = False,
    cached: bool = False,
) -> Catalog:
    """All symbols of a source tree, without importing or running any of it.

    A file that cannot be read or compiled, or whose module name another file already has, is skipped and listed in the
    catalog's errors.

    Args:
        tree: the files; its ``rcfile`` says which lines count.
        on_file: called for each file once it is done.
        in_parallel: use all processors where there is enough to do. The catalog is the same.
        cached: use the user's cache of analyses. The catalog is the same.

    Raises:
        ConfigurationError: the tree has no file, or coverage.py cannot use its configuration.
    """
    symbols: list[CatalogSymbol] = []
    files: dict[str, CatalogFile] = {}
    errors: list[CatalogError] = []
    paths: dict[str, str] = {}  # by module
    chosen: list[SourceFile] = []
    for file in tree.files():
        first = paths.setdefault(file.module, file.filename)
        if first == file.filename:
            chosen.append(file)
            continue
        message = f"{encodable(first)} already defines module {file.module}; put the two under different import roots"
        errors.append(CatalogError(file.path, 1, message))
        if on_file is not None:
            on_file(file)
    outcomes: dict[str, FileAnalysis | CatalogError] = {}
    for file, outcome in analyze_files(chosen, tree.rcfile, in_parallel=in_parallel, cached=cached):
        outcomes[file.filename] = outcome
        if on_file is not None:
            on_file(file)
    for file in sorted(chosen, key=lambda file: file.module):  # which no two have
        found = outcomes[file.filename]
        if isinstance(found, CatalogError):
            errors.append(found)
        else:
            symbols += found.symbols(file)
            files[file.path] = found.entry(file)
    return Catalog(
        symbols=tuple(symbols),
        files=tuple(files[path] for path in sorted(files)),
        errors=tuple(sorted(errors, key=lambda error: (error.file, error.line))),
    )


def analyze_files(
    files: Sequence[SourceFile], rcfile: str | None, *, in_parallel: bool = False, cached: bool = False
) -> Iterator[tuple[SourceFile, FileAnalysis | CatalogError]]:
    """Each file with what it says: from the cache, from processes that analyze it, and what these leave, from here.

    Args:
        files: in any order, as their outcomes are.
        rcfile: the coverage.py configuration that says which lines count; None for coverage.py's defaults.
        in_parallel, cached: as for :func:`build`.

    Raises:
        ConfigurationError: coverage.py cannot use its configuration.
    """
    with warnings.catch_warnings(), Analyzer(rcfile) as analyzer:
        warnings.simplefilter("ignore")  # of the compiler about the source
        remaining = {file.filename: file for file in files}
        cache = AnalysisCache.of_user(analyzer.exclude_lines) if cached else None
        if cache is not None:
            for file in files:
                known = _cached(cache, file)
                if known is not None:
                    del remaining[file.filename]
                    yield file, known
        for file, found in _analyses(analyzer, remaining, rcfile, in_parallel):
            if cache is not None and isinstance(found.outcome, FileAnalysis) and found.content:
                cache.put(found.content, found.outcome)
            yield file, found.outcome
        if cache is not None:
            cache.prune()


def _analyses(
    analyzer: Analyzer, remaining: dict[str, SourceFile], rcfile: str | None, in_parallel: bool
) -> Iterator[tuple[SourceFile, Analyzed]]:
    processes = processes_for(list(remaining.values())) if in_parallel else 1
    if processes > 1:
        for file, found in analyze_in_processes(list(remaining.values()), rcfile, processes):
            del remaining[file.filename]
            yield file, found
    for file in remaining.values():
        yield file, analyzer.analyze(file)


def _cached(cache: AnalysisCache, file: SourceFile) -> FileAnalysis | None:
    try:
        content = Path(file.filename).read_bytes()
    except OSError:
        return None
    return cache.get(content_digest(content))
