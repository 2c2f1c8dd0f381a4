"""``otel-coverage spool``: what waits, and sending it."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from otel_coverage.spool import Spool
from tests.spool.requests import request
from tests.support.collector import running_collector
from tests.support.commands import BIN, call, clean_environment
from tests.support.ports import free_port


@pytest.fixture
def folder(state_home: Path) -> Path:
    """The spool of the service ``shop``, with three spans that no process sends."""
    folder = state_home / "otel-coverage" / "spool" / "shop"
    spool = Spool(folder)
    assert spool.append(request("first", "second"))
    assert spool.append(request("third"))
    return folder


@pytest.fixture
def away() -> str:
    """An endpoint at which nobody listens."""
    return f"http://127.0.0.1:{free_port()}"


def spool(*arguments: str, **environment: str) -> tuple[int, str, str]:
    done = call([str(BIN / "otel-coverage"), "spool", *arguments], **environment)
    return done.returncode, done.stdout, done.stderr


def test_status_shows_what_waits_in_each_spool_of_the_user(folder: Path) -> None:
    code, shown, _ = spool("status")
    (found,) = json.loads(shown)
    assert code == 0
    assert (found["folder"], found["spans"], found["files"]) == (str(folder), 3, 1)
    assert found["bytes"] > 100
    assert found["oldest"] is not None
    assert found["sender"] is None


def test_status_for_people_has_a_line_for_what_there_is(folder: Path) -> None:
    _, shown, _ = spool("status", "--format", "table")
    assert shown.splitlines()[0] == str(folder)
    assert "  waiting     3 spans" in shown
    assert "  sender      not running" in shown
    assert "refused" not in shown


def test_flush_sends_what_waits(folder: Path) -> None:
    with running_collector() as collector:
        code, said, _ = spool("flush", OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint)
        assert sorted(span.name for span in collector.spans) == ["first", "second", "third"]
    assert (code, said) == (0, f"{folder}: 3 spans sent\n")
    assert json.loads(spool("status")[1])[0]["spans"] == 0


def test_flush_says_what_is_left_and_fails_where_nobody_listens(folder: Path, away: str) -> None:
    code, said, error = spool("flush", "--timeout", "0", OTEL_EXPORTER_OTLP_ENDPOINT=away)
    assert code == 1
    assert said == f"{folder}: 0 spans sent\n"
    assert f"{folder}: 3 spans are left: UNAVAILABLE" in error
    assert "Traceback" not in error


def test_a_folder_that_others_can_write_to_is_refused(folder: Path) -> None:
    folder.chmod(0o777)
    code, _, error = spool("status")
    assert code == 2
    assert "other users can write to it (mode 777); chmod 700 it" in error


def test_flush_needs_a_receiver_of_otlp(folder: Path) -> None:
    code, _, error = spool("flush", OTEL_TRACES_EXPORTER="console")
    assert code == 2
    assert "OTEL_TRACES_EXPORTER is 'console', expected otlp" in error


def test_a_spool_that_is_off_has_no_status() -> None:
    code, _, error = spool("status", OTEL_COVERAGE_SPOOL="off")
    assert code == 2
    assert "OTEL_COVERAGE_SPOOL is off" in error


def test_without_any_spool_there_is_nothing_to_show(state_home: Path) -> None:
    assert spool("status")[:2] == (0, "[]\n")
    assert spool("flush")[:2] == (0, "")


def test_flush_takes_over_from_a_sender_that_waits_for_an_answer(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as black_hole:
        sender = subprocess.Popen(
            [sys.executable, "-m", "otel_coverage.spool.sender", str(folder), "3600", "1000000", "60"],
            env=clean_environment(
                OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{black_hole.getsockname()[1]}",
                OTEL_EXPORTER_OTLP_TIMEOUT="600",
            ),
        )
        black_hole.accept()
        with running_collector() as collector:
            code, said, error = spool("flush", OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint)
        assert (code, said, error) == (0, f"{folder}: 3 spans sent\n", "")
        assert sender.wait(60) == 0
