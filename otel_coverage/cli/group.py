"""Groups of commands."""

from __future__ import annotations

import click

from otel_coverage.suggestions import suggestion


class CommandGroup(click.Group):
    """Called without a command, shows its help on stderr and ends with exit code 2, whatever click's version does.

    Called with a command that it does not have, names those most like it.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click's, but for no arguments at all."""
        if not args and not ctx.resilient_parsing:
            click.echo(ctx.get_help(), err=True, color=ctx.color)
            ctx.exit(2)
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click's, with names like one that is not known."""
        if not ctx.resilient_parsing and self.get_command(ctx, args[0]) is None:
            ctx.fail(f"No such command {args[0]!r}; {suggestion(args[0], self.list_commands(ctx))}")
        return super().resolve_command(ctx, args)
