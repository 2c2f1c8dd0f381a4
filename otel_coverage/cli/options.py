"""Options of several commands: what is read of a store, and which source tree it is about."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

import click

from otel_coverage.revision import current_namespace

_Command = TypeVar("_Command", bound=Callable[..., Any])

store = click.option(
    "--store",
    "dsn",
    envvar="OTEL_COVERAGE_STORE",
    required=True,
    metavar="DSN",
    help="The store. [OTEL_COVERAGE_STORE]",
)
namespace = click.option(
    "--namespace",
    default=current_namespace,
    metavar="NAME",
    help="service.namespace of the services. [that in OTEL_RESOURCE_ATTRIBUTES, else empty]",
)
source = click.option(
    "--source",
    multiple=True,
    metavar="PACKAGE|FOLDER",
    help="The application's packages or folders; repeatable. [OTEL_COVERAGE_SOURCE, else `source` in pyproject.toml, "
    "else the working directory]",
)
rcfile = click.option(
    "--rcfile",
    metavar="FILE",
    help="A coverage.py configuration: source, omit, exclude_lines. [OTEL_COVERAGE_RCFILE]",
)


def schema(read: Callable[[str], object], help_text: str) -> Callable[[_Command], _Command]:
    """``--schema``, which prints a JSON Schema and ends the command.

    Args:
        read: the schema of the JSON file of a name.
        help_text: names these files.
    """

    def print_schema(context: click.Context, parameter: click.Parameter, file: str | None) -> None:
        if file is not None and not context.resilient_parsing:
            click.echo(json.dumps(read(file), indent=2, ensure_ascii=False))
            context.exit()

    return click.option(
        "--schema", metavar="FILE", is_eager=True, expose_value=False, callback=print_schema, help=help_text
    )


def services(what: str) -> Callable[[_Command], _Command]:
    """``--service``, with what is done with its coverage: ``Count``, ``Compare``."""
    return click.option(
        "--service",
        "services",
        multiple=True,
        metavar="NAME",
        help=f"{what} only the coverage of this service; may be repeated.",
    )


def runs(what: str) -> Callable[[_Command], _Command]:
    """``--run``, with what is done with it."""
    return click.option(
        "--run", "runs", multiple=True, metavar="ID", help=f"{what} only this run, or night-*; may be repeated."
    )


def profiles(what: str) -> Callable[[_Command], _Command]:
    """``--profile``, with what is done with it."""
    return click.option(
        "--profile",
        "profiles",
        multiple=True,
        metavar="SLUG",
        help=f"{what} only this profile, or shop-*; may be repeated.",
    )
