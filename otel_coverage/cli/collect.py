"""``otel-coverage collect``: the embedded collector as a command."""

from __future__ import annotations

import logging
import os
import signal
import stat
from collections.abc import Callable
from pathlib import Path

import click

from otel_coverage.collecting import Access, Collector, Endpoint
from otel_coverage.collecting.collector import check_can_serve
from otel_coverage.errors import ConfigurationError
from otel_coverage.store import Dsn, open_store, retention, schema
from otel_coverage.store.secret import FILE_NAME

_DEFAULT_CLICKHOUSE_ENDPOINT = "127.0.0.1:8123"


@click.command()
@click.option(
    "--store",
    "dsn",
    required=True,
    envvar="OTEL_COVERAGE_STORE",
    help="The store for the spans. [OTEL_COVERAGE_STORE]",
    metavar="DSN",
)
@click.option(
    "--grpc-endpoint",
    default="127.0.0.1:4317",
    show_default=True,
    metavar="HOST:PORT",
    help="Where to listen for OTLP/gRPC.",
)
@click.option(
    "--http-endpoint",
    default="127.0.0.1:4318",
    show_default=True,
    metavar="HOST:PORT",
    help="Where to listen for OTLP/HTTP.",
)
@click.option(
    "--clickhouse-endpoint",
    metavar="HOST:PORT",
    help="Where to serve ClickHouse's HTTP interface to an embedded store. "
    f"[default: {_DEFAULT_CLICKHOUSE_ENDPOINT}; none where the store is a server]",
)
@click.option("--clickhouse-user", default="default", show_default=True, help="User name for the ClickHouse endpoint.")
@click.option(
    "--clickhouse-password",
    envvar="OTEL_COVERAGE_CLICKHOUSE_PASSWORD",
    help="That user's password; '' for none. [OTEL_COVERAGE_CLICKHOUSE_PASSWORD, and prefer it: options are visible to "
    f"other users. Default: a secret in the store's folder, {FILE_NAME}]",
)
@click.option(
    "--clickhouse-password-file",
    envvar="OTEL_COVERAGE_CLICKHOUSE_PASSWORD_FILE",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Read the password from the first line of this file. [OTEL_COVERAGE_CLICKHOUSE_PASSWORD_FILE]",
)
@click.option(
    "--allow-remote",
    is_flag=True,
    help="Allow addresses that other machines can reach. OTLP has no authentication here.",
)
def command(
    dsn: str,
    grpc_endpoint: str,
    http_endpoint: str,
    clickhouse_endpoint: str | None,
    clickhouse_user: str,
    clickhouse_password: str | None,
    clickhouse_password_file: Path | None,
    allow_remote: bool,
) -> None:
    """Receive spans by OTLP and write them to a store, until SIGTERM or Ctrl-C.

    The schema is applied at startup. An export is acknowledged after its spans are stored. An embedded store is locked
    by this process while it runs; `report`, `query` and other ClickHouse clients read it through this process, over
    HTTP. That interface is read-only, except for inserts of spans and catalogs, and asks for a password; `report` and
    `query` find it.

    An endpoint is host:port (port 0 for any free one), or none to disable it.

    \b
    Examples:
      otel-coverage collect --store chdb:///var/lib/coverage
      otel-coverage collect --store clickhouse://user:password@host:8123/otel --grpc-endpoint 127.0.0.1:14317
    """
    logging.basicConfig(format="otel-coverage: %(message)s")
    if clickhouse_endpoint is None:
        clickhouse_endpoint = _DEFAULT_CLICKHOUSE_ENDPOINT if Dsn.parse(dsn).kind == "chdb" else "none"
    grpc, http = _endpoint(grpc_endpoint, allow_remote), _endpoint(http_endpoint, allow_remote)
    clickhouse = _endpoint(clickhouse_endpoint, allow_remote)
    if clickhouse_password_file is not None:
        if clickhouse_password is not None:
            raise ConfigurationError("--clickhouse-password and --clickhouse-password-file are both set; keep one")
        clickhouse_password = _first_line(clickhouse_password_file)
    if clickhouse is not None and not clickhouse.is_loopback and clickhouse_password == "":
        raise ConfigurationError(
            f"--clickhouse-endpoint {clickhouse} is reachable from other machines; "
            "set a password in OTEL_COVERAGE_CLICKHOUSE_PASSWORD, or leave out the empty --clickhouse-password"
        )
    if clickhouse is not None:
        check_can_serve(Dsn.parse(dsn))
    os.umask(0o077)  # the engine's files are the store's owner's alone
    wait_for_stop = _on_stop_signals()
    access = Access(clickhouse_user, clickhouse_password)
    with Collector(grpc, http, clickhouse, access) as collector, open_store(dsn, create=True) as store:
        _check_is_private(store.dsn)
        schema.apply(store)
        retention.keep(store)
        collector.start(store)
        for purpose, endpoint in collector.endpoints.items():
            click.echo(f"listening on {endpoint} ({purpose})")
        if clickhouse is not None and clickhouse_password is None:
            click.echo(f"ClickHouse clients: user {clickhouse_user}, password in {Path(store.dsn.path, FILE_NAME)}")
        click.echo(f"ready; writing to {store.dsn} until Ctrl-C or SIGTERM")
        click.echo(f"{wait_for_stop()}: stopping, after the requests in progress")
        collector.stop()
        stored, failed = collector.counts
        click.echo(
            f"stopped; stored {stored} spans" + (f", refused {failed} that could not be stored" if failed else "")
        )


def _check_is_private(store: Dsn) -> None:
    """Say so where other users may look into the folder of an embedded store; one that we made is its owner's alone."""
    mode = stat.S_IMODE(os.stat(store.path).st_mode) if store.kind == "chdb" else 0
    if mode & 0o077:
        logging.warning("%s: other users may enter the folder (mode %o); chmod 700 makes it private", store.path, mode)


def _first_line(file: Path) -> str:
    try:
        password = file.read_text(encoding="utf-8").partition("\n")[0].rstrip("\r")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"--clickhouse-password-file {file}: cannot be read: {error}") from error
    if not password:
        raise ConfigurationError(f"--clickhouse-password-file {file}: its first line is empty, a password was expected")
    return password


def _endpoint(text: str, allow_remote: bool) -> Endpoint | None:
    if text in ("", "none"):
        return None
    endpoint = Endpoint.parse(text)
    if not endpoint.is_loopback and not allow_remote:
        raise ConfigurationError(
            f"endpoint {endpoint} is reachable from other machines, and OTLP has no authentication here; "
            "use a loopback address, or add --allow-remote"
        )
    return endpoint


def _on_stop_signals() -> Callable[[], str]:
    """Handle SIGTERM and SIGINT from now on.

    The interpreter itself writes to the pipe, whichever thread the signal interrupts. A handler that sets an Event can
    deadlock: the interrupted code may hold the Event's lock.

    Returns:
        A function that blocks until one of the signals has arrived, and returns its name.
    """
    read_end, write_end = os.pipe()
    os.set_blocking(write_end, False)
    signal.set_wakeup_fd(write_end)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    return lambda: signal.Signals(os.read(read_end, 1)[0]).name
