"""Which code of the source tree spells a name out: what may call a function that is new, and needs one that is gone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from otel_coverage.impact.code import Code, Names, parse
from otel_coverage.impact.recorded import Name
from otel_coverage.source import SourceFile, SourceTree

_DYNAMIC = re.compile(
    rb"globals|vars|dir|eval|exec|__dict__|__subclasses__|from_object|getmembers|attr|methodcaller|import_string"
    rb"|import_module|import\s*\*"
)
# classes of which the interpreter and libraries call nothing but what it is named
_OWN_BASES = {"object", "ABC", "Generic", "Protocol"}


@dataclass(frozen=True, slots=True)
class Mention:
    """Code that spells a name out, or looks for names that are made when it runs.

    Attributes:
        file: whose.
        function: module and qualname; None for what runs when the file is imported.
        dynamic: whether it does not spell it out.
    """

    file: str
    function: Name | None
    dynamic: bool


class Mentions:
    """Reads the files of a source tree, each once, and only those that can mention what is asked about.

    Args:
        tree: the source, as it is now.
    """

    def __init__(self, tree: SourceTree) -> None:
        self._tree = tree
        self._contents: dict[str, tuple[SourceFile, bytes]] | None = None
        self._codes: dict[str, Code | None] = {}

    def of(self, name: str, *, imported: bool = False) -> Iterator[Mention]:
        """Where a name is mentioned.

        Args:
            name: an identifier.
            imported: also where it is only imported.
        """
        word = re.compile(rb"\b" + re.escape(name.encode("utf-8", "replace")) + rb"\b")
        for file, content in self._files():
            if not word.search(content) and not _DYNAMIC.search(content) and content.isascii():
                continue
            code = self._code(file, content)
            if code is None:  # what cannot be compiled cannot run, either
                continue
            for function, names in ((None, code.names), *((each, each.names) for each in code.functions)):
                if _mentions(names, name, imported):
                    place = None if function is None else (file.module, function.qualname)
                    yield Mention(file.path, place, name not in names.used | names.imported)

    def is_own(self, bases: tuple[str, ...], seen: frozenset[str] = frozenset()) -> bool:
        """Whether classes of these names, and their bases, are all of the source, or call nothing by themselves."""
        return all(base in _OWN_BASES or base in seen or self._is_own_class(base, seen | {base}) for base in bases)

    def _is_own_class(self, name: str, seen: frozenset[str]) -> bool:
        found = False
        for file, content in self._files():
            if name.encode("utf-8", "replace") not in content:
                continue
            code = self._code(file, content)
            for qualname, each in (code.classes if code is not None else {}).items():
                if qualname.rpartition(".")[2] == name:
                    found = True
                    if not each.plain or not self.is_own(each.bases, seen):
                        return False
        return found

    def _files(self) -> Iterator[tuple[SourceFile, bytes]]:
        if self._contents is None:
            self._contents = {}
            for file in self._tree.files():
                try:
                    self._contents[file.filename] = file, Path(file.filename).read_bytes()
                except OSError:
                    continue
        yield from self._contents.values()

    def _code(self, file: SourceFile, content: bytes) -> Code | None:
        if file.filename not in self._codes:
            try:
                self._codes[file.filename] = parse(content)
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                self._codes[file.filename] = None
        return self._codes[file.filename]


def _mentions(names: Names, name: str, imported: bool) -> bool:
    return names.dynamic or name in names.used or (imported and name in names.imported)
