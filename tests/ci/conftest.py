"""A project whose nights are played: an application with two profiles, in a git repository."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

IDENTITY = ("-c", "user.name=Tester", "-c", "user.email=tester@example.org", "-c", "commit.gpgsign=false")

PLAIN = """\
[tool.otel_coverage.ci]
layout = "profiles"
source = ["tea"]
install = ["python -m pip install --editable . '../otel-coverage[embedded,playback,report]'"]
report_options = ["--no-html"]
"""
PROCESSES = """
[tool.otel_coverage.ci.processes]
web = 'waitress-serve --listen="127.0.0.1:$PORT" tea:app'
"""
SETTINGS = f"""{PLAIN}
changed = 80
gates = ["--min 10"]
overhead = "index"
overhead_options = ["--precision 1000000"]
webhook = "NIGHT_WEBHOOK"
page_url = "https://tea.example/index.html"
{PROCESSES}"""

FILES = {
    "pyproject.toml": SETTINGS,
    "tea/__init__.py": """\
from flask import Flask

app = Flask(__name__)


@app.get("/")
def index():
    return greeting()


@app.get("/price")
def price():
    return {"cents": 350}


def greeting():
    return "welcome"


def never_called():
    return 1
""",
    "profiles/index/recording.jsonl": """\
{"recording": 1, "profile": "index"}
{"method": "GET", "path": "/", "status": 200}
""",
    "profiles/price.jsonl": """\
{"recording": 1, "profile": "price"}
{"method": "GET", "path": "/price", "status": 200}
""",
}


LOGIN = """\
{"recording": 1, "profile": "login"}
{"method": "POST", "path": "/login", "form": {"password": "${env:PLAYBACK_PASSWORD}"}, "status": 204}
"""
LOGIN_VIEW = """

@app.post("/login")
def login():
    from flask import request

    return {}, 204 if request.form["password"] == "oolong" else 403
"""


@dataclass(frozen=True)
class Project:
    """A git repository."""

    folder: Path

    @classmethod
    def make(cls, folder: Path) -> Project:
        """One with the application's files, not committed yet."""
        made = cls(folder)
        folder.mkdir(parents=True)
        made.git("init", "--quiet", "--initial-branch", "main")
        for name, text in FILES.items():
            made.write(name, text)
        return made

    def git(self, *arguments: str, **environment: str) -> str:
        command = ["git", "-C", str(self.folder), *IDENTITY, *arguments]
        env = {**os.environ, **environment}
        return subprocess.run(command, check=True, capture_output=True, text=True, env=env).stdout.strip()

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def read(self, name: str) -> str:
        return (self.folder / name).read_text()

    def commit(self, **environment: str) -> str:
        """Commit all; the commit's name."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "Change", **environment)
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """The project, in the working directory."""
    made = Project.make(tmp_path / "project")
    made.write("pyproject.toml", SETTINGS.replace('layout = "profiles"\n', ""))
    monkeypatch.chdir(made.folder)
    return made
