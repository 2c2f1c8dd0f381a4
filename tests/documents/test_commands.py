"""The commands of the documents on profile coverage, as they stand there, one after the other.

What differs from the text: ports are free ones, a verdict on time is nobody's, and waiting is as patient as elsewhere.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from otel_coverage.demo.processes import Supervisor
from otel_coverage.demo.redis import start_redis
from tests.support.commands import BIN, PATIENCE, clean_environment
from tests.support.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
SERVES = ("otel-coverage collect", "otel-coverage run")
MEASURES = "gate --overhead"  # what a machine says of times

pytestmark = pytest.mark.timeout(1200)


@dataclass
class Shell:
    """A terminal in a copy of the repository's documents and example.

    Attributes:
        folder: the copy.
        environment: with what was exported.
        replaced: text → what stands for it here.
        serving: what was left running.
    """

    folder: Path
    environment: dict[str, str]
    replaced: dict[str, str]
    serving: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def type(self, line: str) -> str:
        """Run a line; what it prints on stdout."""
        for text, here in self.replaced.items():
            line = line.replace(text, here)
        if line.startswith("cd "):
            self.folder /= line.removeprefix("cd ")
            return ""
        if line.startswith("export "):
            shown = self._run(f"{line}; env -0")
            self.environment = dict(each.split("=", 1) for each in shown.split("\0") if "=" in each)
            return ""
        if any(command in line for command in SERVES):
            command = ["bash", "-c", f"exec env {line}"]
            with (self.folder / f"{len(self.serving)}.log").open("wb") as log:
                process = subprocess.Popen(
                    command, cwd=self.folder, env=self.environment, stdout=log, stderr=log, start_new_session=True
                )
            self.serving.append(process)
            return ""
        return self._run(line, fails=MEASURES in line)

    def _run(self, line: str, *, fails: bool = False) -> str:
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        logs = "\n".join(each.read_text() for each in self.folder.glob("*.log"))
        assert done.returncode in ((0, 1) if fails else (0,)), f"{line}\n{done.stdout}{done.stderr}\n{logs}"
        return done.stdout


@contextmanager
def shell(folder: Path, **replaced: str) -> Iterator[Shell]:
    """A terminal; at its end, what runs in it ends."""
    for name in ("examples", "docs"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / ".gitignore", folder)
    git = ["git", "-c", "user.name=Reader", "-c", "user.email=reader@example.org", "-c", "commit.gpgsign=false"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "The example"]):
        subprocess.run([*git, *words], cwd=folder, check=True)
    found = Shell(folder, clean_environment(PATH=os.pathsep.join([str(BIN), os.environ["PATH"]])), replaced)
    try:
        yield found
    finally:
        for process in reversed(found.serving):
            os.killpg(process.pid, signal.SIGTERM)
        for process in reversed(found.serving):
            process.wait(PATIENCE)


def commands(document: str) -> list[str]:
    """The lines of its indented blocks, without comments."""
    text = (ROOT / document).read_text()
    lines = re.findall(r"^    (\S.*)$", text, re.MULTILINE)
    return [line.partition("   #")[0].strip() for line in lines]


def test_the_quick_start_does_what_it_says(tmp_path: Path) -> None:
    web, collector = free_port(), free_port()
    replaced = {
        ":8000": f":{web}",
        "--wait 60": f"--wait {PATIENCE:g}",
        "--max-seconds 300": "--precision 1000000",
    }
    with Supervisor(tmp_path / "redis") as supervisor, shell(tmp_path / "here", **replaced) as it:
        _, url = start_redis(supervisor, tmp_path / "redis", os.environ)
        it.environment |= {
            "REDIS_URL": url,
            "RQ_REDIS_URL": url,
            "SHOP_DATABASE": str(tmp_path / "shop.sqlite3"),
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector}",
            "OTEL_COVERAGE_SPOOL_LINGER": "1",
        }
        it.replaced["otel-coverage collect"] = (
            f"otel-coverage collect --grpc-endpoint 127.0.0.1:{collector} --http-endpoint none "
            "--clickhouse-endpoint 127.0.0.1:0"
        )
        said = {}
        for line in commands("docs/dev-notes/profile-coverage.md"):
            said[line] = it.type(line)
            if line.endswith("rq worker shop"):
                it._run(f"curl --silent --output /dev/null --retry 120 --retry-connrefused http://127.0.0.1:{web}")
        verified = json.loads(said["otel-coverage verify --run local-1 --wait 60"])
        assert (verified["complete"], verified["requests"]) == (True, 2)
        summary = (tmp_path / "here/artifacts/summary.md").read_text()
        assert "| `smoke` |" in summary


def test_what_agents_and_testers_are_told_works(tmp_path: Path) -> None:
    lines = commands("tests/README.md")
    of_agents = [line for line in commands("AGENTS.md") if line.startswith("otel-coverage impacted")]
    assert len(of_agents) == 1
    with shell(tmp_path / "here") as it:
        said = {line: it.type(line) for line in lines}
        it.folder = tmp_path / "here"
        assert it.type(of_agents[0]) == ""  # nothing has changed
        assert said["otel-coverage query matrix --format csv"].count("\nsmoke,") > 5
        assert "smoke" in said["otel-coverage query reverse-index --format csv"]
        assert "TOTAL" in next(text for line, text in said.items() if line.startswith("coverage report"))
    for line in commands("AGENTS.md"):
        assert line in (*lines, *of_agents) or shlex.split(line)[0] in ("make", ".venv/3.13/bin/python"), line
