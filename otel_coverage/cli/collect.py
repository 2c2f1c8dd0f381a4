"""``otel-coverage collect``."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable

import click

from otel_coverage.collecting import Access, Collector, Endpoint
from otel_coverage.errors import ConfigurationError
from otel_coverage.store import Dsn, open_store, retention, schema

_DEFAULT_CLICKHOUSE_ENDPOINT = "127.0.0.1:8123"


@click.command()
@click.option("--store", "dsn", required=True, envvar="OTEL_COVERAGE_STORE", help="Where to keep the spans.")
@click.option("--grpc-endpoint", default="127.0.0.1:4317", show_default=True, help="Where to listen for OTLP/gRPC.")
@click.option("--http-endpoint", default="127.0.0.1:4318", show_default=True, help="Where to listen for OTLP/HTTP.")
@click.option(
    "--clickhouse-endpoint",
    help="Where to answer as ClickHouse's HTTP interface does, over an embedded store. "
    f"[default: {_DEFAULT_CLICKHOUSE_ENDPOINT}; none where the store is a server]",
)
@click.option("--clickhouse-user", default="default", show_default=True, help="Who may ask there.")
@click.option(
    "--clickhouse-password",
    envvar="OTEL_COVERAGE_CLICKHOUSE_PASSWORD",
    default="",
    help="What they have to know. [OTEL_COVERAGE_CLICKHOUSE_PASSWORD, which other users of the machine cannot see]",
)
@click.option(
    "--allow-remote", is_flag=True, help="Listen on an address that other machines reach: who sends spans is not asked."
)
def command(
    dsn: str,
    grpc_endpoint: str,
    http_endpoint: str,
    clickhouse_endpoint: str | None,
    clickhouse_user: str,
    clickhouse_password: str,
    allow_remote: bool,
) -> None:
    """Receive spans by OTLP and keep them in a store, until SIGTERM or Ctrl-C.

    An export is acknowledged after its spans are stored. The schema is applied at the start. An embedded store belongs
    to this process while it runs; `report` and `query` ask it through this process then, and so can whatever speaks to
    ClickHouse over HTTP. There everything may be read, and nothing written but spans.

    An endpoint is host:port, port 0 for any that is free, or none.

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
    if clickhouse is not None and not clickhouse.is_loopback and not clickhouse_password:
        raise ConfigurationError(
            f"{clickhouse}: other machines reach that address; "
            "OTEL_COVERAGE_CLICKHOUSE_PASSWORD says what they have to know"
        )
    wait_for_stop = _on_stop_signals()
    access = Access(clickhouse_user, clickhouse_password)
    with Collector(grpc, http, clickhouse, access) as collector, open_store(dsn, create=True) as store:
        schema.apply(store)
        retention.keep(store)
        collector.start(store)
        for purpose, endpoint in collector.endpoints.items():
            click.echo(f"listening on {endpoint} ({purpose})")
        wait_for_stop()
        collector.stop()


def _endpoint(text: str, allow_remote: bool) -> Endpoint | None:
    if text in ("", "none"):
        return None
    endpoint = Endpoint.parse(text)
    if not endpoint.is_loopback and not allow_remote:
        raise ConfigurationError(
            f"{endpoint}: other machines reach that address, and the collector asks nobody who they are; "
            "--allow-remote if that is meant"
        )
    return endpoint


def _on_stop_signals() -> Callable[[], object]:
    """Take SIGTERM and SIGINT from now on; what is returned waits for one, or for nothing where one came meanwhile.

    The interpreter itself writes to the pipe, whichever thread the signal interrupts. A handler that set an Event could
    find the Event's own lock taken by the code that it interrupts, and wait for ever.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    return lambda: os.read(reading, 1)
