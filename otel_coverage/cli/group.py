"""Groups of commands."""

from __future__ import annotations

import click


class CommandGroup(click.Group):
    """Called without a command, shows its help on stderr and ends with exit code 2, whatever click's version does."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click's, but for no arguments at all."""
        if not args and not ctx.resilient_parsing:
            click.echo(ctx.get_help(), err=True, color=ctx.color)
            ctx.exit(2)
        return super().parse_args(ctx, args)
