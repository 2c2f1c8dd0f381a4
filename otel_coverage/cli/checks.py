"""Printing checks, in the format that was asked for or is due."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from otel_coverage.cli.output import chosen, terminal_width
from otel_coverage.gates.formats import GITHUB, MARKDOWN, as_annotations, as_markdown_text, as_tables
from otel_coverage.gates.outcome import Check, document
from otel_coverage.reporting.files import json_text
from otel_coverage.store.formats import JSON, TABLE

CHECK_FORMATS = (GITHUB, JSON, MARKDOWN, TABLE)


def show_checks(checks: Sequence[Check], output: str | None, own: Mapping[str, Any] | None = None) -> None:
    """Print what checks found.

    Args:
        checks: in the order to show them.
        output: the format; None for the default one.
        own: the document that JSON has instead of the checks' own.
    """
    shape = chosen(output)
    if shape == JSON:
        shown = json_text(document(checks) if own is None else own)
    elif shape == TABLE:
        shown = as_tables(checks, terminal_width())
    else:
        shown = as_annotations(checks) if shape == GITHUB else as_markdown_text(checks)
    click.echo(shown, nl=False)
