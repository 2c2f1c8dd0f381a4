"""Where the recording is kept."""

from __future__ import annotations

import subprocess
import sys

import pytest
from opentelemetry import context as otel_context

from otel_coverage.errors import ConfigurationError
from otel_coverage.tracing.context import RECORDING, current_recording


def test_the_recording_is_read_from_opentelemetrys_own_variable() -> None:
    where = current_recording()
    token = otel_context.attach(otel_context.set_value(RECORDING, "it"))
    try:
        assert where.variable.get()[RECORDING] == "it"
        assert where.key == RECORDING
    finally:
        otel_context.detach(token)


def test_an_error_names_a_runtime_context_that_is_not_supported(monkeypatch: pytest.MonkeyPatch) -> None:
    class Elsewhere:
        pass

    monkeypatch.setattr(otel_context, "_RUNTIME_CONTEXT", Elsewhere())
    with pytest.raises(ConfigurationError, match="OTEL_PYTHON_CONTEXT chose Elsewhere"):
        current_recording()


def test_to_import_the_package_imports_neither_flask_nor_rq_nor_a_store() -> None:
    code = (
        "import sys, otel_coverage, otel_coverage.tracing.processor\n"
        "heavy = {'flask', 'rq', 'redis', 'chdb', 'clickhouse_connect', 'grpc'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
