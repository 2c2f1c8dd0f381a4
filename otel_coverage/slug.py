"""Valid names of profiles and runs."""

from __future__ import annotations

import re

SLUG_RULE = "1 to 128 of a-z, 0-9, '.', '_' and '-', beginning with a letter or a digit"
RUN_ID_RULE = "1 to 128 printable ASCII characters without spaces"

_SLUG = re.compile(r"[a-z0-9][a-z0-9._-]{0,127}")
_RUN_ID = re.compile(r"[!-~]{1,128}")


def is_slug(text: str) -> bool:
    """Whether ``text`` can name a profile: ``[a-z0-9][a-z0-9._-]{0,127}``."""
    return _SLUG.fullmatch(text) is not None


def is_run_id(text: str) -> bool:
    """Whether ``text`` can name a run: 1 to 128 printable ASCII characters without spaces."""
    return _RUN_ID.fullmatch(text) is not None
