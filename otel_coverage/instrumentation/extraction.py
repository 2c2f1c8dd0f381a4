"""Extracting the playback from a request's headers, and removing from them what must not go further."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote_plus, unquote_plus

from otel_coverage.settings import Settings
from otel_coverage.slug import SLUG_RULE, is_slug, shown
from otel_coverage.tracing.context import baggage_entries
from otel_coverage.tracing.log import log
from otel_coverage.tracing.playback import (
    PREFIX,
    PROFILE,
    RUN_ID,
    SIGNATURE,
    SIGNATURE_HOURS,
    Playback,
    is_token,
    verify,
)

# as WSGI spells X-Profile-Trace, X-Profile-Trace-Token and baggage
HEADER = "HTTP_X_PROFILE_TRACE"
TOKEN_HEADER = "HTTP_X_PROFILE_TRACE_TOKEN"  # noqa: S105
BAGGAGE = "HTTP_BAGGAGE"

_ASGI = {b"x-profile-trace": HEADER, b"x-profile-trace-token": TOKEN_HEADER, b"baggage": BAGGAGE}

_BAD_RUN_ID = "baggage playback.run_id is {}, expected " + SLUG_RULE

LONGEST_BAGGAGE = 8192  # characters; W3C's limit, past which OpenTelemetry ignores the header


def may_be_traced(environ: dict[str, Any]) -> bool:
    """Whether the request has any header that concerns us; the token alone has to be taken out, too."""
    return HEADER in environ or BAGGAGE in environ or TOKEN_HEADER in environ


def scope_may_be_traced(scope: dict[str, Any]) -> bool:
    """What :func:`may_be_traced` says of a WSGI environ, of the scope of an ASGI connection."""
    for header in scope["headers"]:  # noqa: SIM110  # every request pays for it: a generator takes twice as long
        if header[0] in _ASGI:
            return True
    return False


def extract_from_scope(scope: dict[str, Any], settings: Settings) -> Playback | None:
    """What :func:`extract_playback` finds in, and changes of, a WSGI environ, in the scope of an ASGI connection."""
    found: dict[str, Any] = {}
    for name, value in scope["headers"]:
        if name in _ASGI:
            key, text = _ASGI[name], value.decode("latin-1")
            found[key] = f"{found[key]},{text}" if key in found else text  # as servers join them for WSGI
    before = found.copy()
    playback = extract_playback(found, settings)
    if found != before:
        kept = [header for header in scope["headers"] if _ASGI.get(header[0]) not in (TOKEN_HEADER, BAGGAGE)]
        if BAGGAGE in found:
            kept.append((b"baggage", found[BAGGAGE].encode("latin-1")))
        scope["headers"] = kept
    return playback


def extract_playback(environ: dict[str, Any], settings: Settings) -> Playback | None:
    """The playback that the request belongs to; None where it names none, a malformed or an unauthenticated one.

    Changes ``environ``, so that only what was accepted is read from it later: the token header is removed, and the
    baggage header names the accepted playback, signed where a token is set, or none.
    """
    header = environ.get(HEADER)
    token = environ.pop(TOKEN_HEADER, None)
    if _may_name_a_playback(environ.get(BAGGAGE, "")) and len(environ[BAGGAGE]) > LONGEST_BAGGAGE:
        del environ[BAGGAGE]  # OpenTelemetry would ignore it, and write all of it into its log
        _refuse("its baggage header is longer than {} characters, the limit of W3C Baggage", LONGEST_BAGGAGE)
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
        if claims.get(PROFILE) == slug:
            return None  # another service has vouched for it, or the hook of a server around an adapter of Flask's
        _refuse("X-Profile-Trace is only accepted with the right X-Profile-Trace-Token, as OTEL_COVERAGE_TOKEN is set")
        return None
    if not is_slug(slug):
        _refuse("X-Profile-Trace is {}, expected " + SLUG_RULE, shown(slug))
        return None
    run_id = claims.get(RUN_ID, "")
    if run_id and not is_slug(run_id):
        _refuse(_BAD_RUN_ID, shown(run_id))
        return None
    return Playback(slug, run_id or settings.run_id or "")


def _from_baggage(claims: dict[str, str], settings: Settings) -> Playback | None:
    if PROFILE not in claims:
        return None
    slug, run_id = claims[PROFILE], claims.get(RUN_ID, "")
    if not is_slug(slug):
        _refuse("baggage playback.profile is {}, expected " + SLUG_RULE, shown(slug))
        return None
    if run_id and not is_slug(run_id):
        _refuse(_BAD_RUN_ID, shown(run_id))
        return None
    if settings.token is not None and not verify(settings.token, slug, run_id, claims.get(SIGNATURE, "")):
        _refuse(
            "baggage playback.profile lacks a playback.sig that holds, required as OTEL_COVERAGE_TOKEN is set; "
            "one holds for {} hours",
            SIGNATURE_HOURS,
        )
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


def _refuse(cause: str, *found: object) -> None:
    """Log why the request is not traced, each cause on its own.

    Args:
        cause: a template of :meth:`str.format`.
        found: what to fill in; what the request sent only as :func:`~otel_coverage.slug.shown` shows it.
    """
    log.warn("refused_requests", "coverage: request not traced: %s", cause.format(*found), cause=cause)
