"""coverage.py's own reporters, about the data files of profiles: HTML, LCOV, Cobertura XML, Markdown.

They count the statements inside functions, as all figures of a report do, where a catalog says which these are: others
run when a module is imported, and would look missed in each profile but the one that happened to import it.

They run in child processes whose working directory is the checkout: coverage.py finds sources, and names them,
relative to that. The children are plain ones, as those of :mod:`otel_coverage.catalog.workers`: they read a line of
JSON for each task, and answer with one.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import warnings
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import IO, Any, cast

import coverage
from coverage.python import PythonFileReporter

from otel_coverage.coveragepy import close_data

_START = (
    "import sys; sys.path[:] = filter(None, sys.path); import json; sys.path[:] = json.loads(sys.argv[1]); "
    "from otel_coverage.reporting.profiles.renderer import serve; serve()"  # nothing of the working directory's
)
_CREATED = re.compile(r"(?<=created at )[^\n<]*")
_TIMESTAMP = re.compile(r'(?<= timestamp=")\d+')

HTML, LCOV, XML, MARKDOWN = "html", "lcov", "xml", "markdown"


@dataclass(frozen=True, slots=True)
class Task:
    """Something for coverage.py to write.

    Attributes:
        format: one of those of this module.
        data_file: absolute path of what it is about.
        path: absolute path of the file to write; of HTML the folder.
        title: of HTML pages.
        files: the files to show, as the data file names them; at least one.
        contexts: whether the lines of HTML pages say which profiles execute them.
        profile: whose it is; None where it is that of all.
    """

    format: str
    data_file: str
    path: str
    title: str
    files: Sequence[str]
    contexts: bool = False
    profile: str | None = None


def render(
    tasks: Sequence[Task],
    folder: str,
    rcfile: str | None,
    newest: datetime,
    statements: Mapping[str, Sequence[int]] | None = None,
) -> Generator[tuple[Task, str], None, None]:
    """Have coverage.py write what is wanted, on all processors; who has enough stops iterating.

    Args:
        tasks: what.
        folder: the checkout.
        rcfile: the coverage.py configuration that says which lines count.
        newest: the time that the files bear: same data, same bytes.
        statements: of each file the lines that count, by its name in data files; None for all.

    Yields:
        Each task, in their order, and why nothing was written; empty where it was.
    """
    if not tasks:
        return
    setup = {"folder": folder, "rcfile": rcfile, "newest": newest.timestamp(), "statements": statements}
    renderers = _Renderers(json.dumps(setup))
    executor = ThreadPoolExecutor(min(len(os.sched_getaffinity(0)), len(tasks)))
    try:
        futures = [executor.submit(renderers.perform, task) for task in tasks]
        for task, future in zip(tasks, futures, strict=True):
            yield task, future.result()
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
        renderers.stop()
        executor.shutdown()


class _Renderers:
    """A child process for each thread that has tasks for it.

    Args:
        setup: the first message to each child.
    """

    def __init__(self, setup: str) -> None:
        self._setup = setup
        self._lock = threading.Lock()
        self._children: dict[int, subprocess.Popen[bytes]] = {}  # by thread
        self._is_stopped = False

    def perform(self, task: Task) -> str:
        """Have a task done; returns why it was not."""
        try:
            child = self._child()
            to_child, from_child = cast("IO[bytes]", child.stdin), cast("IO[bytes]", child.stdout)
            to_child.write(json.dumps(asdict(task)).encode("ascii") + b"\n")
            to_child.flush()
            return str(json.loads(from_child.readline()))
        except (OSError, ValueError):
            return "the process that was to write it has ended"

    def stop(self) -> None:
        """End the children, whatever they do."""
        with self._lock:
            self._is_stopped = True
            children = list(self._children.values())
        for child in children:
            child.kill()
            with suppress(OSError):  # what was not written yet cannot be
                child.communicate()

    def _child(self) -> subprocess.Popen[bytes]:
        """This thread's, a new one where it has ended."""
        thread = threading.get_ident()
        with self._lock:
            child = self._children.get(thread)
            if self._is_stopped:
                raise OSError
            if child is None or child.poll() is not None:
                command = [sys.executable, "-c", _START, json.dumps(sys.path)]
                child = self._children[thread] = subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
                )
                cast("IO[bytes]", child.stdin).write(self._setup.encode("ascii") + b"\n")
        return child


def serve() -> None:
    """What a child does: the tasks that it reads, one after the other."""
    warnings.simplefilter("ignore")  # of the compiler about the source
    out = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)  # plug-ins of coverage.py may print, and stdout carries the answers
    setup = json.loads(sys.stdin.readline())
    newest = datetime.fromtimestamp(setup["newest"], timezone.utc)
    os.chdir(setup["folder"])
    if setup["statements"] is not None:
        _count_only(setup["statements"])
    for line in sys.stdin:
        problem = _write(Task(**json.loads(line)), setup["rcfile"], newest)
        print(json.dumps(problem), file=out, flush=True)


def _count_only(statements: Mapping[str, Sequence[int]]) -> None:
    """Have coverage.py, in this process, count some statements of files; of files that are not named, all."""
    counted = {name: frozenset(lines) for name, lines in statements.items()}
    every = PythonFileReporter.lines

    def lines(reporter: PythonFileReporter) -> set[int]:
        found = set(every(reporter))
        return found & counted.get(Path(reporter.relative_filename()).as_posix(), found)

    PythonFileReporter.lines = lines  # type: ignore[assignment, method-assign]


def _write(task: Task, rcfile: str | None, newest: datetime) -> str:
    """Do a task; returns why it was not done."""
    try:
        reporter = coverage.Coverage(data_file=task.data_file, config_file=rcfile or False)
        reporter.set_option("run:relative_files", True)
        reporter.load()
        try:
            _report(reporter, task)
        finally:
            close_data(reporter.get_data())
        _set_time(task, newest)
    except Exception as error:  # a plug-in is anybody's code
        return " ".join(f"{type(error).__name__}: {error}".split())
    return ""


def _report(reporter: coverage.Coverage, task: Task) -> None:
    common: dict[str, Any] = {"morfs": list(task.files), "ignore_errors": True}
    if task.format == HTML:
        reporter.html_report(
            directory=task.path,
            title=task.title,
            show_contexts=task.contexts,
            skip_covered=False,
            skip_empty=False,
            **common,
        )
    elif task.format == LCOV:
        reporter.lcov_report(outfile=task.path, **common)
    elif task.format == XML:
        reporter.xml_report(outfile=task.path, **common)
    else:
        with open(task.path, "w", encoding="utf-8") as file:
            reporter.report(output_format="markdown", file=file, skip_covered=False, **common)


def _set_time(task: Task, newest: datetime) -> None:
    """Put a time into what was written, in the place of now."""
    if task.format == HTML:
        stamp = newest.strftime("%Y-%m-%d %H:%M +0000")
        for page in Path(task.path).glob("*.html"):
            _replace(page, _CREATED, stamp)
    elif task.format == XML:
        _replace(Path(task.path), _TIMESTAMP, str(int(newest.timestamp() * 1000)))


def _replace(path: Path, pattern: re.Pattern[str], text: str) -> None:
    content = path.read_bytes().decode("utf-8", "surrogateescape")
    path.write_bytes(pattern.sub(text, content).encode("utf-8", "surrogateescape"))
