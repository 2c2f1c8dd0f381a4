"""The served page of a report: ``report --serve``, and ``collect --serve``."""

from __future__ import annotations

import logging
import os
import re
import sys
import threading
import webbrowser

import click

from otel_coverage.cli.stopping import on_stop_signals
from otel_coverage.collecting.servers import Endpoint
from otel_coverage.errors import ConfigurationError
from otel_coverage.reporting.page.bundle import bundle
from otel_coverage.reporting.page.page import Links
from otel_coverage.reporting.request import ReportRequest
from otel_coverage.reporting.selection import moment
from otel_coverage.reporting.serving.server import PageServer


def checked_links(trace_url: str, source_url: str) -> Links:
    """Where the page leads to.

    Raises:
        ConfigurationError: one is not an address of http or https with its placeholder in it.
    """
    for option, url, placeholder in (("--trace-url", trace_url, "{trace}"), ("--source-url", source_url, "{file}")):
        if url and (not re.match("https?://", url) or placeholder not in url):
            raise ConfigurationError(f"{option} {url}: expected an address of http or https with {placeholder} in it")
    return Links(trace_url, source_url)


def page_server(endpoint: str, request: ReportRequest) -> PageServer:
    """A server that is bound to an endpoint of this machine.

    Raises:
        ConfigurationError: other machines could reach it, or it cannot be bound.
    """
    where = Endpoint.parse(endpoint)
    if not where.is_loopback:
        raise ConfigurationError(
            f"--serve {where} is reachable from other machines, and what it serves is not encrypted; use a loopback "
            f"address, and reach it from elsewhere through ssh -L {where.port or 8321}:127.0.0.1:{where.port or 8321}"
        )
    if request.since:
        moment(request.since)
    return PageServer(where, request)


def serve_page(dsn: str, endpoint: str, request: ReportRequest, *, opens: bool) -> None:
    """Serve the page of a store until SIGTERM or Ctrl-C.

    Args:
        dsn: the store's address.
        endpoint: ``host:port``.
        request: what the report is about.
        opens: whether to open it in the browser.

    Raises:
        OtelCoverageError: the endpoint cannot be bound, or the store cannot be opened.
    """
    logging.basicConfig(format="otel-coverage: %(message)s")
    server = page_server(endpoint, request)
    try:
        server.start(dsn)
        wait_for_stop = on_stop_signals()
        say_where(server)
        click.echo("ready; reads the store while the page is open; until Ctrl-C or SIGTERM")
        if opens:  # which may take as long as the browser runs
            threading.Thread(target=webbrowser.open, args=(server.url,), daemon=True).start()
        click.echo(f"{wait_for_stop()}: stopped")
    finally:
        has_ended = server.stop()
    if not has_ended:  # a query in progress: nobody waits for its answer
        sys.stdout.flush()
        os._exit(0)


def say_where(server: PageServer) -> None:
    """Print the address of the page, with the token that it needs."""
    click.echo(f"the report: {server.url}")
    if bundle() is None:
        click.echo("the page is not built in this checkout: run `make page`; its data are served", err=True)
