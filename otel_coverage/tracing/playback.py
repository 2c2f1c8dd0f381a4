"""The playback that traced work belongs to, and the signature that lets it be named where a token is set."""

from __future__ import annotations

import functools
import hashlib
import hmac
import re
import time
from typing import NamedTuple

# baggage entries; the first two are span attributes, too
PROFILE = "playback.profile"
RUN_ID = "playback.run_id"
SIGNATURE = "playback.sig"

PREFIX = "playback."

TRACED_HEADER = "X-Profile-Traced"
"""Of the response to a traced request: its profile, so that the client knows that it is recorded."""

SIGNATURE_HOURS = 24
"""How long a signature holds: this long at least, and an hour more at most."""

_SIGNATURE = re.compile(r"([0-9]{1,12})\.([0-9a-f]{64})")


class Playback(NamedTuple):
    """A profile that is being played.

    Attributes:
        profile: the profile's slug, see :func:`~otel_coverage.slug.is_slug`.
        run_id: of the run that it is part of; empty where neither request nor settings name one.
    """

    profile: str
    run_id: str = ""


STARTUP = Playback("_startup")
"""What runs before the first request or job belongs to; not a slug, so that no request can name it.

So do the spans of role :data:`ROUTES`: a collector that keeps only what names a profile keeps them.
"""

ROUTES = "routes"
"""The name and the ``coverage.role`` of spans that report what may be asked of a service."""


def sign(token: str, profile: str, run_id: str, now: float | None = None) -> str:
    """What travels in the baggage instead of the token: ``<expiry>.<mac>``; valid for one profile and run until then.

    The expiry is in seconds since the epoch, on the full hour, so that what is signed within an hour has one signature.
    The MAC is HMAC-SHA256, hexadecimal, of profile, newline, run id, newline, expiry.

    Args:
        token: the key.
        profile: the profile's slug.
        run_id: of the run; may be empty.
        now: seconds since the epoch; None for the clock's.
    """
    hour = int(time.time() if now is None else now) // 3600
    expiry = str((hour + 1 + SIGNATURE_HOURS) * 3600)
    return f"{expiry}.{_mac(token, profile, run_id, expiry)}"


def verify(token: str, profile: str, run_id: str, signature: str, now: float | None = None) -> bool:
    """Whether ``signature`` was made with ``token`` for this profile and run, and still holds."""
    matched = _SIGNATURE.fullmatch(signature)
    if matched is None:
        return False
    expiry, mac = matched.groups()
    is_genuine = hmac.compare_digest(_mac(token, profile, run_id, expiry), mac)
    return is_genuine and (time.time() if now is None else now) < int(expiry)


@functools.lru_cache(maxsize=256)  # each span of a request needs the same one
def _mac(token: str, profile: str, run_id: str, expiry: str) -> str:
    return hmac.new(token.encode(), f"{profile}\n{run_id}\n{expiry}".encode(), hashlib.sha256).hexdigest()


def is_token(token: str, presented: str) -> bool:
    """Whether a header's value, as WSGI has it (bytes decoded as Latin-1), equals the token."""
    return hmac.compare_digest(token.encode(), presented.encode("latin-1", "replace"))
