"""The SQL files: where they are, and how they are taken apart."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import otel_coverage

_STATEMENT_END = re.compile(r";[ \t]*(?:\n|\Z)")
_COMMENT = re.compile(r"^\s*--.*$", re.MULTILINE)


@dataclass(frozen=True)
class SqlFile:
    """One file of ``queries/``.

    Attributes:
        folder: ``schema``, ``views`` or ``reports``.
        name: the file's name without its suffix.
        text: what it holds.
    """

    folder: str
    name: str
    text: str

    @property
    def title(self) -> str:
        """``folder/name``."""
        return f"{self.folder}/{self.name}"

    @property
    def digest(self) -> str:
        """Changes whenever the text does."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:16]

    @cached_property
    def statements(self) -> tuple[str, ...]:
        """The statements one by one: a ``;`` at the end of a line ends each."""
        parts = (part.strip() for part in _STATEMENT_END.split(self.text))
        return tuple(part for part in parts if _COMMENT.sub("", part).strip())


def queries_folder() -> Path:
    """The folder of all SQL: inside the package when installed, beside it in a checkout."""
    package = Path(otel_coverage.__file__).parent
    inside = package / "queries"
    return inside if inside.is_dir() else package.parent / "queries"


def sql_files(folder: str) -> Iterator[SqlFile]:
    """The files of ``queries/<folder>/``, by name."""
    for path in sorted((queries_folder() / folder).glob("*.sql")):
        yield SqlFile(folder, path.stem, path.read_text(encoding="utf-8"))
