"""The pytest plugin: each test becomes a profile, where ``--playback`` or ``playback = true`` says so.

It is loaded into every session of an environment that has this package. So without that it defines options, a marker
and a fixture, and imports nothing of OpenTelemetry, nor of this package.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    from otel_coverage.pytest_plugin.suite import Suite

MARKER = "playback_profile"
SUITE = "otel-coverage-suite"
"""The name of the plugin that is registered where tests are profiles."""

WAIT_SECONDS = 20.0

_OPTIONS = (
    ("--playback-run-id", "playback_run_id", "ID", "Id of the run. [OTEL_COVERAGE_RUN_ID, else a new one]"),
    (
        "--playback-store",
        "playback_store",
        "DSN",
        "Wait at the end until this store has all of the run, and say what is missing. [OTEL_COVERAGE_STORE]",
    ),
)


class PlaybackProfile(NamedTuple):
    """The profile that a test is, for clients that the plugin does not know, such as websockets.

    Attributes:
        slug: its name; empty where the test is not a profile.
        run_id: of the session; empty where the test is not a profile.
        headers: by which a request belongs to it; empty where the test is not a profile. They name the run, and are
            signed where ``OTEL_COVERAGE_TOKEN`` is set: send them to the application alone.
    """

    slug: str = ""
    run_id: str = ""
    headers: Mapping[str, str] = {}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Define the options."""
    group = parser.getgroup("playback", "what each test executes in a traced application (otel-coverage)")
    group.addoption(
        "--playback",
        action="store_true",
        default=None,
        dest="playback",
        help="Make each test a profile: its requests name it, so that a traced application records what it executes.",
    )
    for option, name, metavar, text in _OPTIONS:
        group.addoption(option, dest=name, metavar=metavar, default=None, help=text)
    group.addoption(
        "--playback-target",
        action="append",
        dest="playback_targets",
        metavar="HOST[:PORT]",
        default=None,
        help="The application: requests to no other host name the profile. May be given several times. [loopback]",
    )
    group.addoption(
        "--playback-wait",
        type=_seconds,
        dest="playback_wait",
        metavar="SECONDS",
        default=WAIT_SECONDS,
        help="How long, at the end, spans may take to arrive: at the collector, and in --playback-store. [20]",
    )
    group.addoption(
        "--playback-strict",
        action="store_true",
        dest="playback_strict",
        default=False,
        help="Exit with 1 where something of the run is known to be missing.",
    )
    parser.addini("playback", "make each test a profile, as --playback does", type="bool", default=False)
    parser.addini("playback_targets", "hosts whose requests name the profile, as --playback-target does", type="args")
    parser.addini(
        "playback_in_process",
        "record applications that tests call without a server, such as by Flask's test_client()",
        type="bool",
        default=True,
    )


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r}, expected seconds")
    return seconds


def pytest_configure(config: pytest.Config) -> None:
    """Define the marker; make tests profiles where that is wanted."""
    config.addinivalue_line(
        "markers",
        f"{MARKER}(slug): the profile that the tests below it are together (otel-coverage); None: they are not any",
    )
    if config.getoption("playback") or config.getini("playback"):
        try:
            from otel_coverage.pytest_plugin.suite import Suite
        except ModuleNotFoundError as error:
            raise pytest.UsageError(
                f"otel-coverage: --playback needs {error.name}, which is not installed; "
                "pip install 'otel-coverage[playback]'"
            ) from error

        config.pluginmanager.register(Suite.of(config), SUITE)


@pytest.fixture
def playback_profile(request: pytest.FixtureRequest) -> PlaybackProfile:
    """The profile that the test is, with the headers that name it, for clients that the plugin does not know."""
    suite: Suite | None = request.config.pluginmanager.get_plugin(SUITE)
    return PlaybackProfile() if suite is None else suite.profile_of(request.node)
