"""``summary.md``: the report on one page, for a CI job's summary."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from otel_coverage.reporting.documents import write_text
from otel_coverage.reporting.findings import Findings
from otel_coverage.reporting.notes import doubts, notes
from otel_coverage.reporting.renderers.heading import percent, timestamp
from otel_coverage.reporting.renderers.leaderboard import leaderboard
from otel_coverage.store.formats import printable

_MODULES_SHOWN = 10
_MARKUP = re.compile(r"([\\`*_{}\[\]#+!|~$])")

FILES = (
    ("matrix.json", "which functions each profile executes (matrix.csv: with times and an example trace)"),
    ("reverse-index.json", "which profiles execute each function (also .csv)"),
    ("gaps.json", "what no profile executes (also .csv)"),
    ("leaderboard.json", "the table above (also .csv)"),
    ("redundancy.json", "what each profile adds to the others, and a small set that executes as much as all"),
    ("symbols.json", "all functions and classes of the source"),
    ("<profile>.coverage", "a profile's lines, for `coverage report --data-file`, `coverage html`, `coverage combine`"),
)


def render(findings: Findings, folder: Path, unresolved: tuple[str, ...] = ()) -> None:
    """Write it."""
    write_text(folder / "summary.md", summary(findings, unresolved))


def summary(findings: Findings, unresolved: tuple[str, ...] = ()) -> str:
    """The page's text."""
    parts = [
        f"# Coverage of revision {_code(findings.revision or 'unknown')}\n",
        _warning(findings),
        "".join(f"> {_text(note)}\n\n" for note in notes(findings, unresolved)),
        "\n\n".join(_sentences(findings)) + "\n",
        "## Profiles\n\n" + _profiles(findings),
        "## Largest gaps\n\n" + _gaps(findings),
        "## Files\n\n" + "".join(f"- {_code(name)}: {what}\n" for name, what in FILES),
    ]
    return "\n".join(part for part in parts if part)


def _warning(findings: Findings) -> str:
    if findings.complete:
        return ""
    lines = "".join(f"> - {_code(profile.name)}: {_text(doubts(profile))}\n" for profile in findings.doubtful)
    return f"> **Incomplete.** Part of these profiles is missing; they may execute more than is told here:\n>\n{lines}"


def _sentences(findings: Findings) -> Iterator[str]:
    executed = sum(definition.symbol in findings.covered for definition in findings.functions)
    covered, total = sum(m.lines_covered for m in findings.modules), sum(m.lines_total for m in findings.modules)
    profiles = f"{len(findings.profiles)} profile{'s' if len(findings.profiles) != 1 else ''}"
    if findings.catalog:
        yield (
            f"{profiles} together: {executed} of {_share(executed, len(findings.functions))} functions, "
            f"{covered} of {_share(covered, total)} lines."
        )
    else:
        yield f"{profiles} together: {len(findings.profiles_of)} functions."
    yield f"Services: {', '.join(map(_code, findings.services))}. Newest span: {timestamp(findings.newest_span)}."


def _profiles(findings: Findings) -> str:
    rows = (
        (
            record["position"],
            _code(record["profile"]),
            record["functions"],
            _percent(record["percent"]),
            record["lines_covered"],
            _percent(record["lines_percent"]),
            record["requests"],
            record["jobs"],
            record["runs"],
            "yes" if record["complete"] and not record["failed_runs"] else "**no**",
        )
        for record in leaderboard(findings)
    )
    head = ("#", "profile", "functions", "of all", "lines", "of all", "requests", "jobs", "runs", "complete")
    return _table(head, rows)


def _gaps(findings: Findings) -> str:
    modules = [module for module in findings.modules if module.functions_covered < module.functions_total]
    if not modules:
        return "None.\n" if findings.catalog else "Unknown without a catalog.\n"
    rows = (
        (
            _code(module.module),
            module.functions_total - module.functions_covered,
            module.functions_total,
            _percent(percent(module.lines_covered, module.lines_total)),
        )
        for module in modules[:_MODULES_SHOWN]
    )
    table = _table(("module", "functions never executed", "functions", "lines covered"), rows)
    rest = len(modules) - _MODULES_SHOWN
    return f"{table}\n{rest} more in gaps.json.\n" if rest > 0 else table


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---" if name in ("profile", "module") else "---:" for name in head], *rows]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


def _share(part: int, whole: int) -> str:
    share = percent(part, whole)
    return f"{whole} ({share} %)" if share is not None else f"{whole}"


def _percent(value: float | None) -> str:
    return f"{value} %" if value is not None else "–"


def _code(name: str) -> str:
    """A name in a monospaced font, or as escaped text where it would break out of that."""
    return f"`{name}`" if name.isprintable() and name.strip() and not re.search("[`|]", name) else _text(name)


def _text(text: str) -> str:
    """Text that Markdown and HTML take for nothing else."""
    return _MARKUP.sub(r"\\\1", html.escape(printable(text), quote=False))
