"""``otel-coverage playback headers``."""

from __future__ import annotations

import json
import shlex
from urllib.parse import quote_plus

import click

from otel_coverage.cli.playback.names import named_run
from otel_coverage.settings import Settings
from otel_coverage.tracing.context import baggage_entries
from otel_coverage.tracing.playback import Playback


@click.command
@click.argument("slug")
@click.option("--run-id", metavar="ID", help="Id of the run. [OTEL_COVERAGE_RUN_ID; else none: see below]")
@click.option(
    "--format",
    "output",
    type=click.Choice(["header", "json", "env"]),
    default="header",
    show_default=True,
    help="A header as HTTP has it, an object of headers, or a variable for a shell.",
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
    run = named_run(slug, run_id)
    entries = baggage_entries(Playback(slug, run or ""), Settings.load())
    value = ",".join(f"{name}={quote_plus(str(text))}" for name, text in entries.items())
    if output == "json":
        click.echo(json.dumps({"baggage": value}))
    elif output == "env":
        click.echo(f"export BAGGAGE={shlex.quote(value)}")
    else:
        click.echo(f"baggage: {value}")
