"""Checks as text: tables for a terminal, Markdown for a summary, annotations for GitHub."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from otel_coverage.gates.outcome import FAILED, PASSED, UNDECIDED, Check, Finding
from otel_coverage.printable import printable
from otel_coverage.source import encodable
from otel_coverage.store import Result
from otel_coverage.store.formats import as_markdown, markdown
from otel_coverage.store.table import as_table

MARKDOWN, GITHUB = "markdown", "github"

_SHOWN = 50  # findings of a check
_WORDS = {PASSED: "passed", FAILED: "FAILED", UNDECIDED: "CANNOT DECIDE"}


def as_tables(checks: Sequence[Check], width: int | None) -> str:
    """A line for each check, and a table of what it found.

    Args:
        checks: what to show.
        width: of the terminal; None for as wide as the tables are.
    """
    parts = []
    for check in checks:
        parts.append(f"{_WORDS[check.verdict]}: {printable(f'{check.name}: {check.reason}')}\n")
        rows = [(each.level, _place(each), printable(encodable(each.message))) for each in check.findings[:_SHOWN]]
        if rows:
            parts.append(as_table(Result(("level", "where", "what"), list(rows)), width) + _more(check))
    return "".join(parts)


def as_markdown_text(checks: Sequence[Check]) -> str:
    """The same as Markdown, for a job's summary or a comment; nothing in a name is taken for markup."""
    rows = [(check.name, _WORDS[check.verdict], encodable(check.reason)) for check in checks]
    parts = [as_markdown(Result(("check", "verdict", "reason"), list(rows)))]
    for check in checks:
        if check.findings:
            found = [(each.level, _place(each), encodable(each.message)) for each in check.findings[:_SHOWN]]
            table = as_markdown(Result(("level", "where", "what"), list(found)))
            parts.append(f"\n**{markdown(check.name)}**\n\n{table}{_more(check)}")
    return "".join(parts)


def as_annotations(checks: Sequence[Check]) -> str:
    """Workflow commands of GitHub Actions, which shows them at files and lines, and a line for each check."""
    return "".join(f"{line}\n" for check in checks for line in _annotations(check))


def _annotations(check: Check) -> Iterator[str]:
    said = printable(encodable(f"{check.name}: {check.reason}"))
    if check.passed:
        yield f"passed: {said}"
    else:
        title = "Gate" if check.verdict == FAILED else "Gate cannot decide"
        yield f"::error title={_property(title)}::{_data(said)}"
    for each in check.findings[:_SHOWN]:
        places = {"file": each.file, "line": each.line, "endLine": each.end_line, "title": each.title}
        properties = ",".join(f"{key}={_property(encodable(str(value)))}" for key, value in places.items() if value)
        yield f"::{each.level}{' ' if properties else ''}{properties}::{_data(printable(encodable(each.message)))}"
    if len(check.findings) > _SHOWN:
        yield _more(check).rstrip("\n")


def _data(text: str) -> str:
    """Text as the runner reads it after the ``::``."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _place(finding: Finding) -> str:
    where = encodable(finding.file)
    return printable(f"{where}:{finding.line}" if where and finding.line else where or finding.title)


def _more(check: Check) -> str:
    rest = len(check.findings) - _SHOWN
    return f"{rest} more\n" if rest > 0 else ""
