"""Which playback a request's headers name, and what is left in them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import baggage
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context

from otel_coverage.instrumentation.extraction import extract_playback, may_be_traced
from otel_coverage.settings import Settings
from otel_coverage.slug import SLUG_RULE
from otel_coverage.tracing.log import log
from otel_coverage.tracing.playback import Playback, sign

OPEN = Settings(enabled=True)
GUARDED = Settings(enabled=True, token="secret")


@pytest.fixture(autouse=True)
def fresh_log() -> Iterator[None]:
    log.clear()
    yield
    log.clear()


def environ(**headers: str) -> dict[str, Any]:
    return {"HTTP_" + name.upper(): value for name, value in headers.items()}


def left_for_others(environ: dict[str, Any]) -> dict[str, object]:
    """The baggage as OpenTelemetry reads it afterwards."""
    carrier = {"baggage": environ["HTTP_BAGGAGE"]} if "HTTP_BAGGAGE" in environ else {}
    return dict(baggage.get_all(W3CBaggagePropagator().extract(carrier, Context())))


def test_the_header_names_the_profile() -> None:
    request = environ(x_profile_trace="checkout")
    assert extract_playback(request, OPEN) == Playback("checkout")
    assert left_for_others(request) == {"playback.profile": "checkout"}


def test_the_baggage_names_profile_and_run_and_keeps_what_else_it_holds() -> None:
    request = environ(baggage="user=7 , playback.profile=checkout,playback.run_id=run-1;kind=nightly,tier=gold;p=1")
    assert extract_playback(request, OPEN) == Playback("checkout", "run-1")
    assert left_for_others(request) == {
        "user": "7",
        "tier": "gold;p=1",
        "playback.profile": "checkout",
        "playback.run_id": "run-1",
    }


def test_the_header_takes_precedence_over_the_baggage_and_takes_its_run_id() -> None:
    request = environ(x_profile_trace="checkout", baggage="playback.profile=refund,playback.run_id=run-1")
    assert extract_playback(request, OPEN) == Playback("checkout", "run-1")


def test_the_settings_name_the_run_of_requests_without_one() -> None:
    settings = Settings(enabled=True, run_id="nightly")
    assert extract_playback(environ(x_profile_trace="checkout"), settings) == Playback("checkout", "nightly")
    assert extract_playback(environ(baggage="playback.profile=checkout"), settings) == Playback("checkout", "nightly")


@pytest.mark.parametrize(
    "slug", ["'; DROP TABLE otel_traces; --", "<script>alert(1)</script>", "", "A", "é", "x" * 129]
)
def test_a_malformed_slug_is_ignored_and_counted(slug: str) -> None:
    assert extract_playback(environ(x_profile_trace=slug), OPEN) is None
    request = environ(baggage=f"playback.profile={quote(slug)}")
    assert extract_playback(request, OPEN) is None
    assert left_for_others(request) == {}
    assert log.counts["refused_requests"] == 2


def test_a_flood_of_malformed_slugs_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "otel_coverage"):
        for number in range(500):
            extract_playback(environ(x_profile_trace=f"NO SLUG {number}"), OPEN)
    assert caplog.messages == [
        f"coverage: request not traced: X-Profile-Trace is 'NO SLUG 0', expected {SLUG_RULE} (1 so far)"
    ]
    assert log.counts["refused_requests"] == 500


def test_each_cause_of_a_refusal_is_logged_with_what_was_sent_escaped_and_cut(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "otel_coverage"):
        extract_playback(environ(x_profile_trace="\x1b[2J" + "{x}" * 10_000), OPEN)
        extract_playback(environ(baggage="playback.profile=Caf%C3%A9"), OPEN)
        extract_playback(environ(baggage="playback.profile=checkout,playback.run_id=%3Drun"), OPEN)
        extract_playback(environ(x_profile_trace="checkout"), GUARDED)
        extract_playback(environ(baggage="playback.profile=checkout"), GUARDED)
    found = [message.removeprefix("coverage: request not traced: ").partition(", ")[0] for message in caplog.messages]
    assert found == [
        "X-Profile-Trace is '\\x1b[2J" + ("{x}" * 12) + "'… (30004 characters)",
        "baggage playback.profile is 'Caf\\xe9'",
        "baggage playback.run_id is '=run'",
        "X-Profile-Trace is only accepted with the right X-Profile-Trace-Token",
        "baggage playback.profile lacks a playback.sig that holds",
    ]


@pytest.mark.parametrize("run_id", ["Run-1", "=1+1", "-1", "@x", "a b", "x" * 129])
def test_a_run_id_is_refused_by_the_rules_of_a_slug(run_id: str) -> None:
    for headers in ({"x_profile_trace": "checkout"}, {}):
        request = environ(**headers, baggage=f"user=7,playback.profile=checkout,playback.run_id={quote(run_id)}")
        assert extract_playback(request, OPEN) is None
        assert left_for_others(request) == {"user": "7"}


def test_with_a_token_the_header_needs_it() -> None:
    assert extract_playback(environ(x_profile_trace="checkout"), GUARDED) is None
    assert extract_playback(environ(x_profile_trace="checkout", x_profile_trace_token="guess"), GUARDED) is None
    request = environ(x_profile_trace="checkout", x_profile_trace_token="secret", baggage="playback.run_id=run-1")
    assert extract_playback(request, GUARDED) == Playback("checkout", "run-1")


def test_the_token_is_removed_and_a_signature_added() -> None:
    request = environ(x_profile_trace="checkout", x_profile_trace_token="secret")
    extract_playback(request, GUARDED)
    assert "secret" not in str(request)
    assert left_for_others(request)["playback.sig"] == sign("secret", "checkout", "")


def test_with_a_token_the_baggage_needs_its_signature() -> None:
    good = f"playback.profile=checkout,playback.run_id=run-1,playback.sig={sign('secret', 'checkout', 'run-1')}"
    assert extract_playback(environ(baggage=good), GUARDED) == Playback("checkout", "run-1")
    for bad in (good.replace("run-1", "run-2"), good.replace("checkout", "refund"), good.partition(",playback.sig")[0]):
        request = environ(baggage="user=7," + bad)
        assert extract_playback(request, GUARDED) is None
        assert left_for_others(request) == {"user": "7"}


def test_signed_baggage_is_accepted_beside_a_wrong_token() -> None:
    signed = f"playback.profile=checkout,playback.sig={sign('secret', 'checkout', '')}"
    request = environ(x_profile_trace="refund", x_profile_trace_token="guess", baggage=signed)
    assert extract_playback(request, GUARDED) == Playback("checkout")


@pytest.mark.parametrize(
    "name", ["playback.profile", "playback%2Eprofile", "%70layback.profile", " playback.profile ", "playback.profile\t"]
)
def test_an_unsigned_profile_is_removed_however_its_name_is_encoded(name: str) -> None:
    request = environ(baggage=f"user=7,{name}=checkout")
    assert extract_playback(request, GUARDED) is None
    assert left_for_others(request) == {"user": "7"}


@given(st.lists(st.text("playbck.profile%2E70 =,;\t+xé", max_size=30), max_size=8))
def test_nothing_unsigned_is_left_of_any_baggage(entries: list[str]) -> None:
    request = environ(baggage=",".join(entries))
    assert extract_playback(request, GUARDED) is None
    assert not [name for name in left_for_others(request) if name.startswith("playback.")]


def test_baggage_that_is_too_long_is_removed() -> None:
    request = environ(baggage="playback.profile=checkout," + "x" * 9000)
    assert extract_playback(request, OPEN) is None
    assert left_for_others(request) == {}


def test_baggage_without_a_playback_is_left_alone() -> None:
    request = environ(baggage="user=7,  tier=gold")
    assert extract_playback(request, GUARDED) is None
    assert request == environ(baggage="user=7,  tier=gold")
    assert not log.counts


def test_a_token_without_a_playback_is_removed() -> None:
    request = {"HTTP_X_PROFILE_TRACE_TOKEN": "secret"}
    assert may_be_traced(request)
    assert extract_playback(request, OPEN) is None
    assert request == {}


def test_the_playback_comes_first_in_the_baggage() -> None:
    request = environ(x_profile_trace="checkout", baggage="a=1,playback.run_id=r1,b=2")
    extract_playback(request, OPEN)
    assert request["HTTP_BAGGAGE"] == "playback.profile=checkout,playback.run_id=r1,a=1,b=2"


def test_a_baggage_with_no_room_for_the_playback_keeps_what_the_application_put_there() -> None:
    full = "a=" + "x" * 8185
    request = environ(x_profile_trace="checkout", baggage=full)
    assert extract_playback(request, OPEN) == Playback("checkout")
    assert request["HTTP_BAGGAGE"] == full
