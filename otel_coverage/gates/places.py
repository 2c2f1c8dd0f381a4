"""Where the files of the source lie below the repository's folder: what annotations of a pull request name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from otel_coverage.errors import ConfigurationError
from otel_coverage.impact.differing import WorkTree
from otel_coverage.source import SourceTree


def repository_folder(tree: SourceTree) -> Path:
    """The folder of the repository that holds the source; the working directory where none does."""
    folder = Path(tree.roots[0].folder)
    try:
        return WorkTree.at(folder if folder.is_dir() else folder.parent).top.resolve()
    except ConfigurationError:
        return Path.cwd()


def places(tree: SourceTree) -> Iterator[tuple[str, str]]:
    """The files of a tree, as a catalog names them, and where they lie below the repository's folder."""
    top = repository_folder(tree)
    for file in tree.files():
        path = Path(file.filename)
        yield file.path, path.relative_to(top).as_posix() if path.is_relative_to(top) else file.path
