"""Which workflow a piece of work belongs to: the profile's slug and the run that plays it."""

from __future__ import annotations

import re
from dataclasses import dataclass

# names in the baggage; the first two are span attributes, too
PROFILE = "playback.profile"
RUN_ID = "playback.run_id"
SIGNATURE = "playback.sig"

PREFIX = "playback."

_SLUG = re.compile(r"[a-z0-9][a-z0-9._-]{0,127}")
_RUN_ID = re.compile(r"[!-~]{1,128}")


@dataclass(frozen=True, slots=True)
class Playback:
    """A profile that is being played.

    Attributes:
        profile: slug of the recorded workflow, see :func:`is_slug`.
        run_id: the playback session that it is part of; empty where nobody named one.
    """

    profile: str
    run_id: str = ""


def is_slug(text: str) -> bool:
    """Whether ``text`` can name a profile: ``[a-z0-9][a-z0-9._-]{0,127}``."""
    return _SLUG.fullmatch(text) is not None


def is_run_id(text: str) -> bool:
    """Whether ``text`` can name a run: at most 128 printable ASCII characters, none of them a space."""
    return _RUN_ID.fullmatch(text) is not None
