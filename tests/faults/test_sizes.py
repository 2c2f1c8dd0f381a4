"""Requests that execute very much, and a receiver that accepts 4 MiB at a time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.faults.deployment import DESK, Deployment

LIMIT = 4 * 1024 * 1024
EACH = 1000  # functions of a module
LONG = 20_000  # lines of one

_EXECUTED = """
SELECT SpanAttributes['coverage.functions'], SpanAttributes['coverage.lines'], SpanAttributes['coverage.complete']
FROM otel_traces
WHERE TraceId IN (SELECT TraceId FROM otel_traces WHERE SpanAttributes['playback.profile'] = {profile:String})
"""
_IN_TABLES = "SELECT uniqExact(module, qualname, line) FROM coverage_functions WHERE profile = {profile:String}"
_INCOMPLETE = """
SELECT incomplete_reason, incomplete_detail FROM run_completeness
WHERE profile = {profile:String} AND NOT complete
"""


def _write_package(folder: Path, functions: int) -> Path:
    """A package of modules with many functions each, and one with a function of many lines."""
    package = folder / "many"
    package.mkdir()
    modules = range(-(-functions // EACH))
    for module in modules:
        text = "".join(f"def function_{module * EACH + each}():\n    pass\n\n\n" for each in range(EACH))
        (package / f"module_{module}.py").write_text(text)
    (package / "long.py").write_text("def function():\n" + "    value = 1\n" * LONG)
    imports = "".join(f"from many import module_{module}\n" for module in modules)
    (package / "__init__.py").write_text(
        f"from many import long\n{imports}\nMODULES = [{', '.join(f'module_{module}' for module in modules)}]\n\n\n"
        "def call(count):\n"
        "    long.function()\n"
        f"    for number in range(count):\n        getattr(MODULES[number // {EACH}], f'function_{{number}}')()\n"
    )
    return package


def _numbers(elements: list[str]) -> dict[str, set[int]]:
    lines: dict[str, set[int]] = {}
    for element in elements:
        path, _, ranges = element.rpartition(":")
        for each in ranges.split(","):
            first, _, last = each.partition("-")
            lines.setdefault(path, set()).update(range(int(first), int(last or first) + 1))
    return lines


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "limits",
    [{}, {"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": "1024"}, {"OTEL_ATTRIBUTE_COUNT_LIMIT": "16"}],
    ids=["none", "length", "count"],
)
def test_large_requests_arrive_whole_or_are_marked(folder: Path, limits: dict[str, str]) -> None:
    counts = (1, 500, 5_000, 50_000)
    package = _write_package(folder, max(counts))
    with Deployment(folder, {"OTEL_COVERAGE_SOURCE": f"{DESK},{package}", **limits}) as deployment:
        deployment.add_to_path(folder)
        deployment.start_collector()
        deployment.relay(f"limit {LIMIT}")
        deployment.start_application("--threads", "2", "--timeout", "120", worker=False)
        requests = [
            {"method": "GET", "path": f"/many/{count}/many-{count}", "profile": f"many-{count}"} for count in counts
        ]
        deployment.send("many", requests, threads=1).wait()
        deployment.settle()
        assert all(line["bytes"] <= LIMIT for line in deployment.exports() if line["event"] == "received")
        for count in counts:
            functions: set[str] = set()
            elements: list[str] = []
            rows = deployment.query(_EXECUTED, {"profile": f"many-{count}"}).rows
            for found, lines, _complete in rows:
                functions |= {symbol for symbol in json.loads(found or "[]") if symbol.startswith("many.module_")}
                elements += json.loads(lines or "[]")
            of_long = [numbers for path, numbers in _numbers(elements).items() if path.endswith("many/long.py")]
            incomplete = deployment.query(_INCOMPLETE, {"profile": f"many-{count}"}).rows
            in_tables = deployment.query(_IN_TABLES, {"profile": f"many-{count}"}).rows[0][0]
            print(f"{count} functions: {len(functions)} in {len(rows)} spans, {in_tables} in the tables; {incomplete}")
            is_whole = len(functions) == count and bool(of_long) and len(of_long[0]) >= LONG and in_tables >= count
            assert is_whole or incomplete
            if not limits:
                assert is_whole
                assert not incomplete
