"""Valid names of profiles and runs."""

from __future__ import annotations

import re

from otel_coverage.errors import ConfigurationError

SLUG_RULE = "1 to 128 of a-z, 0-9, '.', '_' and '-', beginning with a letter or a digit"

_SLUG = re.compile(r"[a-z0-9][a-z0-9._-]{0,127}")
_LONGEST_SHOWN = 40


def is_slug(text: str) -> bool:
    """Whether ``text`` can name a profile or a run: ``[a-z0-9][a-z0-9._-]{0,127}``."""
    return _SLUG.fullmatch(text) is not None


def check_slug(what: str, text: str, hint: str = "") -> str:
    """``text``, which can name a profile or a run.

    Args:
        what: it names, for a message: ``the profile``, ``the run id``.
        text: the name.
        hint: what else the message says to do.

    Raises:
        ConfigurationError: it cannot.
    """
    if not is_slug(text):
        raise ConfigurationError(f"{what} {shown(text)} is not valid; use {SLUG_RULE}{hint}")
    return text


def shown(text: str) -> str:
    """``text`` for a message, whatever it holds: quoted, in ASCII with everything else escaped, and cut."""
    return ascii(text) if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]!a}… ({len(text)} characters)"
