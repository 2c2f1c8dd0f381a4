"""``otel-coverage collect``: the embedded collector as a command."""

from __future__ import annotations

import logging
import os
import shutil
import stat
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from otel_coverage.cli.stopping import on_stop_signals
from otel_coverage.cli.stores import open_store
from otel_coverage.collecting import Access, Collector, Endpoint
from otel_coverage.collecting.allocator import return_large_blocks
from otel_coverage.collecting.collector import check_can_serve
from otel_coverage.collecting.log import Log
from otel_coverage.collecting.log.log import MAX_BYTES, RESERVE_BYTES
from otel_coverage.collecting.receiver import Receiver
from otel_coverage.errors import ConfigurationError, StoreError
from otel_coverage.printable import counted
from otel_coverage.reporting.serving import DEFAULT_ENDPOINT
from otel_coverage.revision import current_namespace
from otel_coverage.store import Dsn, Store, parts, retention, schema
from otel_coverage.store.log_folder import log_folder
from otel_coverage.store.secret import FILE_NAME

if TYPE_CHECKING:
    from otel_coverage.reporting.serving.server import PageServer

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
    "--log",
    "log_path",
    envvar="OTEL_COVERAGE_LOG",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where the store is a server: folder for what is accepted until it has it. [OTEL_COVERAGE_LOG; default: below "
    "~/.local/state/otel-coverage/log. That of an embedded store is in its own folder]",
)
@click.option(
    "--log-bytes",
    type=click.IntRange(min=1),
    default=MAX_BYTES,
    show_default=True,
    help="Size of that folder, in bytes; when it is full, exports get a retryable answer.",
)
@click.option(
    "--reserve-bytes",
    type=click.IntRange(min=0),
    default=RESERVE_BYTES,
    show_default=True,
    help="Free disk space below which nothing is accepted, in bytes; exports get a retryable answer.",
)
@click.option(
    "--serve",
    is_flag=False,
    flag_value=DEFAULT_ENDPOINT,
    metavar="[HOST:PORT]",
    help=f"Also serve the report's page on this machine, as `report --serve` does. [{DEFAULT_ENDPOINT}]",
)
@click.option("--drain", is_flag=True, help="Insert what the log holds, then stop; listen nowhere.")
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
    log_path: Path | None,
    log_bytes: int,
    reserve_bytes: int,
    serve: str | None,
    drain: bool,
    allow_remote: bool,
) -> None:
    """Receive spans by OTLP and write them to a store, until SIGTERM or Ctrl-C.

    The schema is applied at startup. An export is acknowledged when it is on disk, in a log; the store gets it from
    there within seconds, also after this process was killed. What arrives twice is inserted once.

    An embedded store is locked by this process while it runs; `report`, `query` and other ClickHouse clients read it
    through this process, over HTTP, and wait until the store has what was acknowledged. That interface is read-only,
    except for inserts of spans and catalogs, and asks for a password; `report` and `query` find it.

    An endpoint is host:port (port 0 for any free one), or none to disable it.

    \b
    Examples:
      otel-coverage collect --store chdb:///var/lib/coverage
      otel-coverage collect --store clickhouse://user:password@host:8123/otel --grpc-endpoint 127.0.0.1:14317
      otel-coverage collect --store chdb:///var/lib/coverage --serve       and show the report, as spans arrive
      otel-coverage collect --store chdb:///var/lib/coverage --drain      insert what a killed one had accepted
    """
    logging.basicConfig(format="otel-coverage: %(message)s")
    if drain:
        grpc_endpoint = http_endpoint = clickhouse_endpoint = "none"
        serve = None
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
    elif serve and Dsn.parse(dsn).kind == "chdb":
        raise ConfigurationError(
            "--serve reads an embedded store through its ClickHouse endpoint; leave out --clickhouse-endpoint none"
        )
    return_large_blocks()
    os.umask(0o077)  # the engine's files are the store's owner's alone
    wait_for_stop = on_stop_signals()
    access = Access(clickhouse_user, clickhouse_password)
    if log_path is not None and Dsn.parse(dsn).kind == "chdb":
        raise ConfigurationError(f"--log {log_path}: an embedded store has its log in its own folder; leave out --log")
    log_path = log_path or log_folder(Dsn.parse(dsn))
    _check_has_room(Path(Dsn.parse(dsn).path or log_path), reserve_bytes)
    with (
        _page(serve) as page,
        Collector(grpc, http, clickhouse, access) as collector,
        open_store(dsn, create=True) as store,
    ):
        _check_is_private(store.dsn)
        schema.apply(store)
        retention.keep(store)
        parts.sync_parts(store)
        for part in parts.detached_parts(store):
            logging.warning("%s", part)
        collector.start(store, Log(log_path, max_bytes=log_bytes, reserve_bytes=reserve_bytes))
        store.answers()
        if drain:
            collector.receiver.drain()
        else:
            if page is not None:
                page.start(dsn)
            _serve(collector, store, page, clickhouse_user if clickhouse_password is None and clickhouse else "")
            click.echo(f"{wait_for_stop()}: stopping, after the requests in progress")
            if page is not None:
                page.stop()
        collector.stop()
        _say_what_became_of_spans(collector.receiver, log_path)


def _page(endpoint: str | None) -> AbstractContextManager[PageServer | None]:
    """The server of the report's page, bound; None where it is not served."""
    if not endpoint or endpoint == "none":
        return nullcontext()
    from otel_coverage.cli.page import checked_links, page_server  # it needs what reports need
    from otel_coverage.reporting.request import ReportRequest

    urls = (os.environ.get(f"OTEL_COVERAGE_{what}_URL", "") for what in ("TRACE", "SOURCE"))
    return page_server(endpoint, ReportRequest(namespace=current_namespace(), links=checked_links(*urls)))


def _serve(collector: Collector, store: Store, page: PageServer | None, user: str) -> None:
    for purpose, endpoint in collector.endpoints.items():
        click.echo(f"listening on {endpoint} ({purpose})")
    if user:
        click.echo(f"ClickHouse clients: user {user}, password in {Path(store.dsn.path, FILE_NAME)}")
    if page is not None:
        from otel_coverage.cli.page import say_where

        say_where(page)
    click.echo(f"ready; writing to {store.dsn} until Ctrl-C or SIGTERM")


def _say_what_became_of_spans(receiver: Receiver, log: Path) -> None:
    counts = receiver.counts
    said = [
        f"stopped; stored {counted(counts.inserted, 'span')}",
        f"{counts.repeated} had arrived before" if counts.repeated else "",
        f"{counts.conflicting} of them have the id of another span" if counts.conflicting else "",
        f"set aside {counts.set_aside} that cannot be inserted" if counts.set_aside else "",
        f"{counts.lost} accepted exports are damaged" if counts.lost else "",
        f"refused {receiver.refused} for lack of room" if receiver.refused else "",
    ]
    click.echo(", ".join(part for part in said if part))
    if receiver.behind:
        left = f"{receiver.behind} accepted exports stay in {log} until the next collector or report inserts them"
        if receiver.error:
            raise StoreError(f"{left}: {receiver.error}")
        click.echo(left)


def _check_has_room(folder: Path, reserve: int) -> None:
    """The engine ends in several lines where it has no room to start."""
    there = folder
    while not there.exists():
        there = there.parent
    free = shutil.disk_usage(there).free
    if free < reserve:
        raise StoreError(
            f"{folder}: {free} bytes are free on its disk, fewer than the {reserve} kept free; make room, or set "
            "--reserve-bytes"
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
