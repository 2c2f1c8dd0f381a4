"""Reading coverage.py configurations, and closing its data files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from otel_coverage.errors import ConfigurationError

NAMED_BY = "OTEL_COVERAGE_RCFILE"

if TYPE_CHECKING:
    import coverage


def read_configuration(rcfile: str | None, named_by: str = NAMED_BY) -> coverage.Coverage:
    """A ``Coverage`` with the options of a configuration file, see its ``get_option``; it measures nothing.

    Plug-ins that set options when coverage.py starts (``covdefaults``) have set them.

    Args:
        rcfile: the file; None for coverage.py's defaults.
        named_by: the setting that names it, for error messages.

    Raises:
        ConfigurationError: the file cannot be read as a coverage.py configuration, or one of its plug-ins fails.
    """
    import coverage  # a process without a configuration, and with an engine of our own, does not need it

    if rcfile is not None and not Path(rcfile).is_file():
        raise ConfigurationError(f"{named_by}: {rcfile}: no such file; expected a coverage.py configuration")
    where = "coverage.py" if rcfile is None else f"{named_by}: {rcfile}"
    try:
        configured = coverage.Coverage(data_file=None, config_file=rcfile or False)
        configured.get_data()  # before, plug-ins are not loaded
    except coverage.CoverageException as error:
        raise ConfigurationError(f"{where}: {_one_line(error)}") from error
    except Exception as error:  # a plug-in is anybody's code
        plugins = ", ".join(_plugins(rcfile))
        raise ConfigurationError(
            f"{where}: a plug-in of coverage.py ({plugins}) cannot be used: {type(error).__name__}: {_one_line(error)};"
            " install it where the application, the catalog and the report run, or take it out of `plugins`"
        ) from error
    return configured


def wants_branches(rcfile: str | None) -> bool:
    """Whether the configuration says ``branch = true``.

    Raises:
        ConfigurationError: the file cannot be read as a coverage.py configuration.
    """
    if rcfile is None:
        return False
    configured = read_configuration(rcfile)
    close_data(configured.get_data())
    return bool(configured.get_option("run:branch"))


def paths(rcfile: str) -> list[list[str]]:
    """The entries of ``[paths]``: of each, the folder that is meant, and the patterns of those that are the same one.

    Raises:
        ConfigurationError: the file cannot be read as a coverage.py configuration.
    """
    configured = read_configuration(rcfile)
    close_data(configured.get_data())
    found = configured.get_option("paths")
    return [list(entry) for entry in found.values()] if isinstance(found, dict) else []


def excluded(rcfile: str) -> list[str]:
    """The expressions of the lines that a configuration excludes, those of its plug-ins and coverage.py's own included.

    Raises:
        ConfigurationError: the file cannot be read as a coverage.py configuration.
    """
    configured = read_configuration(rcfile)
    close_data(configured.get_data())
    found = configured.get_option("report:exclude_lines")
    return [str(each) for each in found] if isinstance(found, list) else []


def close_data(data: coverage.CoverageData) -> None:
    """Close the database of ``data``; releases of coverage.py without ``close`` leave that to the garbage collector."""
    close = getattr(data, "close", None)
    if close is not None:
        close(force=True)


def _plugins(rcfile: str | None) -> list[str]:
    import coverage

    found = coverage.Coverage(data_file=None, config_file=rcfile or False).get_option("run:plugins")
    return [str(name) for name in found] if isinstance(found, list) else []


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
