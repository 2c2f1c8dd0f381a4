"""An engine that is closed while the application goes on."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from tests.recording.recorder import ENGINES, Kind, Recorder, imported

FILES = 200
ROUNDS = 800
SOURCE = """
from pathlib import Path

def make(n):
    made = {}
    exec(compile(f"def f(x): return x + {n}", str(Path(__file__).parent / f"made_{n}.py"), "exec"), made)
    return made["f"](1)
"""


@pytest.mark.parametrize("kind", ENGINES, ids=str)
def test_threads_whose_code_is_being_discovered_are_not_disturbed(kind: Kind, tmp_path: Path) -> None:
    (tmp_path / "making.py").write_text(SOURCE)
    for number in range(FILES):
        (tmp_path / f"made_{number}.py").touch()
    done = threading.Event()
    failures: list[BaseException] = []
    made = [0] * 3

    def make(thread: int) -> None:
        try:
            while not done.is_set():
                making.make(made[thread] % FILES)
                made[thread] += 1
        except BaseException as error:
            failures.append(error)

    interval = sys.getswitchinterval()
    with imported(tmp_path, "making") as making:
        threads = [threading.Thread(target=make, args=(number,)) for number in range(len(made))]
        sys.setswitchinterval(1e-6)
        try:
            for thread in threads:
                thread.start()
            for _ in range(ROUNDS):
                # each engine looks up every file anew, and is closed while other threads do
                with Recorder(kind, tmp_path) as recorder, recorder.recording():
                    making.make(0)
        finally:
            done.set()
            for thread in threads:
                thread.join()
            sys.setswitchinterval(interval)
    assert failures == []
    assert all(made)
