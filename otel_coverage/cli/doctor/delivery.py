"""Where spans of this environment go, and whether they are taken there."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from otel_coverage.errors import ConfigurationError, UnreachableError
from otel_coverage.printable import counted
from otel_coverage.settings import Settings
from otel_coverage.spool.folder import spool_folder
from otel_coverage.spool.receiver import is_otlp
from otel_coverage.spool.spool_file import is_supported
from otel_coverage.spool.status import SpoolStatus
from otel_coverage.tracing.export.exporter import MESSAGE_BYTES
from otel_coverage.tracing.export.provider import exporter_makers
from otel_coverage.tracing.processor import SPAN_BYTES

_PATIENCE = 3.0  # seconds


def topics(settings: Settings) -> list[tuple[str, Callable[[], Iterator[str]]]]:
    """Each topic by its name, and what yields its lines, or raises an ``OtelCoverageError``."""
    found: list[tuple[str, Callable[[], Iterator[str]]]] = [("service", _service), ("collector", _collector)]
    dsn = os.environ.get("OTEL_COVERAGE_STORE")
    if dsn:
        found.append(("store", lambda: store(dsn)))
    return [*found, ("spool", lambda: _spool(settings))]


def _service() -> Iterator[str]:
    if os.environ.get("OTEL_SERVICE_NAME") or "service.name" in os.environ.get("OTEL_RESOURCE_ATTRIBUTES", ""):
        yield os.environ.get("OTEL_SERVICE_NAME") or "set by OTEL_RESOURCE_ATTRIBUTES"
    else:
        yield "no service name: set OTEL_SERVICE_NAME"
    yield (
        f"on a tracer provider of your own, set OTEL_BSP_MAX_EXPORT_BATCH_SIZE={MESSAGE_BYTES // SPAN_BYTES}: "
        "receivers accept messages up to 4 MiB (the provider of otel-coverage limits them itself)"
    )


def _collector() -> Iterator[str]:
    makers = exporter_makers()
    if not makers:
        yield "OTEL_TRACES_EXPORTER=none: no span is exported"
    for name, make in makers.items():
        if name == "console":
            yield "spans are printed to the console"
            continue
        endpoint = (
            os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
            or os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT")
            or f"http://localhost:{4318 if name == 'otlp_proto_http' else 4317}"
        )
        if not (_listens(endpoint) and _answers(make)):
            raise UnreachableError(
                f"{endpoint} does not answer ({name}): start a collector there, or set "
                "OTEL_EXPORTER_OTLP_ENDPOINT to the address of one"
            )
        yield f"{endpoint} answers ({name})"


def store(dsn: str) -> Iterator[str]:
    """Whether the store has what was accepted for it; :mod:`otel_coverage.store` comes with an extra."""
    from otel_coverage.cli.stores import open_store
    from otel_coverage.store import batches, parts

    with open_store(dsn, read_only=True) as store:
        yield f"{store.dsn} answers"
        for part in parts.detached_parts(store):
            yield f"problem: {part}"
        unfinished = batches.unfinished(store)
        if unfinished:
            spans = sum(len(batch.keys) for batch in unfinished)
            was = counted(
                spans,
                "span was not found whole after it was inserted",
                "spans were not found whole after they were inserted",
            )
            yield f"problem: {was}; the collector's log says why"


def _spool(settings: Settings) -> Iterator[str]:
    folder = spool_folder(settings) if is_supported() else None
    if not is_otlp():
        yield "none: OTEL_TRACES_EXPORTER names no exporter of OTLP"
    elif folder is None:
        yield (
            "off: spans are sent by each process itself, over gRPC, which does not survive every fork; what the "
            "collector has not accepted when a process ends is lost"
        )
    elif not folder.is_dir():
        yield f"{folder}: nothing was ever kept there"
    else:
        yield from _spool_status(SpoolStatus.of(folder))


def _spool_status(status: SpoolStatus) -> Iterator[str]:
    since = f" since {status.oldest:%Y-%m-%d %H:%M:%S} UTC" if status.oldest is not None else ""
    size = f"({counted(status.bytes, 'byte')})"
    yield f"{status.folder}: {counted(status.spans, f'span {size} waits', f'spans {size} wait')}{since}"
    if status.sender is not None:
        yield f"process {status.sender} sends them to {status.endpoint}"
    elif status.spans:
        yield "no process sends them: the next process of the service starts one, or otel-coverage spool flush sends"
    if status.error:
        yield f"the last attempt failed: {status.error}"
    if status.refused:
        yield counted(
            status.refused,
            "span was refused by the collector and is kept aside",
            "spans were refused by the collector and are kept aside",
        )
    if status.damaged_bytes:
        yield f"{counted(status.damaged_bytes, 'byte')} cannot be read"


def _listens(endpoint: str) -> bool:
    """Whether something listens there. Asked first, since an exporter retries until its timeout."""
    parts = urlsplit(endpoint if "//" in endpoint else f"//{endpoint}")
    try:
        if parts.port is None:
            return True  # the exporter has a default
        with socket.create_connection((parts.hostname or "localhost", parts.port), _PATIENCE):
            return True
    except ValueError as error:
        raise ConfigurationError(f"OTEL_EXPORTER_OTLP_ENDPOINT: {endpoint}: {error}") from error
    except OSError:
        return False


def _answers(make: Callable[..., SpanExporter]) -> bool:
    """Whether an export without spans succeeds, over the connection that the environment configures."""
    sdk_logger = logging.getLogger("opentelemetry")
    level = sdk_logger.level
    sdk_logger.setLevel(logging.CRITICAL)
    try:
        exporter = make(timeout=_PATIENCE)
        accepted = exporter.export([]) is SpanExportResult.SUCCESS
        exporter.shutdown()
    except Exception as error:
        raise ConfigurationError(f"OTEL_EXPORTER_OTLP_*: {error}") from error
    finally:
        sdk_logger.setLevel(level)
    return accepted
