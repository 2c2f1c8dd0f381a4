"""Profiles and runs that are named on the command line."""

from __future__ import annotations

from otel_coverage.errors import ConfigurationError
from otel_coverage.settings import Settings
from otel_coverage.slug import SLUG_RULE, is_slug, shown


def named_run(slug: str, run_id: str | None) -> str | None:
    """The run id that is given, if any, by the option or by OTEL_COVERAGE_RUN_ID; checks both names.

    Raises:
        ConfigurationError: one of them is not valid.
    """
    if not is_slug(slug):
        raise ConfigurationError(f"the profile {shown(slug)} is not valid; use {SLUG_RULE}")
    run = run_id or Settings.load().run_id
    if run and not is_slug(run):
        raise ConfigurationError(f"the run id {shown(run)} is not valid; use {SLUG_RULE}")
    return run or None
