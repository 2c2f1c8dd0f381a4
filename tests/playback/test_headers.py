"""``otel-coverage playback headers``: what any other client sends."""

from __future__ import annotations

import json
import subprocess

import pytest
from click.testing import CliRunner
from opentelemetry.baggage.propagation import W3CBaggagePropagator

from otel_coverage.cli.main import cli
from otel_coverage.errors import ConfigurationError
from otel_coverage.settings import Settings
from otel_coverage.tracing.context import playback_of
from otel_coverage.tracing.playback import Playback


def printed(*arguments: str, **environ: str) -> str:
    cleared = {"OTEL_COVERAGE_TOKEN": None, "OTEL_COVERAGE_RUN_ID": None}
    done = CliRunner().invoke(cli, ["playback", "headers", *arguments], env={**cleared, **environ})
    if done.exception is not None:
        raise done.exception
    return done.stdout


def read(value: str, token: str | None = None) -> Playback | None:
    """The playback that an application reads from the baggage."""
    return playback_of(W3CBaggagePropagator().extract({"baggage": value}), Settings(token=token))


def test_an_application_reads_profile_and_run_of_the_printed_header() -> None:
    name, _, value = printed("checkout", "--run-id", "night-7").rstrip("\n").partition(": ")
    assert (name, read(value)) == ("baggage", Playback("checkout", "night-7"))
    assert read(printed("checkout").rstrip("\n").partition(": ")[2]) == Playback("checkout", "")
    assert printed("checkout", OTEL_COVERAGE_RUN_ID="night-8").endswith("playback.run_id=night-8\n")


def test_it_is_signed_where_a_token_is_set() -> None:
    value = printed("checkout", OTEL_COVERAGE_TOKEN="hush").rstrip("\n").partition(": ")[2]
    assert "hush" not in value
    assert read(value, "hush") == Playback("checkout", "")
    assert read(value, "another") is None


def test_other_formats_are_for_programs_and_shells() -> None:
    header = printed("checkout", "--run-id", "n").rstrip("\n").removeprefix("baggage: ")
    assert json.loads(printed("checkout", "--run-id", "n", "--format", "json")) == {"baggage": header}
    script = printed("checkout", "--run-id", "n", "--format", "env") + 'printf %s "$BAGGAGE"'
    assert subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout == header


@pytest.mark.parametrize("arguments", [("Check out",), ("checkout", "--run-id", "a b")])
def test_invalid_names_are_refused(arguments: tuple[str, ...]) -> None:
    with pytest.raises(ConfigurationError, match="is not valid; use"):
        printed(*arguments)
