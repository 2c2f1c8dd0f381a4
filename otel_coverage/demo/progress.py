"""What the demo says while it is at work."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console


class Progress:
    """A line for each step, once it is done; on a terminal also a sign of life before.

    Args:
        console: where to say it.
        verbose: whether to say which commands are run, too.
    """

    def __init__(self, console: Console, *, verbose: bool = False) -> None:
        self.console = console
        self.verbose = verbose

    @contextmanager
    def step(self, doing: str) -> Iterator[None]:
        """Something that takes a moment."""
        began = time.monotonic()
        if self.console.is_terminal:
            with self.console.status(f"{doing} …"):
                yield
        else:
            yield
        self.say(f"{doing} ({time.monotonic() - began:.1f} s)")

    def say(self, text: str) -> None:
        """A line."""
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def detail(self, text: str) -> None:
        """A line for those who want to know."""
        if self.verbose:
            self.console.print(f"    {text}", style="dim", markup=False, highlight=False, soft_wrap=True)
