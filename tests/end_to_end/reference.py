"""The reference: what each profile executes according to coverage.py, running alone in the shop's processes."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import CodeType

import coverage

from otel_coverage.code_objects import loaded_by
from otel_coverage.demo.example import THREADS, Example
from otel_coverage.demo.processes import Supervisor
from otel_coverage.demo.redis import start_redis, wait_for_jobs

Functions = dict[str, dict[str, list[str]]]  # service → profile → symbols
Lines = dict[str, dict[str, dict[str, list[int]]]]  # service → profile → file → lines

FOLDER = Path(__file__).parent / "oracle"
SERVICES = {"web": "shop-web", "worker": "shop-worker"}


def measure(folder: Path, example: Example) -> dict[str, object]:
    """Play every profile with only coverage.py in the shop's processes, and read its data."""
    _play(folder, example)
    functions, lines = _read(folder, example.folder)
    recorder_modules = {path.name: json.loads(path.read_text()) for path in sorted(folder.glob("*.modules.json"))}
    return {"functions": functions, "lines": lines, "recorder_modules": recorder_modules}


def _play(folder: Path, example: Example) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    env = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL_", "COVERAGE_", "COV_CORE"))}
    env |= {
        "PATH": os.pathsep.join([sysconfig.get_path("scripts"), env.get("PATH", os.defpath)]),
        "PYTHONPATH": os.pathsep.join([str(example.folder), str(FOLDER)]),
        "COVERAGE_CORE": "ctrace",
        "ORACLE_FOLDER": str(folder),
        "ORACLE_SOURCE": str(example.source),
        "SHOP_DATABASE": str(folder / "shop.sqlite3"),
        "OTEL_TRACES_EXPORTER": "none",
        "HOME": str(folder),
    }
    with Supervisor(folder) as supervisor:
        _, env["REDIS_URL"] = start_redis(supervisor, folder, env)
        gunicorn = ["gunicorn", "--bind", "127.0.0.1:0", "--worker-class", "gthread", "--threads", str(THREADS)]
        web = supervisor.start("web", [*gunicorn, "oracle:Pages()"], env)
        base_url = web.wait_for(r"Listening at: (http://\S+)", timeout=60)[1]
        worker_class = ["--worker-class", "oracle.Worker", "--url", env["REDIS_URL"]]
        worker = supervisor.start("worker", ["rq", "worker", *worker_class, "shop"], env)
        worker.wait_for("Listening on", timeout=60)
        for recording in example.recordings():
            (folder / "profile").write_text(recording.name)
            command = [sys.executable, "-m", "otel_coverage", "playback", "run", str(recording), "--base-url", base_url]
            subprocess.run([*command, "--allow-untraced"], env=env, check=True, capture_output=True, timeout=120)
            wait_for_jobs(env["REDIS_URL"], 60, supervisor.check)
        for child in (worker, web):
            assert supervisor.stop(child) == 0, child.tail()


def _read(folder: Path, import_root: Path) -> tuple[Functions, Lines]:
    functions: Functions = {service: {} for service in SERVICES.values()}
    lines: Lines = {service: {} for service in SERVICES.values()}
    for kind, service in SERVICES.items():
        for path in sorted(folder.glob(f"{kind}.*.coverage")):
            data = coverage.CoverageData(str(path))
            data.read()
            for profile in data.measured_contexts() - {"", "none"}:
                data.set_query_context(profile)
                for filename in data.measured_files():
                    arcs = data.arcs(filename) or []
                    file = Path(filename).relative_to(import_root)
                    names = _names(Path(filename), file)
                    entered = {names[-arc[0]] for arc in arcs if -arc[0] in names}
                    found = functions[service].setdefault(profile, [])
                    found[:] = sorted({*found, *entered})
                    ran = {number for arc in arcs for number in arc if number > 0}
                    if ran:
                        profile_lines = lines[service].setdefault(profile, {})
                        profile_lines[file.as_posix()] = sorted({*profile_lines.get(file.as_posix(), []), *ran})
    return functions, lines


def _names(path: Path, file: Path) -> Mapping[int, str]:
    """First line → symbol of each function of a file."""
    source = path.read_text(encoding="utf-8")
    definitions = {
        (node.name, min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)]))
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    parts = file.with_suffix("").parts
    module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    return {
        code.co_firstlineno: f"{module}:{qualname}@{code.co_firstlineno}"
        for code, qualname in _codes(compile(source, str(path), "exec", dont_inherit=True))
        if (code.co_name, code.co_firstlineno) in definitions
    }


def _codes(code: CodeType) -> Iterator[tuple[CodeType, str]]:
    for inner in loaded_by(code):
        yield inner
        yield from _codes(inner[0])
