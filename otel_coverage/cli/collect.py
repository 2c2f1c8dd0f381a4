"""``otel-coverage collect``."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable

import click

from otel_coverage.collecting import Collector, Endpoint
from otel_coverage.errors import ConfigurationError
from otel_coverage.store import open_store, schema


@click.command()
@click.option("--store", "dsn", required=True, envvar="OTEL_COVERAGE_STORE", help="Where to keep the spans.")
@click.option(
    "--grpc-endpoint", default="127.0.0.1:4317", show_default=True, help="Where to listen for OTLP/gRPC; port 0: any."
)
@click.option(
    "--allow-remote", is_flag=True, help="Listen on an address that other machines reach: nobody is asked who they are."
)
def command(dsn: str, grpc_endpoint: str, allow_remote: bool) -> None:
    """Receive spans by OTLP/gRPC and keep them in a store, until SIGTERM or Ctrl-C.

    An export is acknowledged after its spans are stored. The schema is applied at the start. An embedded store belongs
    to this process while it runs.

    \b
    Examples:
      otel-coverage collect --store chdb:///var/lib/coverage
      otel-coverage collect --store clickhouse://user:password@host:8123/otel --grpc-endpoint 127.0.0.1:14317
    """
    logging.basicConfig(format="otel-coverage: %(message)s")
    endpoint = Endpoint.parse(grpc_endpoint)
    if not endpoint.is_loopback and not allow_remote:
        raise ConfigurationError(
            f"{endpoint}: other machines reach that address, and the collector asks nobody who they are; "
            "--allow-remote if that is meant"
        )
    wait_for_stop = _on_stop_signals()
    with Collector(endpoint) as collector, open_store(dsn, create=True) as store:
        schema.apply(store)
        collector.start(store)
        click.echo(f"listening on {collector.endpoint} (OTLP/gRPC)")
        wait_for_stop()
        collector.stop()


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
