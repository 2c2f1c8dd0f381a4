"""What an error says of a name that is not known: the ones most like it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

_PLAIN = re.compile(r"[\w.+:@/-]+", re.ASCII)


def suggestion(name: str, known: Iterable[str], shown: int = 5) -> str:
    """``did you mean …?`` where known names are like it, else the first ``shown`` of those that there are."""
    names = list(dict.fromkeys(known))
    near = [each for each in names if len(name) > 2 and each.startswith(name)][:shown]
    near = near or difflib.get_close_matches(name, names, n=3, cutoff=0.6)
    if near:
        return f"did you mean {_listed(near)}?"
    if not names:
        return "it has none"
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return f"it has {_listed(names[:shown])}{more}"


def _listed(names: list[str]) -> str:
    return ", ".join(name if _PLAIN.fullmatch(name) else repr(name) for name in names)
