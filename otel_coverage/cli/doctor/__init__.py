"""``otel-coverage doctor``."""

from __future__ import annotations

import sys

import click

from otel_coverage.cli.propagators import check_propagators
from otel_coverage.errors import OtelCoverageError, UnreachableError
from otel_coverage.settings import Settings


@click.command()
@click.option(
    "--app", "name", metavar="MODULE:NAME", help="Import this application, too, and report how it is instrumented."
)
def command(name: str | None) -> None:
    """Report what is set up here for tracing and recording, and what is not.

    Run it where the application runs: same folder, same environment; with --app also started in the same way. Exit code
    1 means that the collector does not answer, 2 that a setting cannot be used.

    \b
    Examples:
      otel-coverage doctor
      otel-coverage doctor --app shop:app                                 an application that is instrumented in code
      otel-coverage run -- otel-coverage doctor --app 'shop:create_app()' one that is started by run
    """
    check_propagators()
    from otel_coverage.cli.doctor import delivery, process
    from otel_coverage.cli.doctor.application import application

    settings = Settings.load()
    failure: OtelCoverageError | None = None
    topics = [*process.topics(settings), *delivery.topics(settings)]
    if name is not None:
        topics.append(("app", lambda: application(name, settings)))
    for topic, describe in topics:
        try:
            for line in describe():
                click.echo(f"{topic:<10} {line}")
        except OtelCoverageError as error:
            click.echo(f"{topic:<10} problem: {error}")
            failure = failure or error
    if failure is not None:
        click.echo(f"otel-coverage: {failure}", err=True)
        sys.exit(1 if isinstance(failure, UnreachableError) else failure.exit_code)
