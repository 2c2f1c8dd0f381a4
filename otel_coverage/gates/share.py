"""At least so much of some code is executed: of packages, or of what a change touched."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from otel_coverage.errors import ConfigurationError
from otel_coverage.gates.evidence import Evidence, Row, percent
from otel_coverage.gates.outcome import FAILED, PASSED, UNDECIDED, Check, Finding
from otel_coverage.gates.places import repository_folder
from otel_coverage.impact.code import compare, parse
from otel_coverage.impact.differing import DELETED, FileChange, WorkTree, differing
from otel_coverage.reporting.changes.lines import ranges
from otel_coverage.suggestions import suggestion

Unit = Literal["functions", "lines"]
ALL = ""  # packages


@dataclass(frozen=True, slots=True)
class Wanted:
    """A function of which something counts.

    Attributes:
        row: of the catalog.
        lines: those of its executable lines that count.
    """

    row: Row
    lines: tuple[int, ...]


def packages(evidence: Evidence, limits: Mapping[str, float], unit: Unit) -> Iterator[Check]:
    """A check for each package or module: it and all below it.

    Args:
        evidence: what is known.
        limits: by its dotted name, or :data:`ALL`, at least so many percent.
        unit: of what.

    Raises:
        ConfigurationError: the catalog has no such package, or no lines were recorded.
    """
    for name, limit in limits.items():
        what = f"{unit} of {name or 'the source'}"
        if evidence.undecidable:
            yield Check(what, UNDECIDED, evidence.undecidable)
            continue
        rows = [row for row in evidence.functions if _is_in(row["module"], name)]
        if not rows:
            known = {part for row in evidence.functions for part in _packages(row["module"])}
            raise ConfigurationError(
                f"--min {name}={limit:g}: the catalog has no such package; {suggestion(name, sorted(known))}"
            )
        yield _judged(what, evidence, [Wanted(row, tuple(row["executable_lines"])) for row in rows], limit, unit)


def changed(evidence: Evidence, base: str, limit: float, unit: Unit) -> Check:
    """The functions that changed, or were added, since the branch left `base`, or their lines that did.

    Raises:
        ConfigurationError: git does not know the base, or no lines were recorded.
    """
    work_tree = WorkTree.at(repository_folder(evidence.tree))
    merge_base = work_tree.merge_base(work_tree.commit(base))
    what = f"changed {unit} since {merge_base[:12]}"
    if evidence.undecidable:
        return Check(what, UNDECIDED, evidence.undecidable)
    rows = {(row["module"], row["qualname"], row["line"]): row for row in evidence.functions}
    wanted: list[Wanted] = []
    unreadable: list[Finding] = []
    for change in differing(work_tree.top, merge_base):
        file = evidence.tree.locate(str(work_tree.top / change.path))
        if file is None or change.status == DELETED:
            continue
        try:
            touched = _touched(change)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            why = " ".join(str(error).split())
            unreadable.append(Finding(f"this interpreter cannot compile it: {why}", "Changed code", change.path, 1))
            continue
        for qualname, line, lines in touched:
            row = rows.get((file.module, qualname, line))  # what coverage.py's configuration excludes is not there
            if row is not None:
                wanted.append(Wanted(row, tuple(each for each in row["executable_lines"] if each in lines)))
    if unreadable:
        return Check(what, UNDECIDED, "files that changed cannot be read", tuple(unreadable))
    if not wanted:
        return Check(what, PASSED, "no function of the recorded source changed")
    return _judged(what, evidence, wanted, limit, unit)


def _touched(change: FileChange) -> list[tuple[str, int, set[int]]]:
    """The functions of a file that are new or changed: qualname, line, and which of its lines are other ones."""
    before, after = change.before() or b"", change.after() or b""
    lines = _new_lines(before, after)
    functions = (each.after for each in compare(parse(before), parse(after)))
    return [(each.qualname, each.line, lines) for each in functions if each is not None]


def _new_lines(before: bytes, after: bytes) -> set[int]:
    was, now = before.splitlines(), after.splitlines()
    start = 0
    while start < min(len(was), len(now)) and was[start] == now[start]:
        start += 1
    end = 0
    while end < min(len(was), len(now)) - start and was[-1 - end] == now[-1 - end]:
        end += 1
    matcher = difflib.SequenceMatcher(None, was[start : len(was) - end], now[start : len(now) - end], autojunk=False)
    return {
        start + line + 1
        for tag, _, _, first, last in matcher.get_opcodes()
        if tag != "equal"
        for line in range(first, last)
    }


def _judged(what: str, evidence: Evidence, wanted: Sequence[Wanted], limit: float, unit: Unit) -> Check:
    if unit == "functions":
        part, whole = sum(evidence.is_executed(each.row) for each in wanted), len(wanted)
    else:
        part = sum(len({*evidence.lines_run(each.row)} & {*each.lines}) for each in wanted)
        whole = sum(len(each.lines) for each in wanted)
    share = percent(part, whole)
    said = f"{part} of {whole} {unit} are executed, {_shown(share, limit)} %"
    figures = {"unit": unit, "executed": part, "total": whole, "percent": round(share, 2), "at_least": limit}
    if share >= limit:
        return Check(what, PASSED, f"{said}, at least {limit:g} % wanted", figures=figures)
    findings = tuple(_findings(evidence, wanted, unit))
    if evidence.incomplete:
        reason = f"{said} at least, {limit:g} % wanted; more may be: {evidence.incomplete}"
        return Check(what, UNDECIDED, reason, findings, figures)
    return Check(what, FAILED, f"{said}, at least {limit:g} % wanted", findings, figures)


def _findings(evidence: Evidence, wanted: Iterable[Wanted], unit: Unit) -> Iterator[Finding]:
    for each in wanted:
        row = each.row
        name = f"{row['module']}:{row['qualname']}"
        place = evidence.place(row)
        if not evidence.is_executed(row):
            start = ", it runs at start only" if row["at_startup"] else ""
            yield Finding(f"no profile executes {name}{start}", "Not executed", place, row["line"], row["end_line"])
        elif unit == "lines":
            missing = sorted({*each.lines} - {*evidence.lines_run(row)})
            if missing:
                text = f"no profile executes lines {ranges(missing)} of {name}"
                yield Finding(text, "Not executed", place, missing[0], missing[-1])


def _shown(share: float, limit: float) -> str:
    """Two digits, but never as much as the limit where it is less."""
    text = f"{share:.2f}"
    return text if share >= limit or float(text) < limit else f"{share:.6f}"


def _is_in(module: str, package: str) -> bool:
    return package in (ALL, module) or module.startswith(f"{package}.")


def _packages(module: str) -> Iterator[str]:
    parts = module.split(".")
    yield from (".".join(parts[:count]) for count in range(1, len(parts) + 1))
