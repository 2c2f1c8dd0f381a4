"""The process that sends a spool, with real receivers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from otel_coverage.spool import Spool
from otel_coverage.spool.flush import flush
from otel_coverage.spool.spool_file import START
from tests.spool.begun import left_behind
from tests.spool.requests import request
from tests.support.collector import Collector, running_collector
from tests.support.commands import PATIENCE, clean_environment, wait_until
from tests.support.ports import free_port


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


# A process that appends what it reads from its standard input, one request a line in hexadecimal, and says when that is
# done: in a process of its own, since locks of POSIX end when any descriptor of the file is closed in the process.
SERVICE = """
import sys
from otel_coverage.settings import Settings
from otel_coverage.spool.service import ServiceSpool
from pathlib import Path
service = ServiceSpool(Path(sys.argv[1]), Settings.load())
service.prepare()
for line in sys.stdin:
    if line == "\\n":
        service._ensure_sender()
    print(not line.strip() or service.append(bytes.fromhex(line)), flush=True)
"""


# One that ends at once, where it takes long to start a process.
SHORT = """
import sys, time
from pathlib import Path
from otel_coverage.settings import Settings
from otel_coverage.spool import service as module

def start_slowly(*arguments, start=module.ensure_sender):
    time.sleep(1)
    start(*arguments)

module.ensure_sender = start_slowly
service = module.ServiceSpool(Path(sys.argv[1]), Settings.load())
service.spool.open()
service._have_sender()  # as where an entry begins
assert service.append(bytes.fromhex(sys.argv[2]))
"""


class Service:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def append(self, message: bytes) -> None:
        self._say(message.hex())

    def ensure_sender(self) -> None:
        """As it does every few seconds."""
        self._say("")

    def _say(self, text: str) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "True\n"


@contextmanager
def service(folder: Path, endpoint: str, **environment: str) -> Iterator[Service]:
    with subprocess.Popen(
        [sys.executable, "-c", SERVICE, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=clean_environment(OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, **environment),
    ) as process:
        try:
            yield Service(process)
        finally:
            process.kill()


def status(folder: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((folder / "sender.json").read_text())
    except FileNotFoundError:
        return {}
    return found


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def has_ended(pid: int) -> bool:
    return not is_running(pid)


def unsent(folder: Path) -> int:
    return sum(path.stat().st_size - START for path in folder.glob("*.spool"))


def names(collector: Collector) -> list[str]:
    return [span.name for span in collector.spans]


def test_a_process_that_ends_at_once_has_started_the_sender_of_what_it_kept(folder: Path, collector: Collector) -> None:
    subprocess.run(
        [sys.executable, "-c", SHORT, str(folder), request("first").hex()],
        check=True,
        env=clean_environment(OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint),
    )
    collector.wait_for(lambda spans: len(spans) == 1)
    pid = status(folder)["pid"]
    wait_until(lambda: has_ended(pid))


def test_what_a_service_keeps_is_sent_and_the_sender_ends_with_the_service(folder: Path, collector: Collector) -> None:
    with service(folder, collector.endpoint) as it:
        it.append(request("first", "second"))
        collector.wait_for(lambda spans: len(spans) == 2)
        it.append(request("third"))
        collector.wait_for(lambda spans: len(spans) == 3)
        wait_until(lambda: unsent(folder) == 0)
        pid = status(folder)["pid"]
        assert is_running(pid)
    wait_until(lambda: not is_running(pid))
    assert names(collector) == ["first", "second", "third"]
    assert list(folder.glob("*.spool")) == []


def test_what_an_earlier_process_left_is_sent_by_the_next_one(folder: Path) -> None:
    with service(folder, f"http://127.0.0.1:{free_port()}") as it:
        it.append(request("left"))
        wait_until(lambda: status(folder).get("is_failing"))
        os.kill(status(folder)["pid"], signal.SIGKILL)
    assert unsent(folder) > 0
    with running_collector() as collector, service(folder, collector.endpoint):
        collector.wait_for(lambda spans: len(spans) == 1)
    assert names(collector) == ["left"]


def test_services_of_one_folder_have_one_sender_that_is_nobodys_child(folder: Path, collector: Collector) -> None:
    with service(folder, collector.endpoint) as first, service(folder, collector.endpoint) as second:
        first.append(request("first"))
        second.append(request("second"))
        collector.wait_for(lambda spans: len(spans) == 2)
        wait_until(lambda: senders(folder) == [status(folder)["pid"]])
        pids = senders(folder)
        assert os.getsid(pids[0]) != os.getsid(0)
        stat = Path(f"/proc/{pids[0]}/stat").read_text()
        assert int(stat.rpartition(")")[2].split()[1]) not in (first.process.pid, second.process.pid)
        links = {os.readlink(link) for link in Path(f"/proc/{pids[0]}/fd").iterdir()}
        assert not {link for link in links if link.startswith("pipe:")}  # those of the services


def senders(folder: Path) -> list[int]:
    return [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/cmdline") if serves(path, folder)]


def serves(cmdline: Path, folder: Path) -> bool:
    try:
        command = cmdline.read_bytes().split(b"\0")
    except OSError:
        return False
    is_sender = any(b"otel_coverage.spool.sender" in word for word in command)
    return is_sender and str(folder).encode() in command and b"python" in command[0]


def test_a_process_with_another_endpoint_has_the_sender_replaced(folder: Path, collector: Collector) -> None:
    away = f"http://127.0.0.1:{free_port()}"
    with service(folder, away) as before:
        before.append(request("first"))
        wait_until(lambda: status(folder).get("is_failing"))
        with service(folder, collector.endpoint) as after:
            after.append(request("second"))
            collector.wait_for(lambda spans: len(spans) == 2)
    assert sorted(names(collector)) == ["first", "second"]


def test_a_sender_that_is_killed_loses_nothing(folder: Path, collector: Collector) -> None:
    with service(folder, collector.endpoint) as it:
        for number in range(5):
            it.append(request(str(number)))
            pid = wait_for_sender(folder)
            os.kill(pid, signal.SIGKILL)  # perhaps in the middle of a message
            wait_until(partial(has_ended, pid))
            it.ensure_sender()
        collector.wait_for(lambda spans: {span.name for span in spans} == set("01234"))


def wait_for_sender(folder: Path) -> int:
    wait_until(lambda: senders(folder))
    return senders(folder)[0]


def left_in_a_full_spool(folder: Path) -> int:
    """A spool that has no room for what a killed process had begun. Returns the bytes that it may hold."""
    assert left_behind(folder, 'slots.start("lost", 1, note("begun", "01"))') == -signal.SIGKILL
    assert Spool(folder).append(request("kept", size=5000))
    return 2000


def test_a_sender_that_has_made_room_reports_what_was_begun_before_it_ends(folder: Path, collector: Collector) -> None:
    most = left_in_a_full_spool(folder)
    environment = clean_environment(OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint)
    command = [sys.executable, "-m", "otel_coverage.spool.sender", str(folder), "3600", str(most), "60"]
    assert subprocess.run(command, env=environment, timeout=PATIENCE, check=False).returncode == 0
    assert names(collector) == ["kept", "begun"]


def test_a_flush_that_has_made_room_reports_what_was_begun(
    folder: Path, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    most = left_in_a_full_spool(folder)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint)
    assert flush(folder, timeout=PATIENCE, max_age=3600.0, max_bytes=most, linger=0.0).is_empty
    assert names(collector) == ["kept", "begun"]


def test_a_sender_whose_service_was_killed_ends_soon_after_and_leaves_what_the_receiver_did_not_take(
    folder: Path,
) -> None:
    away = f"http://127.0.0.1:{free_port()}"
    with service(folder, away, OTEL_COVERAGE_SPOOL_LINGER="0.5") as it:
        it.append(request("left"))
        wait_until(lambda: status(folder).get("is_failing"))
        pid = status(folder)["pid"]
        it.process.kill()
        wait_until(partial(has_ended, pid))
    assert unsent(folder) > 0
    with running_collector() as collector, service(folder, collector.endpoint):
        collector.wait_for(lambda spans: len(spans) == 1)
    assert names(collector) == ["left"]
