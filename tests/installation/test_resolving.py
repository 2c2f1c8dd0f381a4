"""The pip that comes with this Python finds releases that fit, whatever is half released at the moment."""

from __future__ import annotations

import json
import re
import subprocess
import venv
from pathlib import Path

import pytest

from tests.installation.packages import contrib, core, write_ours, write_wheel


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment in which nobody has upgraded pip."""
    folder = tmp_path_factory.mktemp("stock")
    venv.create(folder, with_pip=True)
    return folder / "bin" / "python"


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve whole releases of OpenTelemetry; the newest is 1.45.1 with 0.66b1."""
    folder = tmp_path_factory.mktemp("released")
    write_ours(folder)
    for minor in range(34, 46):
        for patch in (0, 1):
            for name, (version, requires) in (
                core(f"1.{minor}.{patch}", f"0.{minor + 21}b{patch}") | contrib(f"0.{minor + 21}b{patch}")
            ).items():
                write_wheel(folder, name, version, requires)
    return folder


def resolved(stock: Path, extra: str, *folders: Path) -> dict[str, str]:
    """The releases of OpenTelemetry's packages that pip would install."""
    links = [argument for folder in folders for argument in ("--find-links", str(folder))]
    command = [str(stock), "-m", "pip", "--isolated", "install", "--dry-run", "-q", "--no-index", *links]
    done = subprocess.run(
        [*command, "--report", "-", f"otel-coverage{extra}"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = [package["metadata"] for package in json.loads(done.stdout)["install"]]
    return {it["name"]: it["version"] for it in found if it["name"].startswith("opentelemetry-")}


def releases(versions: dict[str, str]) -> set[str]:
    """What they belong to: ``45.1`` for 1.45.1 and for 0.66b1."""
    parts = [re.fullmatch(r"(\d+)\.(\d+)(?:\.|b)(\d+)", version) for version in versions.values()]
    return {f"{int(it[2]) + (0 if it[1] == '1' else -21)}.{it[3]}" for it in parts if it is not None}


@pytest.mark.parametrize("extra", ["", "[demo]", "[test]"])  # the others ask for parts of these
def test_a_release_without_its_instrumentations_is_passed_over(
    extra: str, stock: Path, released: Path, tmp_path: Path
) -> None:
    for name, (version, requires) in core("1.45.2", "0.66b2").items():
        write_wheel(tmp_path, name, version, requires)
    assert releases(resolved(stock, extra, released, tmp_path)) == {"45.1"}


@pytest.mark.parametrize("there", [1, 3, 5])
def test_whatever_part_of_a_release_has_been_uploaded_so_far_something_whole_is_found(
    there: int, stock: Path, released: Path, tmp_path: Path
) -> None:
    packages = core("1.46.0", "0.67b0") | contrib("0.67b0")
    for name, (version, requires) in list(packages.items())[: there * len(packages) // 6]:
        write_wheel(tmp_path, name, version, requires)
    assert releases(resolved(stock, "", released, tmp_path)) <= {"45.1", "46.0"}


def test_the_newest_whole_release_is_taken(stock: Path, released: Path) -> None:
    assert releases(resolved(stock, "[demo]", released)) == {"45.1"}
