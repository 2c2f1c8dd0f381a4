"""Ctrl-C on commands that take long: what they say, and what they leave."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from otel_coverage.errors import Interrupted
from otel_coverage.reporting import files
from otel_coverage.reporting.files import published
from tests.support.commands import clean_environment


def test_a_report_that_is_interrupted_leaves_the_folder_as_it_was(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "matrix.json").write_text("old")
    with pytest.raises(Interrupted, match=r"interrupted: .*out is as it was"), published(out) as folder:  # noqa: PT012
        (folder / "matrix.json").write_text("new")
        signal.raise_signal(signal.SIGINT)
    assert (out / "matrix.json").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_ctrl_c_while_the_files_are_published_waits_for_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"

    def interrupted(out: Path) -> list[str]:
        signal.raise_signal(signal.SIGINT)
        return []

    monkeypatch.setattr(files, "_earlier_files", interrupted)
    with pytest.raises(Interrupted, match="out has all files of the report"), published(out) as folder:  # noqa: PT012
        for name in ("a", "b"):
            (folder / name).write_text("new")
    assert sorted(path.name for path in out.iterdir()) == ["a", "b"]


def test_a_playback_that_is_interrupted_says_how_many_profiles_it_played(tmp_path: Path) -> None:
    """A real server that answers the first profile, and lets the second one wait."""
    reached, over = threading.Event(), threading.Event()

    class Slow(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/slow":
                reached.set()
                over.wait(60)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for name in ("fast", "slow"):
        lines = (f'{{"recording": 1, "profile": "{name}"}}', f'{{"method": "GET", "path": "/{name}"}}')
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "otel_coverage", "playback", "run", "fast.jsonl", "slow.jsonl", "--run-id", "r1"),
            *("--base-url", f"http://127.0.0.1:{server.server_port}", "--job-status", ""),
        ],
        cwd=tmp_path,
        env=clean_environment(OTEL_TRACES_EXPORTER="none"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert reached.wait(60), process.communicate(timeout=10)
        process.send_signal(signal.SIGINT)
        over.set()
        _, stderr = process.communicate(timeout=60)
    finally:
        process.kill()
        server.shutdown()
    assert stderr.strip().splitlines()[-1] == "otel-coverage: interrupted: 1 of 2 profiles were played whole in run r1"
    assert process.returncode == 130
