"""The first process of a container waits for the sender, which ends with it."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path

import pytest

from otel_coverage.spool import Spool
from otel_coverage.spool.launch import STATUS
from otel_coverage.spool.wait import wait_as_first_process


@pytest.fixture
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What another process has appended and nobody has sent."""
    folder = tmp_path / "spool"
    assert Spool(folder).append(b"spans")
    monkeypatch.setenv("OTEL_COVERAGE_SPOOL", str(folder))
    monkeypatch.setattr(os, "getpid", lambda: 1)
    return folder


def test_the_first_process_ends_once_everything_is_sent(spool: Path) -> None:
    (file,) = spool.glob("*.spool")
    threading.Timer(0.2, file.unlink).start()
    assert wait_as_first_process(60)
    assert not file.exists()


def test_it_does_not_wait_for_a_collector_that_does_not_answer(spool: Path) -> None:
    (spool / STATUS).write_text(json.dumps({"is_failing": True}))
    began = time.monotonic()
    assert not wait_as_first_process(60)
    assert time.monotonic() - began < 30


def test_it_waits_a_moment_and_no_longer(spool: Path) -> None:
    assert not wait_as_first_process(0.1)


def test_no_other_process_waits(spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getpid", lambda: 2)
    assert wait_as_first_process(60)
