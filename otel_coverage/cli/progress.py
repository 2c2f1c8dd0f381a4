"""Progress on a terminal; where stderr is not one, nothing is shown."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.markup import escape

from otel_coverage.printable import printable


@contextmanager
def status(text: str) -> Iterator[Callable[[str], None]]:
    """A line that says what is under way; what it gives changes its text."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    with Console(stderr=True).status(escape(text)) as shown:
        yield lambda text: shown.update(escape(printable(text)))


@contextmanager
def bar(steps: Iterable[object], label: str) -> Iterator[Callable[[object], object]]:
    """A progress bar; what it gives is called at each step, with anything.

    Args:
        steps: as many as there will be, which are counted on a terminal alone.
        label: what is done, for people.
    """
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    with click.progressbar(length=sum(1 for _ in steps), label=label, file=sys.stderr) as shown:
        yield lambda _: shown.update(1)
