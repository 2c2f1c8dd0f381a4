"""``otel-coverage``: the commands by name, each imported only when it is called."""

from __future__ import annotations

import importlib
import sys
from typing import cast

import click

from otel_coverage import __version__
from otel_coverage.errors import ConfigurationError, OtelCoverageError

# command → what the list of commands says of it; its module in this folder has the same name and holds ``command``
COMMANDS = {
    "catalog": "Find all functions and classes of a source tree, without running it.",
    "collect": "Receive spans and keep them in a store.",
    "demo": "Play the example application's profiles and report on them.",
    "doctor": "Say in words what is wired here and what is not.",
    "playback": "Replay recorded workflows against a running application.",
    "query": "Query the store, by a query's name or in SQL.",
    "redundancy": "Find a small set of profiles that executes what all of them execute.",
    "report": "Write the matrix, the reverse index, the gaps and the rest to files.",
    "run": "Run a command with tracing and recording switched on.",
    "schema": "Create or show the tables and views, or drop the one on the insert path.",
    "store": "Show what a store holds, and delete old revisions from it.",
}

_INTERRUPTED = 130  # what a shell reports for a command that Ctrl-C ended


class LazyGroup(click.Group):
    """Imports a command when it is needed, so that ``run`` does not pay for what ``report`` imports."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands' names, in the order of the list."""
        return sorted(COMMANDS)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name]) for name in self.list_commands(ctx)])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command."""
        if cmd_name not in COMMANDS:
            return None
        try:
            module = importlib.import_module(f"otel_coverage.cli.{cmd_name}")
        except ModuleNotFoundError:
            if ctx.resilient_parsing:  # completing a command line: of a command that lacks an extra, the name is known
                return click.Command(cmd_name, help=COMMANDS[cmd_name])
            raise
        return cast("click.Command", module.command)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="otel-coverage")
def cli() -> None:
    """Which Python functions each recorded workflow executes, inside the tracing pipeline that you already run.

    \b
    Examples:
      otel-coverage demo                                       the whole road, on an example application
      otel-coverage run -- gunicorn shop:app                   trace a web application
      otel-coverage run -- rq worker                           trace its jobs
      otel-coverage collect --store chdb:///var/lib/coverage   receive the spans
      otel-coverage report --store chdb:///var/lib/coverage --out artifacts
    """


def main() -> None:
    """Entry point of the console script: an error that the user can mend is one line on stderr, without a traceback."""
    try:
        code = cli.main(prog_name="otel-coverage", standalone_mode=False)
    except (click.ClickException, OtelCoverageError) as error:
        sys.exit(_tell(error))
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "otel_coverage":
            raise
        needed = f"the module {error.name!r}, which this command needs, is not installed"
        sys.exit(
            _tell(ConfigurationError(f"{needed}; pip install 'otel-coverage[embedded,playback,report]' brings it"))
        )
    except click.Abort:
        sys.exit(_INTERRUPTED)
    sys.exit(code if isinstance(code, int) else 0)


def _tell(error: click.ClickException | OtelCoverageError) -> int:
    """Show the error; its exit code."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
        return error.exit_code
    message = error.format_message() if isinstance(error, click.ClickException) else str(error)
    context = error.ctx if isinstance(error, click.UsageError) else None
    hint = f"; see {context.command_path} --help" if context is not None else ""
    click.echo(f"otel-coverage: {' '.join(message.split()).rstrip('.')}{hint}", err=True)
    return error.exit_code
