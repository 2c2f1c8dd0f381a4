"""Who is let in: what a request's headers say of a playback, and what is left of them for others to read."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote_plus, unquote_plus

from otel_coverage.settings import Settings
from otel_coverage.slug import is_run_id, is_slug
from otel_coverage.tracing.context import baggage_entries
from otel_coverage.tracing.log import log
from otel_coverage.tracing.playback import PREFIX, PROFILE, RUN_ID, SIGNATURE, Playback
from otel_coverage.tracing.trust import is_token, verify

# as WSGI spells X-Profile-Trace, X-Profile-Trace-Token and baggage
HEADER = "HTTP_X_PROFILE_TRACE"
TOKEN_HEADER = "HTTP_X_PROFILE_TRACE_TOKEN"  # noqa: S105
BAGGAGE = "HTTP_BAGGAGE"

LONGEST_BAGGAGE = 8192  # W3C's limit; OpenTelemetry ignores a header that is longer


def extract_playback(environ: dict[str, Any], settings: Settings) -> Playback | None:
    """The playback that the request belongs to, if it names one that may be believed.

    The baggage header is rewritten: it names the playback that was admitted, signed where a token is set, or none. The
    token is taken out of the environ. Whoever reads the headers later sees only what was admitted.
    """
    header = environ.get(HEADER)
    token = environ.pop(TOKEN_HEADER, None)
    if _may_name_a_playback(environ.get(BAGGAGE, "")) and len(environ[BAGGAGE]) > LONGEST_BAGGAGE:
        del environ[BAGGAGE]  # nobody may read it, and OpenTelemetry would write all of it into its log
        _refuse("its baggage is longer than W3C allows")
    others, claims = _split(environ.get(BAGGAGE, ""))
    playback = None if header is None else _from_header(header, token, claims, settings)
    playback = playback or _from_baggage(claims, settings)
    if playback is not None:
        others += [f"{name}={quote_plus(value)}" for name, value in baggage_entries(playback, settings).items()]
    elif not claims:
        return None
    if others:
        environ[BAGGAGE] = ",".join(others)
    else:
        environ.pop(BAGGAGE, None)
    return playback


def _from_header(slug: str, token: str | None, claims: dict[str, str], settings: Settings) -> Playback | None:
    if settings.token is not None and (token is None or not is_token(settings.token, token)):
        _refuse("X-Profile-Trace came without the token")
        return None
    if not is_slug(slug):
        _refuse("X-Profile-Trace holds no slug")
        return None
    run_id = claims.get(RUN_ID, "")
    return Playback(slug, run_id if is_run_id(run_id) else settings.run_id or "")


def _from_baggage(claims: dict[str, str], settings: Settings) -> Playback | None:
    if PROFILE not in claims:
        return None
    slug, run_id = claims[PROFILE], claims.get(RUN_ID, "")
    if not is_slug(slug):
        _refuse("baggage playback.profile holds no slug")
        return None
    if run_id and not is_run_id(run_id):
        _refuse("baggage playback.run_id holds no run id")
        return None
    if settings.token is not None and not verify(settings.token, slug, run_id, claims.get(SIGNATURE, "")):
        _refuse("baggage playback.* came without its signature")
        return None
    return Playback(slug, run_id or settings.run_id or "")


def _split(header: str) -> tuple[list[str], dict[str, str]]:
    """The baggage's entries that are nobody's business here, as they are, and those of a playback, decoded."""
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
    return "playback" in header or "%" in header  # a name may be written in percent signs


def _refuse(why: str) -> None:
    """The request goes on, untraced. What it sent is not logged: it may be anything, and any length."""
    log.warn("refused_requests", "coverage: request not traced: %s", why)
