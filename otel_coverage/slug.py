"""Which texts may name a profile or a run."""

from __future__ import annotations

import re

_SLUG = re.compile(r"[a-z0-9][a-z0-9._-]{0,127}")
_RUN_ID = re.compile(r"[!-~]{1,128}")


def is_slug(text: str) -> bool:
    """Whether ``text`` can name a profile: ``[a-z0-9][a-z0-9._-]{0,127}``."""
    return _SLUG.fullmatch(text) is not None


def is_run_id(text: str) -> bool:
    """Whether ``text`` can name a run: at most 128 printable ASCII characters, none of them a space."""
    return _RUN_ID.fullmatch(text) is not None
