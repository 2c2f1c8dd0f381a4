"""``otel-coverage``: the group of commands, each imported when it is called."""

from __future__ import annotations

import importlib
import sys
from typing import cast

import click

from otel_coverage import __version__
from otel_coverage.cli.group import CommandGroup
from otel_coverage.errors import ConfigurationError, Interrupted, OtelCoverageError
from otel_coverage.printable import printable

# command → its line in the help; the module of the same name in this folder defines ``command``
COMMANDS = {
    "catalog": "Find all functions and classes of a source tree, without running it.",
    "ci": "Write nightly and pull-request workflows.",
    "collect": "Receive spans and write them to a store.",
    "demo": "Play the example application's profiles and report on them.",
    "diff": "Show what profiles execute at one revision and not at another.",
    "doctor": "Show what is instrumented in this environment, and what is missing.",
    "gate": "Check coverage, losses, overhead or artifacts against limits.",
    "impacted": "Name the profiles to replay for a change, and why.",
    "overhead": "Measure what tracing costs, and write perf-baseline.json for the gate.",
    "playback": "Replay recorded workflows, or say when another client plays one.",
    "query": "Query the store, by a query's name or in SQL.",
    "redundancy": "Find a small set of profiles that executes what all of them execute.",
    "report": "Write the matrix, the reverse index, the gaps and the rest to files.",
    "run": "Run a command with tracing and recording.",
    "schema": "Create or show the tables and views, or detach them from inserts.",
    "spool": "Show and send the spans that wait in files.",
    "store": "Show the size of a store, export and import it, take out runs and old revisions.",
    "verify": "Check that all of a run arrived, and say what is missing.",
}


class LazyGroup(CommandGroup):
    """Imports a command when it is called, so that ``run`` does not load what ``report`` needs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the commands, sorted."""
        return sorted(COMMANDS)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name]) for name in self.list_commands(ctx)])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command."""
        if cmd_name not in COMMANDS:
            return None
        try:
            module = importlib.import_module(f"otel_coverage.cli.{cmd_name}")
        except ModuleNotFoundError:
            if ctx.resilient_parsing:  # shell completion also offers commands whose extra is missing
                return click.Command(cmd_name, help=COMMANDS[cmd_name])
            raise
        return cast("click.Command", module.command)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="otel-coverage")
def cli() -> None:
    """Show which Python functions each recorded workflow executes, through your OpenTelemetry pipeline.

    \b
    Examples:
      otel-coverage demo                                       try everything on an example application
      otel-coverage run -- gunicorn shop:app                   trace and record a web application
      otel-coverage run -- rq worker                           trace and record its jobs
      otel-coverage collect --store chdb:///var/lib/coverage   receive the spans, without another collector
      otel-coverage report --store chdb:///var/lib/coverage --out artifacts
    """


def main() -> None:
    """Entry point of the console script. Errors that a user can fix are one line on stderr, without a traceback."""
    try:
        code = cli.main(prog_name="otel-coverage", standalone_mode=False)
    except (click.ClickException, OtelCoverageError) as error:
        sys.exit(_print_error(error))
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "otel_coverage":
            raise
        message = f"this command needs the module {error.name!r}, which is not installed"
        install = "pip install 'otel-coverage[ci,embedded,playback,record,report]'"
        sys.exit(_print_error(ConfigurationError(f"{message}; run {install}")))
    except click.Abort:
        sys.exit(_print_error(Interrupted()))
    sys.exit(code if isinstance(code, int) else 0)


def _print_error(error: click.ClickException | OtelCoverageError) -> int:
    """Print an error; returns its exit code."""
    message = error.format_message() if isinstance(error, click.ClickException) else str(error)
    if isinstance(error, click.MissingParameter) and error.param is not None and isinstance(error.param.envvar, str):
        message = f"{message.rstrip('.')}, and {error.param.envvar} is not set"
    context = error.ctx if isinstance(error, click.UsageError) else None
    hint = f"; see {context.command_path} --help" if context is not None else ""
    click.echo(f"otel-coverage: {printable(' '.join(message.split())).rstrip('.')}{hint}", err=True)
    return error.exit_code
