"""One measurement, in a process of its own: a tool on a workload, as a ratio to the same requests untraced."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.recorder import workloads
from benchmarks.recorder.tools import Tool, tools

TURNS = 6
BUSY_THREADS = 4
REQUESTS_OF_A_BUSY_THREAD = 5
EXACT_THREADS = 8
EXACT_REQUESTS = 320


def ratio(tool: Tool, workload_name: str, condition: str, seconds: float) -> float:
    """Cost of a request with the tool, divided by the same without any, both the best of what fits into ``seconds``.

    ``condition`` is ``alone``, ``busy`` (four threads send requests at once) or ``idle`` (a recording in which nothing
    runs stays open beside). The plain requests run on a copy of the source that the tool leaves alone: in turns with
    the traced ones where the tool's being on does not change them, else before it starts and after it has finished.
    """
    with tempfile.TemporaryDirectory() as folder:
        plain_request = _import_twin(workloads.workload(workload_name, Path(folder) / "twin"))
        work = workloads.workload(workload_name, Path(folder))

        def plain(share: float) -> float:
            return _timed(lambda: tool.plain(plain_request), work.clock, condition, seconds * share)

        def traced(share: float) -> float:
            return _timed(lambda: tool.record(request), work.clock, condition, seconds * share)

        without = [] if tool.spares_others else [plain(0.5)]
        tool.start(work.folder)
        request = work.load()
        stop_idle = tool.idle() if condition == "idle" else None
        if tool.spares_others:
            pairs = [(plain(1 / TURNS), traced(1 / TURNS)) for _ in range(TURNS)]
            without, within = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        else:
            within = [traced(1)]
        if stop_idle is not None:
            stop_idle()
        tool.finish()
        if not tool.spares_others:
            without.append(plain(0.5))
        return min(within) / min(without)


def shares_of(tool: Tool, workload_name: str) -> dict[str, float]:
    """Milliseconds by part of a request: see :func:`~benchmarks.recorder.shares.shares`."""
    from benchmarks.recorder.shares import shares  # of an engine that not every interpreter has

    with tempfile.TemporaryDirectory() as folder:
        twin = _import_twin(workloads.workload(workload_name, Path(folder) / "twin"))
        work = workloads.workload(workload_name, Path(folder))
        tool.start(work.folder)
        return shares(tool, work.load(), twin)


def wrong_sets(tool: Tool) -> tuple[int, int]:
    """(requests whose set is wrong or that raised, requests): eight threads, six kinds that share functions."""
    with tempfile.TemporaryDirectory() as folder:
        source = workloads.shared_source()
        package = Path(folder) / "bench_shared"
        package.mkdir()
        (package / "__init__.py").write_text("")
        (package / "application.py").write_text(source)
        first_line = {
            text.split("(")[0][4:]: number + 1
            for number, text in enumerate(source.splitlines(), start=1)
            if text.startswith("def ")
        }
        tool.start(package)
        sys.path.insert(0, folder)
        import bench_shared.application as application  # type: ignore[import-not-found]

        wrong = 0
        lock = threading.Lock()

        def requests_of(thread_number: int) -> None:
            nonlocal wrong
            for step in range(EXACT_REQUESTS // EXACT_THREADS):
                names = workloads.shared_kind((thread_number + step) % workloads.SHARED_KINDS)

                def request(names: list[str] = names) -> None:
                    for name in names:
                        getattr(application, name)(1)
                        time.sleep(0)

                try:
                    hits = tool.hits(tool.record(request))
                    if tool.lines:
                        right = hits == {first_line[name] + more for name in names for more in (0, 1)}
                    else:
                        right = hits == set(names)
                except Exception:
                    right = False
                if not right:
                    with lock:
                        wrong += 1

        sys.setswitchinterval(1e-6)
        _in_threads([lambda number=number: requests_of(number) for number in range(EXACT_THREADS)])  # type: ignore[misc]
        sys.setswitchinterval(0.005)
        tool.finish()
        return wrong, EXACT_REQUESTS


def _import_twin(twin: workloads.Workload) -> Callable[[], object]:
    request = twin.load()
    for name in [name for name in sys.modules if name.partition(".")[0] == twin.folder.name]:
        sys.modules.pop(name)
    sys.path.remove(str(twin.folder.parent))
    return request


def _timed(request: Callable[[], object], clock: workloads.Clock, condition: str, seconds: float) -> float:
    request()
    request()
    if condition != "busy":
        return workloads.seconds_of(request, clock, seconds, least=3)

    def several() -> None:
        for _ in range(REQUESTS_OF_A_BUSY_THREAD):
            request()

    return workloads.seconds_of(lambda: _in_threads([several] * BUSY_THREADS), clock, seconds, least=1)


def _in_threads(functions: list[Callable[[], Any]]) -> None:
    """Run them at once; whatever one of them raises is raised here."""
    errors: list[BaseException] = []

    def run(function: Callable[[], Any]) -> None:
        try:
            function()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(function,)) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def main() -> None:
    """``measure OUT TOOL WORKLOAD CONDITION SECONDS``, ``… WORKLOAD shares`` or ``… exact``: one JSON value into OUT.

    Not on stdout: some tools print there when they break.
    """
    out, name, *what = sys.argv[1:]
    tool = next(tool for tool in tools() if tool.name == name)
    value: Any
    if what == ["exact"]:
        value = wrong_sets(tool)
    elif what[1:] == ["shares"]:
        value = shares_of(tool, what[0])
    else:
        value = ratio(tool, what[0], what[1], float(what[2]))
    Path(out).write_text(json.dumps(value))
    os._exit(0)  # not every tool lets its threads and hooks end by themselves


if __name__ == "__main__":
    main()
