"""A playback run: several profiles concurrently, and the spans of the playback itself."""

from __future__ import annotations

import dataclasses
import datetime
import functools
import socket
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

import httpx
from opentelemetry.sdk.resources import SERVICE_NAME, OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter

from otel_coverage.errors import ConfigurationError, UnreachableError
from otel_coverage.playback.delivery import Delivered, Delivery
from otel_coverage.playback.outcome import Outcome, StepResult
from otel_coverage.playback.player import Player
from otel_coverage.playback.profile import Profile
from otel_coverage.printable import listed
from otel_coverage.settings import Settings
from otel_coverage.spool import service
from otel_coverage.tracing.export.provider import exporter_makers

SERVICE = "otel-coverage-playback"


@dataclass(frozen=True, slots=True)
class PlaybackTelemetry:
    """The tracer provider of the playback's own spans, which are sent again until they are acknowledged.

    Without these spans the run looks as if it was never played.
    """

    provider: TracerProvider
    deliveries: tuple[Delivery, ...]

    @classmethod
    def open(cls, settings: Settings | None = None, *, may_fork: bool = False) -> PlaybackTelemetry:
        """Set up exporters and resource from the standard ``OTEL_*`` variables.

        Args:
            settings: where the spool is; None for no spool.
            may_fork: leave all spans to the spool, if there is one: a process that forks has no connection open then.

        Raises:
            ConfigurationError: they name an exporter that is not installed.
        """
        named = SERVICE_NAME in OTELResourceDetector().detect().attributes
        resource = Resource.create({} if named else {SERVICE_NAME: SERVICE})
        provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        spool = None if settings is None else functools.partial(_spool_exporter, settings, resource)
        if may_fork and spool is not None and settings is not None and service.install(settings) is not None:
            deliveries: tuple[Delivery, ...] = (Delivery(spool),)
        else:
            deliveries = tuple(Delivery(make, spool=spool) for make in exporter_makers().values())
        for delivery in deliveries:
            provider.add_span_processor(delivery)
        return cls(provider, deliveries)

    def flush(self, timeout: float) -> bool:
        """Wait, for that many seconds at most, until what has ended is acknowledged. Returns whether it is."""
        return self.provider.force_flush(int(timeout * 1000))

    def close(self, timeout: float) -> Delivered:
        """Wait for the receiver; what it has not acknowledged by then is left in the spool, if there is one.

        Args:
            timeout: seconds.
        """
        deadline = time.monotonic() + timeout
        outcome = Delivered()
        for delivery in self.deliveries:
            outcome += delivery.close(max(deadline - time.monotonic(), 0))
        self.provider.shutdown()
        return outcome


def _spool_exporter(settings: Settings, resource: Resource) -> SpanExporter:
    """What leaves spans in the spool of the client's service.

    Raises:
        RuntimeError: there is no spool.
    """
    from otel_coverage.spool.exporter import SpoolExporter  # rarely needed

    spool = service.install(settings)
    if spool is None or not spool.prepare(resource):
        raise RuntimeError("there is no spool")
    return SpoolExporter(spool)


def new_run_id() -> str:
    """A unique run id that begins with the current time (UTC)."""
    return f"{datetime.datetime.now(datetime.timezone.utc):%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:6]}"


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


def check_variables(profiles: Sequence[Profile], environment: Mapping[str, str]) -> None:
    """Check that every variable that a playback recording needs is set.

    Raises:
        ConfigurationError: some are not.
    """
    missing = {name: each.origin for each in profiles for name in each.variables() if name not in environment}
    if missing:
        one = next(iter(missing))
        raise ConfigurationError(
            f"{missing[one]}: the environment lacks {listed(sorted(missing))}: "
            f"recordings hold no passwords and no tokens, export {one}=…"
        )


def repetitions(player: Player, number: int) -> list[Player]:
    """Players of as many runs of their own: the second one's id ends in ``.2``, and so on."""
    more = [dataclasses.replace(player, run_id=f"{player.run_id}.{each}") for each in range(2, number + 1)]
    return [player, *more]


def play_all(
    plays: Sequence[tuple[Player, Profile]],
    concurrency: int,
    on_step: Callable[[Player, Profile, StepResult], None] = lambda player, profile, result: None,
) -> Iterator[Outcome]:
    """Play profiles, at most ``concurrency`` at a time; yields each outcome as soon as it is known.

    When the caller stops iterating, profiles in progress stop after their current request.
    """
    with ThreadPoolExecutor(concurrency, thread_name_prefix="playback") as pool:
        running: set[Future[Outcome]] = {
            pool.submit(player.play, profile, functools.partial(on_step, player, profile)) for player, profile in plays
        }
        try:
            while running:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        finally:
            for player, _ in plays:
                player.stopped.set()
            for future in running:
                future.cancel()
