"""Processes that traced code starts: each has a span of its own in the same trace, with what it executed."""

from __future__ import annotations

import inspect
import multiprocessing.forkserver
import os
import sys
from pathlib import Path

import pytest

from otel_coverage.instrumentation.environment import child_environment
from tests.support.collector import Collector, ReceivedSpan
from tests.support.commands import RUN, call, wait_until_sent

TRACE = "1" * 32
CHORES = """
import sys

def in_parent(): pass
def in_child(*_): return 7
def in_other_child(*_): pass
def set_up(): pass
def on_import(): pass
def forever(begun):
    begun.set()
    import time
    time.sleep(600)
def failing(): raise LookupError("nothing")
def deeper():
    import subprocess
    subprocess.run([sys.executable, "-c", "import chores; chores.in_child()"], check=True)
"""
HEAD = """
import sys, os, multiprocessing, subprocess, chores
from concurrent.futures import ProcessPoolExecutor
chores.on_import()
"""


def play(
    program: str, folder: Path, collector: Collector, *, run: tuple[str, ...] = RUN, **environment: str
) -> list[ReceivedSpan]:
    """Run a program that is traced by its environment. Returns its spans and those of what it started."""
    (folder / "chores.py").write_text(CHORES)
    (folder / "program.py").write_text(HEAD + program)
    done = call(
        [*run, sys.executable, "program.py"],
        folder,
        OTEL_COVERAGE_ENABLED="1",
        OTEL_COVERAGE_SOURCE=str(folder / "chores.py"),
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint,
        PYTHONPATH=str(folder),
        **{
            "TRACEPARENT": f"00-{TRACE}-{'2' * 16}-01",
            "BAGGAGE": "playback.profile=nightly,playback.run_id=run-1",
            **environment,
        },
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    wait_until_sent()
    return collector.spans


def family(spans: list[ReceivedSpan]) -> dict[str, list[set[str]]]:
    """What the first process and each of its children executed; all spans are complete and of one trace.

    A thread that an ended process left behind, as asyncio's watcher of children is, may have a part written.
    """
    spans = [span for span in spans if span.role != "counts"]
    for span in spans:
        assert span.trace_id == TRACE
        assert span.attributes["playback.profile"] == "nightly"
        assert span.attributes["coverage.complete"] is True
        assert span.role in {"process", "part"}
    entries = [span for span in spans if span.role == "process"]
    (first,) = [span for span in entries if span.parent_id == "2" * 16]
    assert {span.parent_id for span in entries if span is not first} <= {first.span_id}
    executed = {span.span_id: {name.partition(":")[2] for name in span.functions} for span in entries}
    for part in spans:
        if part.role == "part":
            executed[part.parent_id] |= {name.partition(":")[2] for name in part.functions}
    others = sorted((names for span_id, names in executed.items() if span_id != first.span_id), key=sorted)
    return {"first": [executed[first.span_id]], "others": others}


def imports_anew(method: str) -> bool:
    """Whether each child imports the main module; newer forkservers do so once, for all children."""
    once = "init_main_from_path" in inspect.getsource(multiprocessing.forkserver)
    return method == "spawn" or (method == "forkserver" and not once)


COMMANDS = {
    "subprocess.run": "subprocess.run(COMMAND, check=True)",
    "with an environment": "subprocess.run(COMMAND, check=True, env={**os.environ, 'OWN': '1'})",
    "with all arguments": "subprocess.Popen(COMMAND, -1, None, None, None, None, None, True, False, None, None).wait()",
    "with a preexec_fn": "subprocess.run(COMMAND, check=True, preexec_fn=lambda: None)",
    "a shell": "subprocess.check_output(' '.join(COMMAND[:1]) + ' child.py', shell=True)",
    "os.popen": "os.popen(COMMAND[0] + ' child.py').close()",
    "asyncio": "import asyncio; asyncio.run(asyncio.wait_for(spawned(), 30))",
    "a thread": "import threading as t; it = t.Thread(target=subprocess.run, args=(COMMAND,)); it.start(); it.join()",
    "gevent.subprocess": "import gevent.subprocess; gevent.subprocess.Popen(COMMAND).wait()",
    "gevent.monkey": ("from gevent import monkey; monkey.patch_subprocess(); subprocess.run(COMMAND, check=True)"),
}


@pytest.mark.row("command")
@pytest.mark.parametrize("start", COMMANDS.values(), ids=COMMANDS)
def test_a_command_is_recorded_in_a_span_of_its_own(start: str, collector: Collector, tmp_path: Path) -> None:
    (tmp_path / "child.py").write_text("import chores; chores.in_child()")
    spans = play(
        f"""
COMMAND = [sys.executable, "child.py"]
async def spawned():
    import asyncio
    await (await asyncio.create_subprocess_exec(*COMMAND)).wait()
chores.in_parent()
{start}
""",
        tmp_path,
        collector,
    )
    assert family(spans) == {"first": [{"on_import", "in_parent"}], "others": [{"in_child"}]}


UNFOLLOWED = {
    "os.system": ("untraced_process", "os.system(' '.join(COMMAND))"),
    "os.posix_spawn": ("untraced_process", "os.waitpid(os.posix_spawn(COMMAND[0], COMMAND, NONE), 0)"),
    "os.posix_spawnp": ("untraced_process", "os.waitpid(os.posix_spawnp(COMMAND[0], COMMAND, NONE), 0)"),
    "os.spawnv": ("fork", "os.spawnv(os.P_WAIT, COMMAND[0], COMMAND)"),
    "os.fork": ("fork", "child = os.fork() or (chores.in_child(), os._exit(0)); os.waitpid(child, 0)"),
    "pty.fork": ("fork", "import pty; child = pty.fork()[0] or (chores.in_child(), os._exit(0)); os.waitpid(child, 0)"),
}


@pytest.mark.row("program that gets no context")
@pytest.mark.parametrize(("reason", "start"), UNFOLLOWED.values(), ids=UNFOLLOWED)
def test_what_starts_a_program_without_its_context_is_incomplete(
    reason: str, start: str, collector: Collector, tmp_path: Path
) -> None:
    program = f"""
NONE = {{}}
COMMAND = [sys.executable, "-c", "pass"]
for name in ("OTEL_COVERAGE_ENABLED", "BAGGAGE"):
    del os.environ[name]
chores.in_parent()
{start}
"""
    (span,) = play(program, tmp_path, collector)
    assert span.functions == {"chores:on_import", "chores:in_parent"}
    assert (span.attributes["coverage.complete"], span.attributes["coverage.incomplete_reason"]) == (False, reason)


REPLACEMENTS = {
    "os.execv": "os.execv(COMMAND[0], COMMAND)",
    "os.execvp": "os.execvp('python-that-is-nowhere', COMMAND)",
    "os.execlpe": "os.execlpe(COMMAND[0], *COMMAND, {**os.environ, 'OWN': '1'})",
}


@pytest.mark.row("program that gets no context")
@pytest.mark.parametrize("replace", REPLACEMENTS.values(), ids=REPLACEMENTS)
def test_what_a_process_executed_is_sent_before_it_is_replaced_by_another_program(
    replace: str, collector: Collector, tmp_path: Path
) -> None:
    (tmp_path / "child.py").write_text("import chores; chores.in_child()")
    program = f"""
COMMAND = [sys.executable, "child.py"]
chores.in_parent()
try:
    {replace}
except FileNotFoundError:  # in no folder of PATH
    chores.in_other_child()
    os.execv(COMMAND[0], COMMAND)
"""
    spans = play(program, tmp_path, collector)
    first, second = sorted(spans, key=lambda span: span.attributes["coverage.complete"])
    also = {"chores:in_other_child"} if "nowhere" in replace else set()
    assert first.functions == {"chores:on_import", "chores:in_parent"} | also
    assert first.attributes["coverage.incomplete_reason"] == "untraced_process"
    assert second.functions == {"chores:in_child"}  # the environment still names the playback that started the first
    assert {span.parent_id for span in spans} == {"2" * 16}


def test_a_command_is_followed_where_subprocess_starts_it_by_posix_spawn(collector: Collector, tmp_path: Path) -> None:
    program = """
used = []
plain = os.posix_spawn
def counting(*args, **kwargs):
    used.append(args)
    return plain(*args, **kwargs)
os.posix_spawn = counting
subprocess.run([sys.executable, "-c", "import chores; chores.in_child()"], close_fds=False, check=True)
assert used
"""
    assert family(play(program, tmp_path, collector))["others"] == [{"in_child"}]


def test_a_process_that_ends_before_its_daemon_threads_is_incomplete(collector: Collector, tmp_path: Path) -> None:
    program = """
import threading
begun = threading.Event()
threading.Thread(target=chores.forever, args=(begun,), daemon=True).start()
begun.wait()
"""
    spans = play(program, tmp_path, collector)
    assert {name for span in spans for name in span.functions} == {"chores:on_import", "chores:forever"}
    details = {span.attributes.get("coverage.incomplete_detail") for span in spans}
    # the entry span is sent before the rest of its entry is waited for
    assert details == {None, "a thread that it started was still running as the process ended"}


def test_a_fork_outside_of_any_entry_marks_none(collector: Collector, tmp_path: Path) -> None:
    program = """
from opentelemetry import context
token = context.attach(context.Context())
child = os.fork()
if child == 0:
    os._exit(0)
os.waitpid(child, 0)
context.detach(token)
"""
    (span,) = play(program, tmp_path, collector)
    assert span.attributes["coverage.complete"] is True


def test_a_command_of_a_command_is_its_child(collector: Collector, tmp_path: Path) -> None:
    program = "subprocess.run([sys.executable, '-c', 'import chores; chores.deeper()'], check=True)"
    spans = {span.span_id: span for span in play(program, tmp_path, collector)}
    (last,) = [span for span in spans.values() if span.functions == {"chores:in_child"}]
    assert spans[last.parent_id].functions == {"chores:deeper"}
    assert spans[spans[last.parent_id].parent_id].parent_id == "2" * 16


def test_an_environment_that_names_another_trace_is_left_alone(collector: Collector, tmp_path: Path) -> None:
    program = """
environ = {**os.environ, "TRACEPARENT": "00-" + "3" * 32 + "-" + "4" * 16 + "-01", "BAGGAGE": "playback.profile=other"}
subprocess.run([sys.executable, "-c", "import chores; chores.in_child()"], env=environ, check=True)
"""
    spans = play(program, tmp_path, collector)
    assert {(span.trace_id[0], span.attributes["playback.profile"]) for span in spans} == {
        ("1", "nightly"),
        ("3", "other"),
    }


def test_an_untraced_process_passes_no_context_to_its_children(collector: Collector, tmp_path: Path) -> None:
    program = "subprocess.run([sys.executable, '-c', 'import os; assert not os.environ.get(\"BAGGAGE\")'], check=True)"
    assert play(program, tmp_path, collector, BAGGAGE="", TRACEPARENT="") == []


@pytest.mark.row("multiprocessing", "Process")
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_multiprocessing_process_is_recorded_from_its_start_to_its_end(
    method: str, collector: Collector, tmp_path: Path
) -> None:
    spans = play(
        f"""
if __name__ == "__main__":
    chores.in_parent()
    process = multiprocessing.get_context("{method}").Process(target=chores.in_child)
    process.start()
    process.join()
    assert process.exitcode == 0
""",
        tmp_path,
        collector,
    )
    imported = {"on_import"} if imports_anew(method) else set()
    assert family(spans) == {"first": [{"on_import", "in_parent"}], "others": [{"in_child"} | imported]}
    assert {span.name for span in spans if "in_child" in str(span.functions)} == {"process in_child"}


def test_the_span_of_a_process_that_fails_has_its_exit_code(collector: Collector, tmp_path: Path) -> None:
    program = """
if __name__ == "__main__":
    process = multiprocessing.get_context("fork").Process(target=sys.exit, args=(3,))
    process.start()
    process.join()
    assert process.exitcode == 3
"""
    (span,) = [span for span in play(program, tmp_path, collector) if "process.exit.code" in span.attributes]
    assert (span.status, span.attributes["process.exit.code"]) == ("ERROR", 3)


@pytest.mark.row("multiprocessing", "ProcessPoolExecutor")
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_tasks_of_a_process_pool_belong_to_the_context_that_submitted_them(
    method: str, collector: Collector, tmp_path: Path
) -> None:
    spans = play(
        f"""
from opentelemetry import context
if __name__ == "__main__":
    method = multiprocessing.get_context("{method}")
    with ProcessPoolExecutor(1, mp_context=method, initializer=chores.set_up) as pool:
        assert pool.submit(chores.in_child, 1).result() == 7
        token = context.attach(context.Context())
        pool.submit(chores.in_other_child).result()
        context.detach(token)
        assert list(pool.map(chores.in_child, range(4), chunksize=2)) == [7] * 4
        try:
            pool.submit(chores.failing).result()
        except LookupError:
            chores.in_parent()
""",
        tmp_path,
        collector,
    )
    # a worker imports the main module for the entry that started it
    begun = [] if method == "fork" else [{"on_import"} if imports_anew(method) else set()]
    assert family(spans) == {
        "first": [{"on_import", "in_parent"}],
        "others": sorted([*[{"in_child"}] * 3, {"failing"}, {"set_up"}, *begun], key=sorted),
    }
    assert [span.events for span in spans if span.status == "ERROR"] == [("exception",)]


@pytest.mark.row("multiprocessing", "Pool")
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_tasks_of_a_pool_arrive_although_its_workers_are_killed(
    method: str, collector: Collector, tmp_path: Path
) -> None:
    spans = play(
        f"""
if __name__ == "__main__":
    with multiprocessing.get_context("{method}").Pool(1, chores.set_up) as pool:
        assert pool.apply(chores.in_child) == 7
        assert pool.map(chores.in_child, range(4), chunksize=2) == [7] * 4
        assert pool.starmap(chores.in_child, [(1, 2)]) == [7]
        assert list(pool.imap(chores.in_child, [1])) == [7]
        assert list(pool.imap_unordered(chores.in_child, [1, 2], chunksize=2)) == [7] * 2
        assert pool.apply_async(func=chores.in_child, args=()).get() == 7
""",
        tmp_path,
        collector,
    )
    found = family(spans)
    assert found["others"].count({"in_child"}) == 7
    assert found["others"].count({"set_up"}) == 1
    assert found["first"] == [{"on_import"}]


@pytest.mark.row("multiprocessing", "ThreadPool")
def test_a_pool_of_threads_runs_tasks_in_the_context_that_submitted_them(collector: Collector, tmp_path: Path) -> None:
    spans = play(
        """
from multiprocessing.pool import ThreadPool
from opentelemetry import context
token = context.attach(context.Context())
pool = ThreadPool(1)
pool.apply(chores.in_other_child)
context.detach(token)
pool.apply(chores.in_child)
pool.map(chores.in_child, [1])
pool.close()
pool.join()
""",
        tmp_path,
        collector,
    )
    assert family(spans) == {"first": [{"on_import", "in_child"}], "others": []}


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_children_of_a_process_that_was_instrumented_in_code_are_as_well(
    method: str, collector: Collector, tmp_path: Path
) -> None:
    program = f"""
if __name__ == "__main__":
    import otel_coverage
    otel_coverage.instrument(granularity="function")
    process = multiprocessing.get_context("{method}").Process(target=chores.in_child)
    process.start()
    process.join()
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("{method}")) as pool:
        assert pool.submit(chores.in_other_child).exception() is None
"""
    spans = play(program, tmp_path, collector, run=())
    assert family(spans) == {"first": [set()], "others": [{"in_child"}, {"in_other_child"}]}
    assert {span.attributes["coverage.granularity"] for span in spans} == {"function"}


def test_variables_that_a_caller_sets_for_a_command_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {b"BYTES": b"1", "OWN": "2"}
    assert child_environment(given) == given
    monkeypatch.setenv("BAGGAGE", "stale=1")
    assert child_environment({**os.environ}) == {name: os.environ[name] for name in os.environ if name != "BAGGAGE"}


SERVED = """
import flask, chores, os, sys, time
app = flask.Flask("app")

@app.get("/")
def view():
    chores.in_parent()
    if os.fork() == 0:
        time.sleep(0.5)  # its spans would arrive last
        chores.in_child()
    return "both"
"""
CONTINUED = {
    "server": SERVED + "app.test_client().get('/', headers={'X-Profile-Trace': 'nightly'})",
    "consumer": """
import chores, os, sys, time, otel_coverage
with otel_coverage.attached({"baggage": "playback.profile=nightly"}):
    chores.in_parent()
    if os.fork() == 0:
        time.sleep(0.5)
        chores.in_child()
""",
    "producer": """
import chores, os, sys, time, otel_coverage
from opentelemetry import trace
with otel_coverage.attached({"baggage": "playback.profile=nightly"}):
    with trace.get_tracer("t").start_as_current_span("send", kind=trace.SpanKind.PRODUCER):
        chores.in_parent()
        if os.fork() == 0:
            time.sleep(0.5)
            chores.in_child()
""",
}


@pytest.mark.row("program that gets no context", "child of os.fork that runs on")
@pytest.mark.parametrize("role", CONTINUED)
def test_the_spans_that_a_forked_child_runs_on_in_are_exported_by_its_parent_alone(
    role: str, collector: Collector, tmp_path: Path
) -> None:
    spans = play(CONTINUED[role], tmp_path, collector, BAGGAGE="", TRACEPARENT="")
    assert len({span.span_id for span in spans}) == len(spans)
    (span,) = [span for span in spans if span.role in ("server", "consumer")]
    assert span.functions == {"chores:in_parent"}
    assert (span.attributes["coverage.complete"], span.attributes["coverage.incomplete_reason"]) == (False, "fork")
    assert len([span for span in spans if span.role == role]) == 1


WAITING = """
import otel_coverage.instrumentation.propagation as propagation
propagation.flush = lambda seconds: print("waited", flush=True)
process = multiprocessing.get_context("fork").Process(target=chores.in_child)
process.start()
process.join()
"""


@pytest.mark.parametrize(("baggage", "output"), [("", ""), ("playback.profile=nightly", "waited\n")])
def test_without_a_spool_only_a_child_that_is_traced_waits_until_its_spans_are_sent(
    baggage: str, output: str, collector: Collector, tmp_path: Path
) -> None:
    (tmp_path / "chores.py").write_text(CHORES)
    done = call(
        [*RUN, sys.executable, "-c", HEAD + WAITING],
        tmp_path,
        OTEL_COVERAGE_ENABLED="1",
        OTEL_COVERAGE_SOURCE=str(tmp_path / "chores.py"),
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint,
        OTEL_COVERAGE_SPOOL="off",
        PYTHONPATH=str(tmp_path),
        BAGGAGE=baggage,
    )
    assert (done.returncode, done.stdout) == (0, output), done.stderr
