"""Many profiles, several at a time."""

from __future__ import annotations

import datetime
import functools
import socket
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

import httpx

from otel_coverage.errors import ConfigurationError, UnreachableError
from otel_coverage.playback.outcome import Outcome
from otel_coverage.playback.player import Player
from otel_coverage.playback.profile import Profile


def fresh_run_id() -> str:
    """A name for a run: when it began, and something that no other run has."""
    return f"{datetime.datetime.now(datetime.UTC):%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:6]}"


def checked_base_url(text: str) -> str:
    """The application's address without a slash at its end, once somebody answers there.

    Raises:
        ConfigurationError: it is no HTTP address.
        UnreachableError: nobody answers.
    """
    try:
        url = httpx.URL(text.rstrip("/"))
    except httpx.InvalidURL as error:
        raise ConfigurationError(f"base URL {text!r}: {error}") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise ConfigurationError(f"base URL {text!r}: an address like http://127.0.0.1:8000 is wanted")
    try:
        socket.create_connection((url.host, url.port or (443 if url.scheme == "https" else 80)), timeout=10).close()
    except (OSError, OverflowError) as error:
        raise UnreachableError(
            f"{text}: nobody answers ({error}); start the application, or mend --base-url"
        ) from error
    return str(url)


def play_all(
    player: Player,
    profiles: Sequence[Profile],
    concurrency: int,
    on_step: Callable[[Profile], None] = lambda profile: None,
) -> Iterator[Outcome]:
    """Play the profiles, at most ``concurrency`` of them at a time; outcomes come as they are known.

    When the caller stops asking, what is being played ends after the request that is on its way.
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
