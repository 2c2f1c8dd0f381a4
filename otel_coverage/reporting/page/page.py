"""``index.html``: the static summary, the blocks of data, and the program that shows them."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from otel_coverage.printable import printable
from otel_coverage.reporting.changes.comparison import Comparison
from otel_coverage.reporting.history import Point
from otel_coverage.reporting.page.blocks import packed
from otel_coverage.reporting.page.bundle import Bundle
from otel_coverage.reporting.page.content import content
from otel_coverage.reporting.page.static import NOT_BUILT, static_summary
from otel_coverage.reporting.queries import RevisionQueries

PAGE = "index.html"
SCRIPT, STYLE = "index.js", "index.css"  # beside it where they are not in it

_DATA = "application/octet-stream;base64"  # an element of such a type is never run


@dataclass(frozen=True, slots=True)
class Links:
    """The addresses that the page leads to, the first two as templates; empty where it leads to none.

    Attributes:
        trace: with ``{trace}``, of a trace: Jaeger's, Tempo's or Grafana's.
        source: with ``{file}``, ``{line}`` and ``{revision}``, of a line of the source.
        pages: coverage.py's page of a file, by the file's path.
        profile_pages: coverage.py's pages of a profile, by its name.
    """

    trace: str = ""
    source: str = ""
    pages: Mapping[str, str] = field(default_factory=dict)
    profile_pages: Mapping[str, str] = field(default_factory=dict)


NO_LINKS = Links()


def write_page(
    queries: RevisionQueries,
    bundle: Bundle | None,
    folder: Path,
    *,
    notes: Sequence[str] = (),
    links: Links = NO_LINKS,
    split: bool = False,
    comparison: Comparison | None = None,
    history: Sequence[Point] = (),
) -> None:
    """Write the page into a folder.

    Args:
        queries: what to read, of an open store.
        bundle: the page's program; without it, the page is a summary that says how to get it.
        folder: an existing folder.
        notes: sentences about what the report could not do.
        links: where it leads to.
        split: write program and looks beside the page, for hosts that forbid inline ones.
        comparison: what changed since the baseline; None without one.
        history: the last revisions, the oldest first.

    Raises:
        OSError: it cannot be written.
        StoreError: the engine refuses.
    """
    if bundle is None:
        (folder / PAGE).write_text(_summary_alone(queries, notes), encoding="utf-8", newline="")
        return
    blocks = content(queries, notes, asdict(links), comparison=comparison, history=history)
    if split:
        (folder / SCRIPT).write_text(bundle.script, encoding="utf-8", newline="")
        (folder / STYLE).write_text(bundle.style, encoding="utf-8", newline="")
    with (folder / PAGE).open("w", encoding="utf-8", newline="") as file:
        file.writelines(_parts(queries, bundle, blocks, notes, split=split))


def _parts(
    queries: RevisionQueries, bundle: Bundle, blocks: Mapping[str, bytes], notes: Sequence[str], *, split: bool
) -> Iterator[str]:
    script, style = ("'self'", "'self'") if split else (policy_hash(bundle.script), policy_hash(bundle.style))
    policy = f"default-src 'none'; script-src {script}; style-src {style}; base-uri 'none'; form-action 'none'"
    yield from _head(queries, policy)
    yield f'<link rel="stylesheet" href="{STYLE}">\n' if split else f"<style>{bundle.style}</style>\n"
    yield f'</head>\n<body>\n<div id="app">\n{static_summary(queries, notes)}</div>\n'
    for name, block in blocks.items():
        yield f'<script type="{_DATA}" id="data-{name}">{packed(block)}</script>\n'
    licenses = json.dumps(bundle.licenses).replace("<", "\\u003c")
    yield f'<script type="application/json" id="licenses">{licenses}</script>\n'
    yield f'<script src="{SCRIPT}"></script>\n' if split else f"<script>{bundle.script}</script>\n"
    yield "</body>\n</html>\n"


def _summary_alone(queries: RevisionQueries, notes: Sequence[str]) -> str:
    summary = static_summary(queries, notes, NOT_BUILT)
    policy = "default-src 'none'; base-uri 'none'; form-action 'none'"
    return "".join([*_head(queries, policy), f"</head>\n<body>\n{summary}</body>\n</html>\n"])


def _head(queries: RevisionQueries, policy: str) -> Iterator[str]:
    yield '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
    yield f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    yield '<meta name="color-scheme" content="light dark">\n<meta name="referrer" content="no-referrer">\n'
    yield f"<title>Coverage of {html.escape(printable(queries.revision[:12] or 'an unknown revision'))}</title>\n"


def policy_hash(text: str) -> str:
    """The source expression of a policy that allows this text alone."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}'"
