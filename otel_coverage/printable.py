"""Text for people: nothing in a name, a message or a response is taken for a command, and no list is endless."""

from __future__ import annotations

from collections.abc import Iterable

NAMES_SHOWN = 5


def printable(text: str) -> str:
    """The text with control characters and line breaks escaped."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )


def counted(number: int, one: str, several: str = "") -> str:
    """So many of something: ``1 request``, ``2 requests``.

    Args:
        number: how many.
        one: what follows the number 1, such as ``request`` or ``entry is lost``.
        several: what follows every other number; without it ``one`` and an s.
    """
    return f"{number} {one if number == 1 else several or f'{one}s'}"


def listed(names: Iterable[str]) -> str:
    """The first of some names, and how many more there are."""
    every = list(names)
    more = len(every) - NAMES_SHOWN
    return ", ".join(every[:NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")
