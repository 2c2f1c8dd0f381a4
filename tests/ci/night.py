"""``make nightly``: two nights of the example by the steps of the committed workflow, on this machine.

A repository is made of the example and the workflow. The first night is of the example as it is, and all gates say yes.
Before the second one a commit takes a call out of it: the gate of what may not be lost says no, that of the share yes.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from otel_coverage.ci.workflows import NIGHTLY
from tests.ci.runner import WorkflowRun, new_runner

ROOT = Path(__file__).resolve().parents[2]
LOST = "shop.products:Catalogue.search"
IDENTITY = ("-c", "user.name=Nightly", "-c", "user.email=nightly@example.org", "-c", "commit.gpgsign=false")


def main() -> None:
    """Play both nights and check what they say."""
    parser = argparse.ArgumentParser(prog="python -m tests.ci.night", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--jobs", type=int, default=2, help="jobs at once (default 2)")
    parser.add_argument("--out", type=Path, help="keep the artifacts here")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="night-") as text:
        folder = Path(text)
        repository = folder / "repository"
        shutil.copytree(ROOT / ".github", repository / ".github")
        shutil.copytree(ROOT / "examples", repository / "examples", ignore=shutil.ignore_patterns("__pycache__"))
        git(repository, "init", "--quiet", "--initial-branch", "main")
        runner = new_runner(repository, folder / "runner", jobs=arguments.jobs, say=lambda line: print(f"  {line}"))
        print("the first night")
        first = runner.run(NIGHTLY, sha=commit(repository, "The example"))
        expect(first, first.passed, "all jobs to pass")
        lose_a_call(repository)
        print("the second night, of a revision that loses a call")
        second = runner.run(NIGHTLY, sha=commit(repository, "Lose a call"))
        (night,) = second.jobs["night"]
        gates = night.step("Gates").output
        expect(second, all(job.result == "success" for job in second.jobs["play"]), "all profiles to pass")
        expect(second, "passed: all code" in gates or "passed:" in gates, "one gate to say yes")
        expect(second, "::error title=Gate::" in gates and LOST in gates, f"one gate to say no, of {LOST}")
        expect(second, night.result == "failure", "the night's job to be red")
        difference = json.loads((second.artifacts / "report" / "diff.json").read_text())
        print(f"the gates say:\n{gates}\nthe report compares with {difference['baseline']['revision']}")
        if arguments.out is not None:
            shutil.copytree(runner.folder / "artifacts", arguments.out, dirs_exist_ok=True)


def expect(run: WorkflowRun, is_so: bool, what: str) -> None:
    """Stop, with all that the jobs said, where something is not so."""
    if not is_so:
        sys.exit(f"{run.text}\nexpected {what}")


def commit(repository: Path, message: str) -> str:
    """Commit all; returns the commit's name."""
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--message", message)
    return git(repository, "rev-parse", "HEAD").strip()


def git(repository: Path, *arguments: str) -> str:
    """What git answers."""
    command = ["git", "-C", str(repository), *IDENTITY, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def lose_a_call(repository: Path) -> None:
    """Take out of the example a call of a function that nothing else calls."""
    path = repository / "examples/shop/views/catalogue.py"
    text = path.read_text()
    found = "_catalogue().search(words) if words else _catalogue().all()"
    assert found in text
    path.write_text(text.replace(found, "_catalogue().all()"))


if __name__ == "__main__":
    main()
