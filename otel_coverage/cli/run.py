"""``otel-coverage run``."""

from __future__ import annotations

import os
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import click

from otel_coverage.cli.propagators import check_propagators
from otel_coverage.errors import ConfigurationError
from otel_coverage.instrumentation import RUN
from otel_coverage.instrumentation.start import AWAITED, FOLDER
from otel_coverage.instrumentation.triggers import triggers
from otel_coverage.settings import ENVIRONMENT_PREFIX, Settings
from otel_coverage.source import SourceTree, working_folder


@click.command(context_settings={"ignore_unknown_options": False, "allow_interspersed_args": False})
@click.option("--source", multiple=True, metavar="WHAT", help="Package or folder of the application; repeatable.")
@click.option("--granularity", type=click.Choice(["line", "function"]), help="What to record.")
@click.option("--engine", type=click.Choice(["auto", "monitoring", "coverage"]), help="What to record with.")
@click.option("--rcfile", metavar="FILE", help="A coverage.py configuration.")
@click.argument("command_line", nargs=-1, required=True, metavar="COMMAND [ARGUMENT]...")
def command(
    source: tuple[str, ...],
    granularity: str | None,
    engine: str | None,
    rcfile: str | None,
    command_line: tuple[str, ...],
) -> None:
    """Run COMMAND with tracing switched on, and recording where OTEL_COVERAGE_ENABLED=1.

    Spans go where the standard OTEL_* variables say, by default to localhost:4317 (OTLP/gRPC). Options override the
    OTEL_COVERAGE_* variables of the same names.

    \b
    Examples:
      OTEL_COVERAGE_ENABLED=1 otel-coverage run --source shop -- gunicorn shop:app
      OTEL_COVERAGE_ENABLED=1 otel-coverage run --source shop -- rq worker
    """
    settings = Settings.load(source=source or None, granularity=granularity, engine=engine, rcfile=rcfile)
    program = shutil.which(command_line[0])
    if program is None:
        raise ConfigurationError(f"{command_line[0]}: command not found on PATH")
    check_propagators()
    if settings.enabled:
        check(settings)
    else:
        click.echo("otel-coverage: recording is off; OTEL_COVERAGE_ENABLED=1 switches it on", err=True)
    environ = {
        **os.environ,
        **{ENVIRONMENT_PREFIX + name.upper(): value for name, value in _as_environment(settings).items()},
        RUN: "1",
        AWAITED: os.pathsep.join(
            [sys.prefix, *(f"{name}={','.join(sorted(found))}" for name, found in triggers().items())]
        ),
        "PYTHONPATH": _python_path(),
    }
    os.execve(program, command_line, environ)  # noqa: S606


def check(settings: Settings) -> None:
    """Check, before the command starts, what the first traced request will need.

    Raises:
        ConfigurationError: a setting cannot be used, or the source has no Python file.
    """
    from otel_coverage.recording import open_engine
    from otel_coverage.tracing.context import current_recording
    from otel_coverage.tracing.export.provider import exporter_makers

    tree = SourceTree.of(settings)
    next(tree.files())
    engine = open_engine(
        settings.engine, settings.granularity, tree, current_recording(), named_by=settings.origin("engine")
    )
    engine.close()
    for make in exporter_makers().values():
        make.load()


def _as_environment(settings: Settings) -> dict[str, str]:
    """The settings of the command and its child processes, as variables that mean the same in any folder."""
    values = {
        "source": ",".join(_absolute(entry) for entry in settings.source or (".",)),
        "granularity": settings.granularity,
        "engine": settings.engine,
    }
    if settings.startup:
        values["startup"] = "1"
    return values if settings.rcfile is None else {**values, "rcfile": _absolute(settings.rcfile)}


def _absolute(entry: str) -> str:
    """An existing path made absolute, links in it as they are; anything else, a package's name, as it is."""
    return str(Path(working_folder(), entry)) if Path(entry).exists() else entry


def _python_path() -> str:
    """PYTHONPATH with the folder in front that starts OpenTelemetry's auto-instrumentation, in place of its own."""
    spec = find_spec("opentelemetry.instrumentation.auto_instrumentation")
    if spec is None or spec.origin is None:
        raise ConfigurationError("opentelemetry-instrumentation is not installed; pip install otel-coverage brings it")
    starting = (FOLDER, str(Path(spec.origin).parent))
    others = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path and path not in starting]
    return os.pathsep.join([FOLDER, *others])
