"""Which workflow a piece of work belongs to: the profile's slug and the run that plays it."""

from __future__ import annotations

from dataclasses import dataclass

# names in the baggage; the first two are span attributes, too
PROFILE = "playback.profile"
RUN_ID = "playback.run_id"
SIGNATURE = "playback.sig"

PREFIX = "playback."


@dataclass(frozen=True, slots=True)
class Playback:
    """A profile that is being played.

    Attributes:
        profile: slug of the recorded workflow, see :func:`~otel_coverage.slug.is_slug`.
        run_id: the playback session that it is part of; empty where nobody named one.
    """

    profile: str
    run_id: str = ""
