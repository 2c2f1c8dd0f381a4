"""Profiles and runs that are named on the command line."""

from __future__ import annotations

import json
from urllib.parse import quote_plus

from otel_coverage.settings import Settings
from otel_coverage.slug import check_slug
from otel_coverage.tracing.context import baggage_entries
from otel_coverage.tracing.playback import Playback


def named_run(slug: str, run_id: str | None) -> str | None:
    """The run id that is given, if any, by the option or by OTEL_COVERAGE_RUN_ID; checks both names.

    Raises:
        ConfigurationError: one of them is not valid.
    """
    check_slug("the profile", slug)
    run = run_id or Settings.load().run_id
    return check_slug("the run id", run) if run else None


def baggage_of(slug: str, run: str | None) -> str:
    """The value of the header ``baggage`` by which requests belong to a profile; signed where a token is set."""
    entries = baggage_entries(Playback(slug, run or ""), Settings.load())
    return ",".join(f"{name}={quote_plus(text)}" for name, text in entries.items())


def variables_of(slug: str, run: str | None) -> dict[str, str]:
    """The environment variables that name a profile, for programs that read them.

    No TRACEPARENT: requests that share a parent cannot be distinguished when one of them is lost.
    """
    value = baggage_of(slug, run)
    return {
        "BAGGAGE": value,
        "PLAYBACK_PROFILE": slug,
        "PLAYBACK_RUN_ID": run or "",
        "PLAYBACK_HEADER": f"baggage: {value}",
        "PLAYBACK_HEADERS": json.dumps({"baggage": value}),
    }
