"""``otel-coverage playback``: replays recorded workflows, or says when another client plays one."""

from __future__ import annotations

import importlib
from typing import cast

import click

# command → its file in this folder, and its line in the help; each is imported when it is called: `playback run` needs
# no store, and the others neither what plays recordings nor what loads them
_COMMANDS = {
    "begin": ("window", "Say that another client begins to play a profile."),
    "convert": ("convert", "Make a playback recording of a HAR file."),
    "end": ("window", "Say that it has ended, and how."),
    "exec": ("window", "Run a command that plays a profile, and say when and how it went."),
    "headers": ("headers", "Print the header that names a profile, for any other client."),
    "record": ("record", "Record what you do in a browser, through a proxy on this machine."),
    "run": ("run", "Replay playback recordings."),
}


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in sorted(_COMMANDS.items())])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        file, line = _COMMANDS[cmd_name]
        try:
            module = importlib.import_module(f"otel_coverage.cli.playback.{file}")
        except ModuleNotFoundError:
            if ctx.resilient_parsing:  # shell completion also offers commands whose extra is missing
                return click.Command(cmd_name, help=line)
            raise
        return cast("click.Command", getattr(module, "execute" if cmd_name == "exec" else cmd_name))


@click.group(cls=_Commands)
def command() -> None:
    """Replay recorded workflows against a running application, or say when another client plays one.

    begin and end, or exec, separate the nights of a client that sends X-Profile-Trace and no run id.

    \b
    Examples:
      otel-coverage playback record checkout --target http://127.0.0.1:8000
      otel-coverage playback convert checkout.har
      otel-coverage playback run profiles/* --base-url http://127.0.0.1:8000
      curl -H "$(otel-coverage playback headers checkout)" http://127.0.0.1:8000/
      otel-coverage playback exec checkout --store "$STORE" -- ./play-checkout.sh
      otel-coverage playback begin checkout --store "$STORE"
      otel-coverage playback end checkout --store "$STORE" --outcome passed
    """
