"""The playback that traced work belongs to, and the signature that lets it be named where a token is set."""

from __future__ import annotations

import functools
import hashlib
import hmac
from dataclasses import dataclass

# baggage entries; the first two are span attributes, too
PROFILE = "playback.profile"
RUN_ID = "playback.run_id"
SIGNATURE = "playback.sig"

PREFIX = "playback."


@dataclass(frozen=True, slots=True)
class Playback:
    """A profile that is being played.

    Attributes:
        profile: the profile's slug, see :func:`~otel_coverage.slug.is_slug`.
        run_id: of the run that it is part of; empty where neither request nor settings name one.
    """

    profile: str
    run_id: str = ""


def sign(token: str, profile: str, run_id: str) -> str:
    """The HMAC-SHA256, hexadecimal, that travels in the baggage instead of the token; valid for one profile and run."""
    message = f"{profile}\n{run_id}".encode()
    return hmac.new(token.encode(), message, hashlib.sha256).hexdigest()


_signed = functools.lru_cache(maxsize=256)(sign)  # each span of a request needs the same one


def verify(token: str, profile: str, run_id: str, signature: str) -> bool:
    """Whether ``signature`` was made with ``token`` for this profile and run."""
    return hmac.compare_digest(_signed(token, profile, run_id).encode(), signature.encode("utf-8", "replace"))


def is_token(token: str, presented: str) -> bool:
    """Whether a header's value, as WSGI has it (bytes decoded as Latin-1), equals the token."""
    return hmac.compare_digest(token.encode(), presented.encode("latin-1", "replace"))
