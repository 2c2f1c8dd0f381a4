"""What building a wheel leaves where: in the wheel all that the package needs, in the source tree nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.recording.test_c_build import copy_of_the_package

KINDS = {".py", ".sql", ".jsonl", ".csv", ".j2"}


@pytest.mark.parametrize("stale", [False, True], ids=["a fresh tree", "a tree with what an old setup.py left"])
def test_a_wheel_takes_everything_along_and_leaves_nothing_behind(stale: bool, tmp_path: Path) -> None:
    (tmp_path / "clone").mkdir()
    clone = copy_of_the_package(tmp_path / "clone")
    if stale:
        (clone / "build" / "lib" / "otel_coverage").mkdir(parents=True)
        (clone / "build" / "lib" / "otel_coverage" / "gone.py").touch()
    before = sorted(clone.rglob("*"))
    options = ["-q", "--no-deps", "--no-build-isolation", "--wheel-dir", str(tmp_path / "wheels")]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, "."], cwd=clone, check=True)
    assert sorted(clone.rglob("*")) == before
    (wheel,) = (tmp_path / "wheels").iterdir()
    packed = set(ZipFile(wheel).namelist())
    assert "otel_coverage/gone.py" not in packed
    for folder, package in (("otel_coverage", ""), ("queries", "otel_coverage/"), ("examples", "otel_coverage/")):
        wanted = {f"{package}{it.relative_to(clone)}" for it in (clone / folder).rglob("*.*") if it.suffix in KINDS}
        assert wanted <= packed
