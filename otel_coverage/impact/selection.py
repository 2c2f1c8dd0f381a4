"""Which profiles to replay for a change, and why.

A profile is left out only where nothing says that it can notice the change: what is not known selects. The rules, each
with its reason, are those of ``docs/gates.md``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from otel_coverage.errors import ConfigurationError
from otel_coverage.impact.code import CodeChange, Function, compare, parse
from otel_coverage.impact.differing import ADDED, DELETED, RENAMED, FileChange
from otel_coverage.impact.findings import ChangedFunction, Impact, Reason
from otel_coverage.impact.mentions import Mentions
from otel_coverage.impact.recorded import Name, Recorded
from otel_coverage.impact.settings import ALL, NONE, ImpactSettings, toml
from otel_coverage.source import SourceTree, encodable
from otel_coverage.suggestions import suggestion

_PYTHON = (".py", ".pyw")
_DEPENDENCIES = (
    "requirements*.txt", "requirements*.in", "constraints*.txt", "setup.py", "setup.cfg", "Pipfile", "*.lock",
    "pylock*.toml", "environment*.yml", "environment*.yaml", "Dockerfile*", ".python-version", "package-lock.json",
)  # fmt: skip
_MEASURED = "perf-baseline.json"  # what `overhead` writes
_TOOLS = frozenset(  # tables of pyproject.toml that no application reads
    {"bandit", "black", "coverage", "flake8", "isort", "mypy", "pylint", "pyright", "pytest", "ruff", "towncrier"}
)


@dataclass
class Selector:
    """Applies the rules.

    Attributes:
        recorded: what is known of who executes what.
        tree: the source that was recorded, as it is now.
        top: the repository's folder.
        settings: what the project says of its files.
        folder: where these settings, and the globs in them, are from.
        played: the profiles for which there are playback recordings; they may not have been recorded.
    """

    recorded: Recorded
    tree: SourceTree
    top: Path
    settings: ImpactSettings
    folder: Path
    played: Sequence[str] = ()
    _reasons: dict[Reason, None] = field(default_factory=dict)
    _functions: list[ChangedFunction] = field(default_factory=list)
    _inert: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.profiles = tuple(sorted({*self.recorded.profiles, *self.played}))
        self._mentions = Mentions(self.tree)
        self._check_settings()

    def select(
        self,
        changes: Sequence[FileChange],
        stale: Mapping[str, Sequence[FileChange]] | None = None,
        unknown: str = "",
    ) -> Impact:
        """The profiles to replay.

        Args:
            changes: what the change is: from the base to the work tree.
            stale: what else changed since the coverage was recorded, by the revision; None where nothing did.
            unknown: why what was recorded says nothing of the base; empty where it does.
        """
        for each in changes:
            self._file(each)
        functions, inert = list(self._functions), list(self._inert)
        if any(each.path not in inert for each in changes):
            if unknown:
                self._all("stale_coverage", unknown)
            self._doubtful(stale or {})
        return Impact(
            self.profiles,
            tuple(self._reasons),
            tuple(sorted(functions, key=lambda each: (each.file, each.line, each.symbol))),
            tuple(sorted(inert)),
            len(changes),
        )

    def _doubtful(self, stale: Mapping[str, Sequence[FileChange]]) -> None:
        """Profiles of which it is not known what they execute now."""
        recorded = self.recorded
        for revision, changes in stale.items():
            before, self._reasons = self._reasons, {}
            for each in changes:
                self._file(each)
            found, self._reasons = self._reasons, before
            for reason in found:
                detail = f"coverage is of {revision[:12]}, and since then: {reason.detail}"
                self._add("stale_coverage", detail, reason.file, reason.symbol, reason.profiles, reason.everyone)
        for sentence in recorded.damage:
            self._all("incomplete_coverage", sentence)
        for name, why in recorded.doubts.items():
            self._add("incomplete_coverage", f"it may execute more than is known: {why}", profiles=(name,))
        new = [name for name in self.played if name not in recorded.profiles]
        for name in new:
            self._add("never_recorded", "no coverage of it is in the store", profiles=(name,))

    def _check_settings(self) -> None:
        for glob, value in self.settings.files.items():
            for name in value if isinstance(value, tuple) else ():
                if not any(fnmatchcase(each, name) for each in self.profiles):
                    raise ConfigurationError(
                        f"{self.settings.origin}: [tool.otel_coverage.impacted.files]: {glob!r} names the profile "
                        f"{name!r}, which neither the store nor {self.settings.profiles}/ has; "
                        f"{suggestion(name, self.profiles)}"
                    )

    # files

    def _file(self, change: FileChange) -> None:
        before = len(self._reasons)
        declared = self._declared(change)
        located = [self.tree.locate(str(self.top / name)) for name in dict.fromkeys((change.former, change.path))]
        if change.unreadable:
            self._all("unknown_code", f"{change.path}: {change.unreadable}", change.path)
        elif change.path.endswith(_PYTHON) and any(located):
            if not self._code(change) and len(self._reasons) == before:
                self._inert.append(change.path)
        elif declared:
            if len(self._reasons) == before:
                self._inert.append(change.path)
        elif (
            self._is_inert_project_file(change)
            or self.top / change.path == self.folder / _MEASURED
            or self._is_recording(change)
        ):
            self._inert.extend([change.path] if len(self._reasons) == before else [])
        elif any(fnmatchcase(PurePosixPath(change.path).name, each) for each in _DEPENDENCIES):
            self._all(
                "dependency", f"{change.path} {change.status}: what it installs may behave otherwise", change.path
            )
        elif PurePosixPath(change.path).name == "pyproject.toml":
            self._all("dependency", f"{change.path} {change.status}, not only in tables of tools", change.path)
        elif change.path.endswith(_PYTHON):
            detail = f"{change.path} {change.status}: no file of the recorded source, so nobody knows who executes it"
            self._all("unknown_code", detail, change.path)
        else:
            detail = f"{change.path} {change.status}: no glob in [tool.otel_coverage.impacted.files] says who reads it"
            self._all("undeclared_file", detail, change.path)

    def _declared(self, change: FileChange) -> bool:
        """Whether the settings say which profiles a file concerns."""
        found = False
        for path in dict.fromkeys((change.former, change.path)):
            below = Path(os.path.relpath(self.top / path, self.folder)).as_posix()
            for glob, value in self.settings.of(below):
                found = True
                detail = f"{path} {change.status}: it matches {glob}"
                if value == ALL:
                    self._all("file", detail, path)
                elif value != NONE:
                    names = tuple(name for name in self.profiles if any(fnmatchcase(name, each) for each in value))
                    self._add("file", detail, path, profiles=names)
        return found

    def _is_recording(self, change: FileChange) -> bool:
        """Whether it belongs to a profile's playback recording; that one is then selected, if it is still played."""
        found = False
        for path in dict.fromkeys((change.former, change.path)):
            try:
                below = (self.top / path).relative_to(self.folder / self.settings.profiles)
            except ValueError:
                continue
            name = below.parts[0].removesuffix(".jsonl")
            found = True
            if name in (self.played or self.profiles):
                self._add("recording_changed", f"{path} {change.status}", path, profiles=(name,))
        return found

    def _is_inert_project_file(self, change: FileChange) -> bool:
        """Whether it is a pyproject.toml in which nothing changed but what tools read."""
        if PurePosixPath(change.path).name != "pyproject.toml" or change.path != change.former:
            return False
        before, after = change.before(), change.after()
        if before is None or after is None:
            return False
        try:
            was, now = (_for_the_application(text.decode("utf-8"), change.path) for text in (before, after))
        except (ConfigurationError, UnicodeDecodeError):
            return False
        return was == now

    # code

    def _code(self, change: FileChange) -> bool:
        """Take in a Python file of the source. Returns whether the interpreter sees a difference."""
        if change.status == RENAMED:
            self._all("renamed", f"{change.former} is {change.path} now: a module of another name", change.path)
            return True
        before, after = change.before(), change.after()
        if (before is None) != (change.status == ADDED) or (after is None) != (change.status == DELETED):
            self._all("unknown_code", f"{change.path}: its content cannot be read", change.path)
            return True
        file = self.tree.locate(str(self.top / change.path))
        module = file.module if file is not None else ""
        try:
            was, now = (parse(content or b"") for content in (before, after))
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            why = f"{change.path}: this interpreter cannot compile it: {encodable(' '.join(str(error).split()))}"
            self._all("unknown_code", why, change.path)
            return True
        found = compare(was, now)
        if change.status in (ADDED, DELETED):  # an import that finds another file, or none
            self._all("module_level", f"{change.path} {change.status}: a module that can be imported", change.path)
        for each in found:
            self._code_change(each, change.path, module, now.classes if each.after is not None else was.classes)
        return bool(found) or change.status in (ADDED, DELETED)

    def _code_change(self, change: CodeChange, path: str, module: str, classes: Mapping[str, object]) -> None:
        if change.kind == "module":
            self._all("module_level", f"{path}: what runs when {module} is imported changed", path)
        elif change.kind == "constant":
            detail = f"{path}: {module}.{change.name} {change.change}"
            if change.name.startswith("__") and change.name != "__doc__":
                self._all("module_level", detail, path)
            else:
                self._mentioned(change.name, detail, path, deleted=change.change == DELETED)
        else:
            for function in [each for each in (change.after, change.before) if each is not None][:1]:
                self._function(change, function, path, module, classes)

    def _function(
        self, change: CodeChange, function: Function, path: str, module: str, classes: Mapping[str, object]
    ) -> None:
        name = module, function.qualname
        symbol = f"{module}:{function.qualname}"
        recorded = self.recorded
        executed = tuple(sorted(recorded.executed.get(name, ())))
        self._functions.append(
            ChangedFunction(
                symbol,
                change.change,
                path,
                function.line,
                function.end_line,
                executed,
                name in recorded.at_start,
                tuple(sorted(recorded.entry_points.get(name, ()))),
            )
        )
        if executed:
            self._add("executes", f"executes {symbol}, which was {change.change}", path, symbol, executed)
        if change.change != ADDED:
            self._beyond_callers(change, name, path, symbol)
        if change.change != "changed" and not function.is_inner:
            self._name_of_function(change, function, path, symbol, classes)

    def _beyond_callers(self, change: CodeChange, name: Name, path: str, symbol: str) -> None:
        """Where a function that was there concerns profiles that do not execute it."""
        recorded = self.recorded
        if name in recorded.at_start:
            self._all("runs_at_start", f"{symbol}, which was {change.change}, runs when a process starts", path, symbol)
        elif recorded.start_unknown:
            services = ", ".join(recorded.start_unknown)
            detail = (
                f"{symbol}, which was {change.change}, may run when a process starts: no start of {services} was "
                "recorded; set OTEL_COVERAGE_STARTUP=1 where the profiles are recorded"
            )
            self._all("start_unknown", detail, path, symbol)
        if any(each.keeps for each in (change.before, change.after) if each is not None):
            detail = f"{symbol}, which was {change.change}, keeps what it finds for others that then do not execute it"
            self._all("keeps_state", detail, path, symbol)

    def _name_of_function(
        self, change: CodeChange, function: Function, path: str, symbol: str, classes: Mapping[str, object]
    ) -> None:
        """Where a function that came or went concerns whoever uses its name."""
        detail = f"{symbol} was {change.change}"
        if function.name.startswith("__") and function.name.endswith("__"):
            self._all("special_name", f"{detail}: the interpreter calls it by itself", path, symbol)
            return
        holder = getattr(classes.get(function.holder), "bases", ()) if function.holder else ()
        if change.change == DELETED and holder:
            self._all("special_name", f"{detail}: its class has bases that may require it", path, symbol)
            return
        if function.holder and (function.holder not in classes or not self._mentions.is_own(tuple(holder))):
            self._all("special_name", f"{detail}: its class has bases that may call it by themselves", path, symbol)
            return
        if function.plain:  # else defining it runs its decorators, which changed what the import does
            self._mentioned(function.name, detail, path, symbol, deleted=change.change == DELETED)

    def _mentioned(self, name: str, detail: str, path: str, symbol: str = "", *, deleted: bool = False) -> None:
        """Select who executes code that has a name in it."""
        for mention in self._mentions.of(name, imported=deleted):
            how = "looks for names that are made when it runs" if mention.dynamic else f"mentions {name}"
            if mention.function is None:
                self._all("mentioned", f"{detail}, and what runs when {mention.file} is imported {how}", path, symbol)
                continue
            user = ":".join(mention.function)
            if mention.function in self.recorded.at_start:
                self._all("mentioned", f"{detail}, and {user}, which runs at start, {how}", path, symbol)
            executed = self.recorded.executed.get(mention.function, ())
            if executed:
                self._add("mentioned", f"{detail}, and it executes {user}, which {how}", path, symbol, executed)

    # reasons

    def _all(self, code: str, detail: str, file: str = "", symbol: str = "") -> None:
        self._add(code, detail, file, symbol, self.profiles, everyone=True)

    def _add(
        self,
        code: str,
        detail: str,
        file: str = "",
        symbol: str = "",
        profiles: Iterable[str] = (),
        everyone: bool = False,
    ) -> None:
        self._reasons[Reason(code, detail, file, symbol, tuple(sorted(profiles)), everyone)] = None


def _for_the_application(text: str, path: str) -> object:
    """What an application, or its installation, may read of a pyproject.toml."""
    found = toml(text, Path(path))
    tools = found.get("tool", {})
    if isinstance(tools, dict):
        kept = {name: value for name, value in tools.items() if name not in _TOOLS}
        own = kept.get("otel_coverage")
        if isinstance(own, dict):
            kept["otel_coverage"] = {name: value for name, value in own.items() if name not in ("ci", "impacted")}
        found["tool"] = {name: value for name, value in kept.items() if value}
    return {name: value for name, value in found.items() if value}
