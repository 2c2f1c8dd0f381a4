"""Profiles' names for tests: the same ones on every machine, in any order, on each of xdist's workers."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable

_LONGEST = 128
_DIGEST = 8  # hexadecimal digits


def slug_of(text: str) -> str:
    """The slug of a node id: lower case, with a hyphen for what a slug may not contain; cut, with a digest, at 128."""
    slug = _readable(text)
    return slug if slug and len(slug) <= _LONGEST else digested(text)


def digested(text: str) -> str:
    """A slug that ends with a digest of all of the text."""
    digest = hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=_DIGEST // 2).hexdigest()
    readable = _readable(text)[: _LONGEST - _DIGEST - 1].rstrip("-")
    return f"{readable}-{digest}" if readable else f"test-{digest}"


def slugs(node_ids: Iterable[str], taken: Iterable[str] = ()) -> dict[str, str]:
    """The slugs of node ids. Those that would have the same one, or one that is taken, all get a digest.

    Args:
        node_ids: of all tests that were collected.
        taken: slugs that markers name.
    """
    plain = {each: slug_of(each) for each in node_ids}
    counts = Counter(plain.values())
    named = frozenset(taken)
    return {each: digested(each) if counts[slug] > 1 or slug in named else slug for each, slug in plain.items()}


def _readable(text: str) -> str:
    return re.sub(r"[^a-z0-9._]+", "-", text.lower()).lstrip("._-").rstrip("-")
