"""The callbacks in C are built where they can be, without a warning; where they cannot, those in Python serve."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from pathlib import Path

import pytest

from otel_coverage.recording import select_backend

pytestmark = pytest.mark.since(3, 12)

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "otel_coverage" / "recording" / "csrc"
COMPILER = shlex.split(sysconfig.get_config_var("CC") or "cc")
HAS_COMPILER = shutil.which(COMPILER[0]) is not None
SAY = "from otel_coverage.recording import select_backend as s; print(s().name, s().reason, sep=': ')"


def copy_of_the_package(folder: Path) -> Path:
    """The package as its source has it: without anything built."""
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    for name in ("otel_coverage", "queries", "examples"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("*.so", "*.pyd", "__pycache__"))
    return folder


def run(*command: str, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        command, cwd=cwd, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_where_a_compiler_is_the_callbacks_in_c_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_COVERAGE_PURE_PYTHON", raising=False)
    expected = "c" if HAS_COMPILER and not sysconfig.get_config_var("Py_GIL_DISABLED") else "python"
    assert select_backend().name == expected, "built by: pip install --editable ."


def test_they_compile_without_a_warning(tmp_path: Path) -> None:
    if not HAS_COMPILER:
        return  # the test above says that nothing was built either
    strict = ["-Wall", "-Wextra", "-Werror", "-O2", "-fPIC"]
    include = f"-I{sysconfig.get_path('include')}"
    run(*COMPILER, *strict, include, "-c", *map(str, SOURCES.glob("*.c")), cwd=tmp_path)


def test_the_source_distribution_holds_all_that_they_are_built_from(tmp_path: Path) -> None:
    copy = copy_of_the_package(tmp_path)
    run(sys.executable, "setup.py", "-q", "sdist", cwd=copy)
    (archive,) = (copy / "dist").glob("*.tar.gz")
    with tarfile.open(archive) as held:
        names = {Path(name).name for name in held.getnames() if "/csrc/" in name}
    assert names == {path.name for path in SOURCES.iterdir()}


def test_without_a_compiler_the_package_is_built_and_says_that_python_serves(tmp_path: Path) -> None:
    copy = copy_of_the_package(tmp_path)
    run(sys.executable, "setup.py", "-q", "build_ext", "--inplace", cwd=copy, CC="/nowhere/cc", CXX="/nowhere/cc")
    said = run(sys.executable, "-c", SAY, cwd=copy, PYTHONPATH=str(copy))
    assert said.startswith("python: ")
    assert "compiler" in said


def test_where_the_callbacks_in_c_do_not_load_those_in_python_serve(tmp_path: Path) -> None:
    copy = copy_of_the_package(tmp_path)
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    (copy / "otel_coverage" / "recording" / f"_callbacks{suffix}").write_bytes(b"made for another machine")
    said = run(sys.executable, "-c", SAY, cwd=copy, PYTHONPATH=str(copy))
    assert said.startswith("python: the callbacks in C do not load")


@pytest.mark.parametrize(("value", "forces"), [("1", True), ("yes", True), ("0", False), ("", False)])
def test_an_environment_variable_forces_the_callbacks_in_python(
    value: str, forces: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OTEL_COVERAGE_PURE_PYTHON", raising=False)
    without = select_backend()
    monkeypatch.setenv("OTEL_COVERAGE_PURE_PYTHON", value)
    if forces:
        assert select_backend().name == "python"
        assert "OTEL_COVERAGE_PURE_PYTHON" in select_backend().reason
    else:
        assert select_backend() == without


SUB_INTERPRETERS = """
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
import sys

sub = interpreters.create({kind}) if sys.version_info >= (3, 13) else interpreters.create(isolated={isolated})
interpreters.run_string(sub, '''
from otel_coverage.recording.backend import select_backend
print(select_backend().name, select_backend().reason, sep=": ", flush=True)
import os
os._exit(0)  # 3.12 dies at the end of any sub-interpreter that imported coverage
''')
"""


@pytest.mark.parametrize(("kind", "isolated"), [("'isolated'", True), ("'legacy'", False)])
def test_sub_interpreters_get_the_callbacks_in_python_with_the_reason(kind: str, isolated: bool) -> None:
    said = run(sys.executable, "-c", SUB_INTERPRETERS.format(kind=kind, isolated=isolated), cwd=ROOT)
    assert said.startswith("python: the callbacks in C do not load") or not HAS_COMPILER
