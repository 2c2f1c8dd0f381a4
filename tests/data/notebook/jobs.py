"""Jobs."""

from __future__ import annotations


def count_words(text: str) -> int:
    return len(words(text))


def words(text: str) -> list[str]:
    return text.split()
