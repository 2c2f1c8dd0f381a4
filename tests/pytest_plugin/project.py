"""A test suite of somebody else's, and its sessions, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.support.commands import PATIENCE, clean_environment

ROOT = Path(__file__).parent.parent.parent


@dataclass(frozen=True)
class Project:
    """A folder with tests in it.

    Attributes:
        folder: the folder.
        installed: a folder on ``PYTHONPATH`` that says what the package's metadata say, however old those are that
            this interpreter has: its entry point.
    """

    folder: Path
    installed: Path

    @classmethod
    def make(cls, folder: Path) -> Project:
        """A project without tests."""
        tests = folder / "suite"
        tests.mkdir()
        (tests / "pytest.ini").write_text("[pytest]\n")
        metadata = folder / "installed" / "otel_coverage_of_this_tree-0.dist-info"
        metadata.mkdir(parents=True)
        (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: otel-coverage-of-this-tree\nVersion: 0\n")
        (metadata / "entry_points.txt").write_text(f"[pytest11]\n{_entry_point()}\n")
        return cls(tests, metadata.parent)

    def write(self, name: str, text: str) -> None:
        """Write a file."""
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def run(self, *options: str, path: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        """A session that has ended; nothing of this one's plugins is in it but those that are installed."""
        before = clean_environment()["PYTHONPATH"]
        parts = [str(self.installed), path, str(ROOT), before]
        environ = clean_environment(**environment) | {"PYTHONPATH": ":".join(filter(None, parts))}
        for name in ("PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", "PYTEST_CURRENT_TEST"):
            environ.pop(name, None)
        plain = ("-p", "no:cacheprovider", "-p", "no:anyio", "-p", "no:ddtrace", "-p", "no:timeout", "-rA", "-v")
        return subprocess.run(
            [sys.executable, "-m", "pytest", *plain, *options],
            cwd=self.folder,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=3 * PATIENCE,
        )


def _entry_point() -> str:
    """The line of pyproject.toml that names the plugin, as metadata have it."""
    lines = (ROOT / "pyproject.toml").read_text().splitlines()
    return lines[lines.index("[project.entry-points.pytest11]") + 1].replace('"', "")
