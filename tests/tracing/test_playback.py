"""Slugs, run ids, signatures, and the playback in a context's baggage."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import baggage
from opentelemetry.context import Context

from otel_coverage.settings import Settings
from otel_coverage.slug import is_slug, shown
from otel_coverage.tracing.context import baggage_entries, playback_of, with_playback, without_playback
from otel_coverage.tracing.playback import Playback, is_token, sign, verify


@pytest.mark.parametrize("text", ["a", "0", "us-small-wbt-daymet-rap-wepp", "a.b_c-d", "a" * 128])
def test_a_slug_is_lower_case_letters_digits_dots_underscores_and_hyphens(text: str) -> None:
    assert is_slug(text)


@pytest.mark.parametrize(
    "text",
    ["", "A", "-a", ".a", "_a", "a" * 129, "a b", "a\n", "a/b", "é", "a;b", "'; DROP TABLE x", "<script>", "٣", "a\0"],
)
def test_nothing_else_is_a_slug(text: str) -> None:
    assert not is_slug(text)


def test_a_name_that_came_from_outside_is_shown_escaped_and_cut() -> None:
    assert shown("Mañana\x1b[31m") == "'Ma\\xf1ana\\x1b[31m'"
    assert shown("x" * 100_000) == "'" + "x" * 40 + "'… (100000 characters)"


def test_a_signature_is_its_expiry_and_hmac_sha256_of_profile_run_and_expiry() -> None:
    # python3 -c "import hmac; print(hmac.new(b'secret', b'checkout\\nrun-1\\n90000', 'sha256').hexdigest())"
    mac = "63b799fd959afb0efc6a83798e9238908115158d58eb74586d0fe535d2cd851e"
    assert sign("secret", "checkout", "run-1", now=3599.9) == f"90000.{mac}"


@given(st.floats(0, 4e9), st.floats(0, 26))
def test_a_signature_holds_for_a_day_and_for_an_hour_more_at_most(now: float, hours: float) -> None:
    holds = verify("secret", "checkout", "run-1", sign("secret", "checkout", "run-1", now), now + hours * 3600)
    if hours <= 24:
        assert holds
    elif hours > 25:
        assert not holds


def test_an_expiry_cannot_be_put_off() -> None:
    expiry, _, mac = sign("secret", "checkout", "run-1").partition(".")
    for later in (str(int(expiry) + 3600), "9" * 12, "0" + expiry, f"{expiry}.", f"+{expiry}"):
        assert not verify("secret", "checkout", "run-1", f"{later}.{mac}")
    assert not verify("secret", "checkout", "run-1", mac)


def test_a_signature_is_valid_for_its_profile_and_run_only() -> None:
    signature = sign("secret", "checkout", "run-1")
    assert verify("secret", "checkout", "run-1", signature)
    assert not verify("secret", "checkout", "run-2", signature)
    assert not verify("secret", "refund", "run-1", signature)
    assert not verify("other", "checkout", "run-1", signature)
    assert not verify("secret", "checkout", "run-1", "")
    assert not verify("secret", "checkout", "run-1", "é\udc80")


def test_a_token_that_is_not_ascii_is_compared_as_the_bytes_of_the_header() -> None:
    assert is_token("gehëim", "gehëim".encode().decode("latin-1"))
    assert not is_token("gehëim", "gehëim\udc80")
    assert not is_token("secret", "secre")


def test_the_playback_of_a_context_is_the_one_put_into_it() -> None:
    playback = Playback("checkout", "run-1")
    for settings in (Settings(), Settings(token="secret")):
        assert playback_of(with_playback(Context(), playback, settings), settings) == playback


def test_a_playback_replaces_another() -> None:
    context = with_playback(Context(), Playback("checkout", "run-1"), Settings(token="secret"))
    context = with_playback(baggage.set_baggage("user", "7", context), Playback("refund"), Settings())
    assert dict(baggage.get_all(context)) == {"user": "7", "playback.profile": "refund"}
    assert dict(baggage.get_all(without_playback(context))) == {"user": "7"}


def test_without_a_run_id_in_the_baggage_it_is_that_of_the_settings() -> None:
    context = with_playback(Context(), Playback("checkout"), Settings())
    assert playback_of(context, Settings(run_id="nightly")) == Playback("checkout", "nightly")


def test_where_a_token_is_set_a_playback_without_a_valid_signature_is_none() -> None:
    settings = Settings(token="secret")
    unsigned = with_playback(Context(), Playback("checkout"), Settings())
    forged = with_playback(Context(), Playback("checkout"), Settings(token="guess"))
    assert playback_of(unsigned, settings) is None
    assert playback_of(forged, settings) is None


def test_a_malformed_slug_in_a_context_is_none() -> None:
    assert playback_of(baggage.set_baggage("playback.profile", "<b>"), Settings()) is None


def test_the_token_itself_is_not_in_the_baggage() -> None:
    entries = baggage_entries(Playback("checkout", "run-1"), Settings(token="secret"))
    assert entries == {
        "playback.profile": "checkout",
        "playback.run_id": "run-1",
        "playback.sig": sign("secret", "checkout", "run-1"),
    }
