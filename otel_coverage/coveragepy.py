"""Reading coverage.py configurations, and closing its data files."""

from __future__ import annotations

from pathlib import Path

import coverage

from otel_coverage.errors import ConfigurationError


def read_configuration(rcfile: str) -> coverage.Coverage:
    """A ``Coverage`` with the options of a configuration file, see its ``get_option``; it measures nothing.

    Raises:
        ConfigurationError: the file cannot be read as a coverage.py configuration.
    """
    if not Path(rcfile).is_file():
        raise ConfigurationError(f"{rcfile}: no such file; OTEL_COVERAGE_RCFILE is to name a coverage.py configuration")
    try:
        return coverage.Coverage(data_file=None, config_file=rcfile)
    except coverage.CoverageException as error:
        raise ConfigurationError(f"{rcfile}: {error}") from error


def wants_branches(rcfile: str | None) -> bool:
    """Whether the configuration says ``branch = true``.

    Raises:
        ConfigurationError: the file cannot be read as a coverage.py configuration.
    """
    return rcfile is not None and bool(read_configuration(rcfile).get_option("run:branch"))


def close_data(data: coverage.CoverageData) -> None:
    """Close the database of ``data``; releases of coverage.py without ``close`` leave that to the garbage collector."""
    close = getattr(data, "close", None)
    if close is not None:
        close(force=True)
