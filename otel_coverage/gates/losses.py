"""Nothing that was executed at a baseline is lost, but what a committed list allows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from otel_coverage.errors import ConfigurationError
from otel_coverage.gates.evidence import Evidence, shown
from otel_coverage.gates.outcome import FAILED, PASSED, UNDECIDED, Check, Finding
from otel_coverage.gates.share import Unit
from otel_coverage.reporting.changes.baseline import find_baseline
from otel_coverage.reporting.changes.code import REMOVED
from otel_coverage.reporting.changes.comparison import (
    LOST,
    Comparison,
    Difference,
    EntryPointChange,
    FunctionChange,
    compare,
)
from otel_coverage.reporting.changes.lines import ranges

_COMMENT = re.compile(r"(^|\s)#.*")  # a route may have one within
_KINDS = ("request", "job", "command")  # of entry points


@dataclass(frozen=True, slots=True)
class Allowed:
    """A line of the list: what may be lost.

    Attributes:
        pattern: ``module:qualname``, or an entry point's kind and name; with ``*`` and ``?``.
        file: of the list.
        line: in that file.
    """

    pattern: str
    file: str
    line: int

    def allows(self, name: str) -> bool:
        """Whether what has that name may be lost: a function's, or an entry point's with its kind."""
        return (" " in self.pattern) == (" " in name) and fnmatchcase(name, self.pattern)


@dataclass(frozen=True, slots=True)
class Loss:
    """What is executed no more, or may not be.

    Attributes:
        name: what a line of the list has to match.
        certain: whether that is so even if what may be missing is thought of.
        finding: says it; its title is `name` as people read it.
    """

    name: str
    certain: bool
    finding: Finding


def read_allowed(path: Path) -> list[Allowed]:
    """The list: ``module:qualname``, or an entry point with its kind before it, a line; ``#`` begins a comment.

    Raises:
        ConfigurationError: there is no such file, or a line is something else.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"--allow {path}: cannot be read: {error}") from error
    found: list[Allowed] = []
    for number, line in enumerate(lines, 1):
        pattern = " ".join(_COMMENT.sub("", line).split())
        if not pattern:
            continue
        kind, _, entry_point = pattern.partition(" ")
        module, colon, qualname = pattern.partition(":")
        is_function = module and colon and qualname and " " not in pattern and "@" not in pattern
        if not is_function and not (kind in _KINDS and entry_point):
            raise ConfigurationError(
                f"{path}:{number}: {pattern!r}: expected module:qualname without a line number, such as "
                "shop.orders:Order.total or shop.legacy.*:*, or an entry point, such as request GET /legacy/*"
            )
        found.append(Allowed(pattern, str(path), number))
    return found


def losses(evidence: Evidence, baseline: str, allowed: Sequence[Allowed], unit: Unit) -> Check:
    """Compare with a baseline; what was removed from the code is not lost.

    Args:
        evidence: what is known now.
        baseline: a revision, a run, or ``previous``.
        allowed: what may be lost.
        unit: ``lines`` for the lines of unchanged functions, too.

    Raises:
        ConfigurationError: the store has no such baseline.
        StoreError: the store has no coverage of these services there.
    """
    what = f"losses since {baseline}"
    if evidence.undecidable:
        return Check(what, UNDECIDED, evidence.undecidable)
    base = find_baseline(evidence.queries, baseline)
    if base is None:
        return Check(what, UNDECIDED, "there is no earlier revision with coverage")
    comparison = compare(evidence.queries, base)
    used: set[Allowed] = set()
    lost: list[Finding] = []
    unsure: list[Finding] = []
    for loss in _losses(comparison, evidence, unit):
        matching = [entry for entry in allowed if entry.allows(loss.name)]
        used.update(matching)
        if not matching:
            (lost if loss.certain else unsure).append(loss.finding)
    stale = tuple(
        Finding(
            f"{entry.pattern}: nothing that it allows is lost; delete the line",
            "Stale entry",
            entry.file,
            entry.line,
            level="warning",
        )
        for entry in allowed
        if entry not in used
    )
    figures = {"lost": len(lost), "unsure": len(unsure), "allowed": len(used), "stale": len(stale)}
    if lost:
        said = f"{len(lost)} {'is' if len(lost) == 1 else 'are'} lost: {shown([each.title for each in lost])}"
        lost = [_titled(each) for each in lost]
        return Check(what, FAILED, said, (*lost, *map(_titled, unsure), *stale), figures)
    if unsure and not evidence.accept_incomplete:
        why = evidence.incomplete or _why_unsure(comparison)
        said = f"{len(unsure)} may be lost: {shown([each.title for each in unsure])}; {why}"
        return Check(what, UNDECIDED, said, (*map(_titled, unsure), *stale), figures)
    rest = f", {len(stale)} stale entr{'y' if len(stale) == 1 else 'ies'} in the list" if stale else ""
    return Check(what, PASSED, f"nothing is lost that is not allowed{rest}", stale, figures)


def _losses(comparison: Comparison, evidence: Evidence, unit: Unit) -> Iterator[Loss]:
    for function in comparison.functions:
        yield from _of_function(function, evidence, unit)
    reached = {(row["kind"], row["entry_point"]) for row in comparison.now.entry_points}
    for each in comparison.entry_points:
        if each.difference.change != LOST or not _is_there(each, comparison):
            continue
        if (each.kind, each.entry_point) in reached:  # by another service, or by this one under another name
            continue
        title = each.entry_point if each.kind == "request" else f"{each.kind} {each.entry_point}"
        text = _no_more("reaches", "reach", f"{title} of {each.service}", each.difference)
        yield Loss(f"{each.kind} {each.entry_point}", each.difference.certain, Finding(text, title))


def _of_function(each: FunctionChange, evidence: Evidence, unit: Unit) -> Iterator[Loss]:
    name = f"{each.module}:{each.qualname}"
    file = evidence.place({"file": each.file}) if each.file else ""
    difference = each.difference
    is_there = each.code != REMOVED and (each.module, each.qualname) in evidence.names
    if difference.change == LOST and is_there:
        text = _no_more("executes", "execute", name, difference)
        yield Loss(name, difference.certain, Finding(text, name, file, each.line if file else 0))
    elif unit == "lines" and not difference.change:
        for lines, is_certain in ((each.lines_lost, True), (each.lines_unknown, False)):
            if lines:
                maybe = "" if is_certain else "may "
                text = f"lines {ranges(lines)} of {name} {maybe}{'are' if is_certain else 'be'} no longer executed"
                yield Loss(name, is_certain, Finding(text, name, file, lines[0], lines[-1]))


def _is_there(each: EntryPointChange, comparison: Comparison) -> bool:
    """Whether the application still has it, as far as is known: the route, the job's function."""
    if each.kind == "job":
        removed = {f"{row['module']}.{row['qualname']}" for row in comparison.code.removed}
        return each.entry_point.replace(":", ".") not in removed
    return each.exists is not False


def _no_more(does: str, do: str, what: str, difference: Difference) -> str:
    who = shown(sorted({*difference.lost_by, *difference.unknown}))
    return f"no profile {does if difference.certain else f'is known to {do}'} {what} any more; {who} did"


def _titled(finding: Finding) -> Finding:
    return Finding(finding.message, "Lost", finding.file, finding.line, finding.end_line, finding.level)


def _why_unsure(comparison: Comparison) -> str:
    absent = [each.profile for each in comparison.profiles if each.status == "not played"]
    reasons = [f"{each.profile}: {each.reason}" for each in comparison.profiles if each.reason]
    if absent:
        reasons.insert(0, f"not played now: {shown(absent)}")
    return "; ".join(reasons[:3]) or "coverage is missing"
