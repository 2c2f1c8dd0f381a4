"""The SQL files: finding them, and splitting them into statements."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import otel_coverage


@dataclass(frozen=True)
class SqlFile:
    """One file of ``queries/``.

    Attributes:
        folder: ``schema``, ``views`` or ``reports``.
        name: the file's name without its suffix.
        text: its content.
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
        """The first 16 hexadecimal digits of the text's SHA-256."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:16]

    @cached_property
    def statements(self) -> tuple[str, ...]:
        """The statements, without their ``;``: one that ends a line of code ends a statement."""
        statements: list[str] = []
        lines: list[str] = []
        has_code = False
        for line in self.text.splitlines():
            lines.append(line)
            code = "" if line.lstrip().startswith("--") else line.rstrip()
            has_code = has_code or bool(code)
            if code.endswith(";"):
                statements.append("\n".join(lines).strip().removesuffix(";"))
                lines, has_code = [], False
        if has_code:
            statements.append("\n".join(lines).strip())
        return tuple(statements)


def queries_folder() -> Path:
    """The folder of all SQL: in the package when installed, beside it in a checkout."""
    package = Path(otel_coverage.__file__).parent
    inside = package / "queries"
    return inside if inside.is_dir() else package.parent / "queries"


def sql_files(folder: str) -> Iterator[SqlFile]:
    """The files of ``queries/<folder>/``, sorted by name."""
    for path in sorted((queries_folder() / folder).glob("*.sql")):
        yield SqlFile(folder, path.stem, path.read_text(encoding="utf-8"))
