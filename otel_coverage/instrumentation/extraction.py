"""Extracting the playback from a request's headers, and removing from them what must not go further."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote_plus, unquote_plus

from otel_coverage.settings import Settings
from otel_coverage.slug import is_run_id, is_slug
from otel_coverage.tracing.context import baggage_entries
from otel_coverage.tracing.log import log
from otel_coverage.tracing.playback import PREFIX, PROFILE, RUN_ID, SIGNATURE, Playback, is_token, verify

# as WSGI spells X-Profile-Trace, X-Profile-Trace-Token and baggage
HEADER = "HTTP_X_PROFILE_TRACE"
TOKEN_HEADER = "HTTP_X_PROFILE_TRACE_TOKEN"  # noqa: S105
BAGGAGE = "HTTP_BAGGAGE"

_SLUG_RULE = "[a-z0-9][a-z0-9._-]{0,127}"

LONGEST_BAGGAGE = 8192  # characters; W3C's limit, past which OpenTelemetry ignores the header


def may_be_traced(environ: dict[str, Any]) -> bool:
    """Whether the request has any header that concerns us; the token alone has to be taken out, too."""
    return HEADER in environ or BAGGAGE in environ or TOKEN_HEADER in environ


def extract_playback(environ: dict[str, Any], settings: Settings) -> Playback | None:
    """The playback that the request belongs to; None where it names none, a malformed or an unauthenticated one.

    Changes ``environ``, so that only what was accepted is read from it later: the token header is removed, and the
    baggage header names the accepted playback, signed where a token is set, or none.
    """
    header = environ.get(HEADER)
    token = environ.pop(TOKEN_HEADER, None)
    if _may_name_a_playback(environ.get(BAGGAGE, "")) and len(environ[BAGGAGE]) > LONGEST_BAGGAGE:
        del environ[BAGGAGE]  # OpenTelemetry would ignore it, and write all of it into its log
        _refuse(f"its baggage header is longer than {LONGEST_BAGGAGE} characters, the limit of W3C Baggage")
    others, claims = _split(environ.get(BAGGAGE, ""))
    playback = None if header is None else _from_header(header, token, claims, settings)
    playback = playback or _from_baggage(claims, settings)
    ours: list[str] = []
    if playback is not None:
        ours = [f"{name}={quote_plus(value)}" for name, value in baggage_entries(playback, settings).items()]
    elif not claims:
        return None
    # first, since what propagates the baggage further cuts it after so many members or bytes
    header = ",".join([*ours, *others])
    if len(header) > LONGEST_BAGGAGE:
        header = ",".join(others)  # a header that is too long would be ignored as a whole, the application's part too
    if header:
        environ[BAGGAGE] = header
    else:
        environ.pop(BAGGAGE, None)
    return playback


def _from_header(slug: str, token: str | None, claims: dict[str, str], settings: Settings) -> Playback | None:
    if settings.token is not None and (token is None or not is_token(settings.token, token)):
        _refuse("X-Profile-Trace is only accepted with the right X-Profile-Trace-Token, as OTEL_COVERAGE_TOKEN is set")
        return None
    if not is_slug(slug):
        _refuse(f"X-Profile-Trace is not a slug: {_SLUG_RULE}")
        return None
    run_id = claims.get(RUN_ID, "")
    return Playback(slug, run_id if is_run_id(run_id) else settings.run_id or "")


def _from_baggage(claims: dict[str, str], settings: Settings) -> Playback | None:
    if PROFILE not in claims:
        return None
    slug, run_id = claims[PROFILE], claims.get(RUN_ID, "")
    if not is_slug(slug):
        _refuse(f"baggage playback.profile is not a slug: {_SLUG_RULE}")
        return None
    if run_id and not is_run_id(run_id):
        _refuse("baggage playback.run_id is not a run id (printable ASCII without spaces, at most 128 characters)")
        return None
    if settings.token is not None and not verify(settings.token, slug, run_id, claims.get(SIGNATURE, "")):
        _refuse("baggage playback.profile lacks a valid playback.sig, required as OTEL_COVERAGE_TOKEN is set")
        return None
    return Playback(slug, run_id or settings.run_id or "")


def _split(header: str) -> tuple[list[str], dict[str, str]]:
    """The baggage entries without ``playback.``, as they are, and the names and values, decoded, of those with it."""
    if not _may_name_a_playback(header):
        return [header] if header else [], {}
    others, claims = [], {}
    for entry in header.split(","):
        name, _, value = entry.partition("=")
        name = unquote_plus(name.strip(" \t")).strip()
        if name.startswith(PREFIX):
            claims[name] = unquote_plus(value.partition(";")[0].strip(" \t")).strip()
        elif entry.strip(" \t"):
            others.append(entry.strip(" \t"))
    return others, claims


def _may_name_a_playback(header: str) -> bool:
    return "playback" in header or "%" in header  # its name may be percent-encoded


def _refuse(why: str) -> None:
    """Log why the request is not traced, without what it sent, which may be anything of any length."""
    log.warn("refused_requests", "coverage: request not traced: %s", why)
