"""Analyzing files in several processes.

The processes are plain children that read a task and write a line of JSON for each file: unlike those of
``multiprocessing`` they neither import the caller's main module again nor continue a fork of its threads.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import astuple
from queue import SimpleQueue
from typing import IO, cast

from otel_coverage.catalog.analysis import Analyzed, Analyzer
from otel_coverage.errors import ConfigurationError
from otel_coverage.source import SourceFile

_START = (
    "import sys; sys.path[:] = filter(None, sys.path); import json; sys.path[:] = json.loads(sys.argv[1]); "
    "from otel_coverage.catalog.workers import serve; serve()"  # no module of the working directory's is in the way
)
_BYTES_A_PROCESS = 500_000  # of sources: what takes longer to analyze than a process to start

_Result = tuple[int, Analyzed] | ConfigurationError | None


def processes_for(files: Sequence[SourceFile]) -> int:
    """How many processes to analyze the files in; 1 where the time to start more would not be made up for."""
    worthwhile = sum(map(_size, files)) // _BYTES_A_PROCESS
    return max(1, min(len(os.sched_getaffinity(0)), len(files), worthwhile)) if sys.executable else 1


def analyze_in_processes(
    files: Sequence[SourceFile], rcfile: str | None, processes: int
) -> Iterator[tuple[SourceFile, Analyzed]]:
    """Each file with its outcome, in any order; those of a process that died are left out.

    Raises:
        ConfigurationError: coverage.py cannot use its configuration.
    """
    results: SimpleQueue[_Result] = SimpleQueue()
    children: list[subprocess.Popen[bytes]] = []
    threads: list[threading.Thread] = []
    try:
        for share in _shares(files, processes):
            child = subprocess.Popen(
                [sys.executable, "-c", _START, json.dumps(sys.path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            children.append(child)
            task = json.dumps([rcfile, [[index, *astuple(files[index])] for index in share]])
            threads.append(threading.Thread(target=_converse, args=(child, task.encode("ascii"), results)))
            threads[-1].start()
        remaining = len(children)
        while remaining:
            result = results.get()
            if result is None:
                remaining -= 1
            elif isinstance(result, ConfigurationError):
                raise result
            else:
                yield files[result[0]], result[1]
    finally:
        for child in children:
            child.kill()
        for thread in threads:
            thread.join()
        for child in children:
            child.wait()


def serve() -> None:
    """What a child does: analyze the files that it reads of, and write what it finds."""
    warnings.simplefilter("ignore")  # of the compiler about the source
    out = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)  # plug-ins of coverage.py may print, and stdout carries the results
    rcfile, share = json.load(sys.stdin.buffer)
    try:
        with Analyzer(rcfile) as analyzer:
            for index, *fields in share:
                found = analyzer.analyze(SourceFile(*fields))
                print(json.dumps([index, found.record()], separators=(",", ":")), file=out, flush=True)
    except ConfigurationError as error:
        print(json.dumps([None, str(error)]), file=out, flush=True)


def _converse(child: subprocess.Popen[bytes], task: bytes, results: SimpleQueue[_Result]) -> None:
    """Give a child its task, and queue its results; None at the end."""
    to_child, from_child = cast("IO[bytes]", child.stdin), cast("IO[bytes]", child.stdout)
    try:
        with suppress(OSError, ValueError, TypeError):  # it died: also in the middle of a line
            with to_child:
                to_child.write(task)
            for line in from_child:
                index, found = json.loads(line)
                results.put(ConfigurationError(found) if index is None else (index, Analyzed.from_record(found)))
    finally:
        with suppress(OSError):
            from_child.close()
        results.put(None)


def _shares(files: Sequence[SourceFile], count: int) -> list[list[int]]:
    """The indexes of the files in shares of about the same size."""
    shares: list[list[int]] = [[] for _ in range(count)]
    sizes = [0] * count
    for size, index in sorted(((_size(file), index) for index, file in enumerate(files)), reverse=True):
        smallest = sizes.index(min(sizes))
        shares[smallest].append(index)
        sizes[smallest] += size
    return shares


def _size(file: SourceFile) -> int:
    with suppress(OSError):
        return os.path.getsize(file.filename)
    return 0
