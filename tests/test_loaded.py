"""What other packages offer, while they are loaded and before."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from otel_coverage.loaded import loaded
from otel_coverage.recording.event_loops import running_loop


def test_what_a_loaded_module_offers_is_found_and_nothing_of_one_that_is_not_loaded() -> None:
    assert loaded("sys", "path") is sys.path
    assert loaded("no.such_module", "path") is None


def test_no_loop_runs_while_another_thread_still_imports_asyncio(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "asyncio", ModuleType("asyncio"))
    assert running_loop() is None
