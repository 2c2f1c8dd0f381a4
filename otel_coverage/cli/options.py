"""Options that choose what a command reads of a store, with the same names and meanings for each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

_Command = TypeVar("_Command", bound=Callable[..., Any])

store = click.option(
    "--store", "dsn", envvar="OTEL_COVERAGE_STORE", required=True, metavar="DSN", help="[OTEL_COVERAGE_STORE]"
)
namespace = click.option(
    "--namespace", metavar="NAME", help="[OTEL_RESOURCE_ATTRIBUTES' service.namespace, else empty]"
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
