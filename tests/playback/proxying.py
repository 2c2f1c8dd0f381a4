"""``otel-coverage playback record`` in a process of its own."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.commands import BIN, PATIENCE, clean_environment, wait_until


@dataclass
class Recorder:
    """The command.

    Attributes:
        folder: that it runs in; its profiles are below.
        url: of the proxy.
        code: its exit code; None while it runs.
    """

    folder: Path
    process: subprocess.Popen[bytes]
    url: str = ""
    code: int | None = None

    @property
    def said(self) -> str:
        """What it has printed for the person at the browser."""
        return (self.folder / "stderr").read_text(encoding="utf-8")

    @property
    def result(self) -> dict[str, Any]:
        """What it printed at its end."""
        found: dict[str, Any] = json.loads((self.folder / "stdout").read_text(encoding="utf-8"))
        return found

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send a signal, and wait for the end."""
        self.process.send_signal(number)
        self.code = self.process.wait(PATIENCE)

    def lines(self, profile: str) -> list[dict[str, Any]]:
        """Of the recording, without its header."""
        text = (self.folder / "profiles" / profile / "recording.jsonl").read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()[1:]]


@contextmanager
def recording(folder: Path, profile: str, target: str, *options: str, **environment: str) -> Iterator[Recorder]:
    """Record until the end of the block, or until it is stopped in it."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [str(BIN / "otel-coverage"), "playback", "record", profile, "--target", target, *options]
    with (folder / "stdout").open("wb") as stdout, (folder / "stderr").open("wb") as stderr:
        process = subprocess.Popen(
            command, cwd=folder, env=clean_environment(**environment), stdout=stdout, stderr=stderr
        )
    recorder = Recorder(folder, process)
    try:
        wait_until(lambda: _address(recorder) or process.poll() is not None)
        assert process.poll() is None, recorder.said
        recorder.url = _address(recorder)
        yield recorder
        if recorder.code is None:
            recorder.stop()
    finally:
        process.kill()
        process.wait()


def _address(recorder: Recorder) -> str:
    found = re.search(r"open (http://127\.0\.0\.1:\d+\S*),", recorder.said)
    return "" if found is None else found[1]
