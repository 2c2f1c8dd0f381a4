"""What the page shows before its program runs, and all that it shows where a host forbids that."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from otel_coverage.printable import counted, printable
from otel_coverage.reporting.packages import packages_with_gaps
from otel_coverage.reporting.queries import RevisionQueries, doubts
from otel_coverage.reporting.times import timestamp

_PROFILES_SHOWN = 50
_PACKAGES_SHOWN = 10


# why there is no more to see, as HTML
NO_SCRIPT = (
    "This is the summary alone: the host of this page, or your browser, does not let its script run (Jenkins forbids "
    "inline script, for example). Download the file and open it from disk, or write the report with "
    "<code>otel-coverage report --split</code>, for hosts that allow scripts from files."
)
NOT_BUILT = (
    "This is the summary alone: the checkout that otel-coverage ran from has not built the page. Run "
    "<code>make page</code> in it (Node 20.19 or newer and npm’s registry are needed), then report again."
)


def static_summary(queries: RevisionQueries, notes: Sequence[str] = (), why: str = NO_SCRIPT) -> str:
    """HTML without any script or style of its own.

    Args:
        queries: what to read.
        notes: sentences about what the report could not do.
        why: the reason why this is all, as HTML.
    """
    return "".join(f"{part}\n" for part in _parts(queries, notes, why))


def _parts(queries: RevisionQueries, notes: Sequence[str], why: str) -> Iterator[str]:
    yield '<div class="static"><main>'
    yield f"<h1>Coverage of <code>{_text(queries.revision or 'unknown')}</code></h1>"
    yield f'<p class="noscript">{why}</p>'
    yield f"<p>{_sentence(queries)}</p>"
    if not queries.complete:
        doubtful = [(row["profile"], doubts(row)) for row in queries.profiles]
        items = [*queries.problems, *(f"{profile}: {doubt}" for profile, doubt in doubtful if doubt)]
        yield '<section class="banner banner-warn"><h2>Coverage is missing</h2><ul>'
        yield "".join(f"<li>{_text(item)}</li>" for item in items) + "</ul></section>"
    remarks = [note for note in notes if note not in queries.problems]
    if remarks:
        yield "<ul>" + "".join(f"<li>{_text(note)}</li>" for note in remarks) + "</ul>"
    yield "<h2>Profiles</h2>"
    rows = [
        (row["profile"], row["functions"], _share(row["percent"]), row["requests"], "no" if doubts(row) else "yes")
        for row in queries.leaderboard[:_PROFILES_SHOWN]
    ]
    yield _table(("profile", "functions", "of all", "requests", "complete"), rows)
    if len(queries.leaderboard) > _PROFILES_SHOWN:
        yield f"<p>{len(queries.leaderboard) - _PROFILES_SHOWN} more in leaderboard.json.</p>"
    packages = packages_with_gaps(queries.modules)[:_PACKAGES_SHOWN]
    if packages:
        yield "<h2>Largest gaps</h2>"
        gaps = [
            (
                package.name,
                package.row["functions_total"] - package.row["functions_covered"],
                package.row["functions_total"],
                _share(package.row["lines_percent"]),
            )
            for package in packages
        ]
        yield _table(("package", "functions no profile executes", "functions", "lines covered"), gaps)
    yield "</main></div>"


def _sentence(queries: RevisionQueries) -> str:
    totals, count = queries.totals, len(queries.profiles)
    profiles = counted(count, "profile")
    newest = f"Newest span: {timestamp(queries.newest_span)}."
    if not queries.has_catalog:
        return f"{profiles} together: {totals['functions']} functions. {newest}"
    return (
        f"{profiles} together: {totals['functions_covered']} of {totals['functions_total']} functions "
        f"({_share(totals['percent'])}), {totals['lines_covered']} of {totals['lines_total']} lines "
        f"({_share(totals['lines_percent'])}). {newest}"
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    titles = "".join(f'<th scope="col">{_text(title)}</th>' for title in head)
    body = "".join(f"<tr>{''.join(f'<td>{_text(str(cell))}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table>"


def _share(percent: float | None) -> str:
    return "–" if percent is None else f"{percent} %"


def _text(text: str) -> str:
    return html.escape(printable(text))
