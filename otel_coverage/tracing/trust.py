"""Who may name a profile, where a token is set: those who know it, and whoever carries their signature on."""

from __future__ import annotations

import functools
import hashlib
import hmac


def sign(token: str, profile: str, run_id: str) -> str:
    """The signature that travels in the baggage in the token's place: it vouches for one profile in one run."""
    message = f"{profile}\n{run_id}".encode()
    return hmac.new(token.encode(), message, hashlib.sha256).hexdigest()


_signed = functools.lru_cache(maxsize=256)(sign)  # every span of a request asks for the same one


def verify(token: str, profile: str, run_id: str, signature: str) -> bool:
    """Whether ``signature`` was made with ``token`` for this profile and run."""
    return hmac.compare_digest(_signed(token, profile, run_id).encode(), signature.encode("utf-8", "replace"))


def is_token(token: str, presented: str) -> bool:
    """Whether a header, as WSGI hands it over (bytes read as Latin-1), presents the token."""
    return hmac.compare_digest(token.encode(), presented.encode("latin-1", "replace"))
