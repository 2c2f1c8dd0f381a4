"""``otel-coverage playback headers``."""

from __future__ import annotations

import shlex

import click

from otel_coverage.cli.playback.names import named_run, variables_of


@click.command
@click.argument("slug")
@click.option("--run-id", metavar="ID", help="Id of the run. [OTEL_COVERAGE_RUN_ID; else none: see below]")
@click.option(
    "--format",
    "output",
    type=click.Choice(["header", "json", "env"]),
    default="header",
    show_default=True,
    help="A header as HTTP has it, an object of headers, or variables for a shell, as `playback exec` sets them.",
)
def headers(slug: str, run_id: str | None, output: str) -> None:
    """Print the header by which requests of any client belong to the profile SLUG.

    It is OpenTelemetry's baggage: `baggage: playback.profile=SLUG,playback.run_id=ID`. With OTEL_COVERAGE_TOKEN set
    here, as it is for the application, it is signed, for 24 hours and for that profile and run alone.

    Without a run id, requests belong to the run whose window they fall into (`playback begin`, `playback end`). Name
    one where profiles are played at the same time. Only `playback run` says how many requests are to arrive: of other
    clients' requests, one that never arrived is not missed.

    \b
    Examples:
      curl -H "$(otel-coverage playback headers checkout --run-id night-7)" http://127.0.0.1:8000/
      eval "$(otel-coverage playback headers checkout --format env)" && ./play-checkout.sh
      otel-coverage playback headers checkout --format json    # for Playwright's extraHTTPHeaders
    """
    variables = variables_of(slug, named_run(slug, run_id))
    if output == "json":
        click.echo(variables["PLAYBACK_HEADERS"])
    elif output == "env":
        for name, value in variables.items():
            click.echo(f"export {name}={shlex.quote(value)}")
    else:
        click.echo(variables["PLAYBACK_HEADER"])
