"""A playback run: several profiles concurrently, and the spans of the playback itself."""

from __future__ import annotations

import datetime
import functools
import socket
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

import httpx
from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider

from otel_coverage.errors import ConfigurationError, UnreachableError
from otel_coverage.playback.player import Outcome, Player
from otel_coverage.playback.profile import Profile
from otel_coverage.tracing.batching import CountingSpanProcessor
from otel_coverage.tracing.exporter import BoundedSpanExporter
from otel_coverage.tracing.provider import exporter_makers

SERVICE = "otel-coverage-playback"


@dataclass(frozen=True, slots=True)
class PlaybackTelemetry:
    """The tracer provider of the playback's own spans, with a count of those that were not delivered.

    Without these spans the run looks as if it was never played.
    """

    provider: TracerProvider
    exporters: tuple[BoundedSpanExporter, ...]

    @classmethod
    def open(cls) -> PlaybackTelemetry:
        """Set up exporters and resource from the standard ``OTEL_*`` variables.

        Raises:
            ConfigurationError: they name an exporter that is not installed.
        """
        exporters = tuple(BoundedSpanExporter(make) for make in exporter_makers().values())
        named = SERVICE_NAME in OTELResourceDetector().detect().attributes
        resource = Resource.create({} if named else {SERVICE_NAME: SERVICE})
        provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        for exporter in exporters:
            provider.add_span_processor(CountingSpanProcessor(exporter))
        return cls(provider, exporters)

    def close(self) -> int:
        """Flush and shut down.

        Returns:
            The number of ended spans that no receiver acknowledged.
        """
        self.provider.shutdown()
        return sum(exporter.counts.ended - exporter.counts.delivered for exporter in self.exporters)


def new_run_id() -> str:
    """A unique run id that begins with the current time (UTC)."""
    return f"{datetime.datetime.now(datetime.UTC):%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:6]}"


def check_base_url(text: str) -> str:
    """The base URL without a trailing slash, once a connection to it succeeded.

    Raises:
        ConfigurationError: it is not an HTTP URL.
        UnreachableError: the connection failed.
    """
    try:
        url = httpx.URL(text.rstrip("/"))
    except httpx.InvalidURL as error:
        raise ConfigurationError(f"--base-url {text!r} is not a URL: {error}") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise ConfigurationError(f"--base-url {text!r} is not an HTTP URL like http://127.0.0.1:8000")
    try:
        socket.create_connection((url.host, url.port or (443 if url.scheme == "https" else 80)), timeout=10).close()
    except (OSError, OverflowError) as error:
        raise UnreachableError(
            f"cannot connect to {text} ({error}); start the application or correct --base-url"
        ) from error
    return str(url)


def play_all(
    player: Player,
    profiles: Sequence[Profile],
    concurrency: int,
    on_step: Callable[[Profile], None] = lambda profile: None,
) -> Iterator[Outcome]:
    """Play profiles, at most ``concurrency`` at a time; yields each outcome as soon as it is known.

    When the caller stops iterating, profiles in progress stop after their current request.
    """
    with ThreadPoolExecutor(concurrency, thread_name_prefix="playback") as pool:
        running: set[Future[Outcome]] = {
            pool.submit(player.play, profile, functools.partial(on_step, profile)) for profile in profiles
        }
        try:
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        finally:
            player.stopped.set()
            for future in running:
                future.cancel()
