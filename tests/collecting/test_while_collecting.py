"""Other commands while ``otel-coverage collect`` has an embedded store locked."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import clickhouse_connect
import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from otel_coverage.errors import ConfigurationError
from otel_coverage.reporting.artifacts import ARTIFACTS
from otel_coverage.reporting.queries import select_revision
from otel_coverage.reporting.selection import select
from otel_coverage.store import Store, open_store, schema
from otel_coverage.store.known_names import checked
from otel_coverage.store.named_queries import named_queries
from tests.reporting.project import fill, make_project

PATIENCE = 60.0
COMMAND = [sys.executable, "-m", "otel_coverage"]
ENDPOINTS = ("OTLP/gRPC", "OTLP/HTTP", "ClickHouse HTTP")
FREE_PORTS = [f"--{name}-endpoint=127.0.0.1:0" for name in ("grpc", "http", "clickhouse")]


@dataclass
class Collecting:
    """A collector process, its endpoints by protocol, and what it said until it was ready."""

    process: subprocess.Popen[str]
    endpoints: dict[str, str]
    lines: list[str]

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send a signal and wait."""
        self.process.send_signal(number)
        self.process.communicate(timeout=PATIENCE)

    def export(self, *names: str) -> None:
        """Export spans to it, by OTLP over HTTP."""
        scope = ScopeSpans(spans=[Span(name=name, span_id=name.encode()) for name in names])
        message = ExportTraceServiceRequest(resource_spans=[ResourceSpans(scope_spans=[scope])])
        answer = httpx.post(
            f"http://{self.endpoints['OTLP/HTTP']}/v1/traces",
            content=message.SerializeToString(),
            headers={"Content-Type": "application/x-protobuf"},
            timeout=PATIENCE,
        )
        assert answer.status_code == 200, answer.text


@contextmanager
def collecting(dsn: str, *options: str, **environment: str) -> Iterator[Collecting]:
    with subprocess.Popen(
        [*COMMAND, "collect", "--store", dsn, *FREE_PORTS, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    ) as process:
        try:
            assert process.stdout is not None
            lines = []
            while (line := process.stdout.readline()) and not line.startswith("ready; "):
                lines.append(line)
            found = [re.fullmatch(r"listening on (\S+) \((.+)\)\n", line) for line in lines]
            yield Collecting(process, {line[2]: line[1] for line in found if line is not None}, lines)
        finally:
            process.kill()


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, check=False, timeout=PATIENCE)


def names(dsn: str) -> list[str]:
    asked = run("query", "--sql", "SELECT SpanName AS name FROM otel_traces ORDER BY name", "--store", dsn)
    assert asked.returncode == 0, asked.stderr
    return [record["name"] for record in json.loads(asked.stdout)]


def test_query_and_report_read_through_the_collector_that_holds_the_store(tmp_path: Path) -> None:
    dsn = f"chdb://{tmp_path}/store"
    (tmp_path / "shop.py").write_text("def f():\n    return 1\n")
    with collecting(dsn) as collector:
        assert tuple(collector.endpoints) == ENDPOINTS
        collector.export("a", "b")
        assert names(dsn) == ["a", "b"]
        collector.export("c")
        assert names(dsn) == ["a", "b", "c"]
        listed = run("query", "gaps", "--store", dsn, "--format", "csv")
        assert listed.returncode == 0
        assert listed.stderr.startswith("otel-coverage: no rows: nothing that an application recorded")
        assert listed.stdout.startswith("symbol,kind,module,")
        reported = run("report", "--store", dsn, "--out", f"{tmp_path}/out", "--source", str(tmp_path / "shop.py"))
        collector.end()
        stopped = run("report", "--store", dsn, "--out", f"{tmp_path}/out", "--source", str(tmp_path / "shop.py"))
    assert (reported.returncode, reported.stdout) == (stopped.returncode, stopped.stdout)
    assert reported.stderr == stopped.stderr
    assert names(dsn) == ["a", "b", "c"]


def write_artifacts(store: Store, folder: Path) -> None:
    folder.mkdir()
    queries = select_revision(store, services=["web"], profiles=["b*"])
    for write in ARTIFACTS.values():
        write(queries, folder)


def fill_and_write(folder: str) -> None:
    """In a process of its own: the engine opens one folder a process, and has that of other tests here."""
    with open_store(f"chdb://{folder}/store", create=True) as store:
        schema.apply(store)
        fill(store, make_project(Path(folder, "project")))
        write_artifacts(store, Path(folder, "direct"))


def test_the_files_of_a_report_have_the_same_bytes_through_the_collector(tmp_path: Path) -> None:
    dsn = f"chdb://{tmp_path}/store"
    program = f"from {__name__} import fill_and_write; fill_and_write({str(tmp_path)!r})"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=PATIENCE)
    with collecting(dsn), open_store(dsn, read_only=True) as store:
        write_artifacts(store, tmp_path / "through")
    direct, through = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("direct", "through")
    )
    assert through == direct
    assert b"shop.orders:place@27" in direct["matrix.csv"]


def test_every_named_query_can_be_asked_through_the_collector_about_some_runs_profiles_and_services(
    tmp_path: Path,
) -> None:
    """With names that have to be quoted; and names are checked before."""
    dsn = f"chdb://{tmp_path}/store"
    with collecting(dsn), open_store(dsn, read_only=True) as store:
        for query in named_queries():
            known = {parameter.name for parameter in query.parameters}
            needed = {parameter.name: "" for parameter in query.parameters if parameter.default is None}
            chosen = {"runs": ["it's", "\\"], "profiles": ["a,b", ""], "services": ["\t"]}
            query.ask(store, {**needed, **{name: names for name, names in chosen.items() if name in known}})
        assert select(store, profiles=()).parameters == {}
        for name in ("revision", "profile", "runs", "services", "module"):
            with pytest.raises(ConfigurationError, match="it has none"):
                checked(store, {"namespace": "", name: "x"})


def test_the_endpoint_file_is_readable_by_its_owner_only_and_removed_at_the_end(tmp_path: Path) -> None:
    dsn, folder = f"chdb://{tmp_path}/store", tmp_path / "store"
    with collecting(dsn, OTEL_COVERAGE_CLICKHOUSE_PASSWORD="secret") as collector:
        (endpoint_file,) = folder.glob("otel-coverage-collector*")
        assert endpoint_file.stat().st_mode & 0o777 == 0o600
        assert names(dsn) == []
        host, port = collector.endpoints["ClickHouse HTTP"].split(":")
        refused = httpx.get(f"http://{host}:{port}/", params={"query": "SELECT 1"}, timeout=PATIENCE)
        assert refused.status_code == 403
        with clickhouse_connect.get_client(host=host, port=int(port), username="default", password="secret") as client:
            assert client.query("SELECT 1").result_rows == [(1,)]
        collector.end()
    assert list(folder.glob("otel-coverage-collector*")) == []


def select_one(collector: Collecting, password: str) -> str:
    """What the endpoint says to SELECT 1: the answer, or the code of its refusal."""
    answer = httpx.get(
        f"http://{collector.endpoints['ClickHouse HTTP']}/",
        params={"query": "SELECT 1"},
        headers={"X-ClickHouse-User": "default", "X-ClickHouse-Key": password},
        timeout=PATIENCE,
    )
    return answer.text.strip() if answer.status_code == 200 else answer.headers["X-ClickHouse-Exception-Code"]


def test_by_default_the_endpoint_asks_for_a_secret_that_only_the_stores_owner_can_read(tmp_path: Path) -> None:
    dsn, secret = f"chdb://{tmp_path}/store", tmp_path / "store" / "otel-coverage-password"
    with collecting(dsn) as collector:
        collector.export("a")
        assert collector.lines[-1] == f"ClickHouse clients: user default, password in {secret}\n"
        password = secret.read_text().strip()
        assert len(password) >= 40
        answers = [select_one(collector, tried) for tried in ("", password[:-1], password)]
        assert answers == ["516", "516", "1"]
        assert names(dsn) == ["a"]
        collector.end()
    with collecting(dsn) as collector:  # the same one, so that other clients need not be told again
        assert select_one(collector, password) == "1"
        collector.end()
    open_to_others = [path for path in (tmp_path / "store").rglob("*") if path.lstat().st_mode & 0o077]
    assert (tmp_path / "store").stat().st_mode & 0o777 == 0o700
    assert [path for path in open_to_others if not path.is_symlink()] == []


@pytest.mark.parametrize(
    ("mode", "content", "said"), [(0o640, "abc", "other users may have read the secret"), (0o600, "", "is empty")]
)
def test_a_secret_that_is_none_is_an_error(tmp_path: Path, mode: int, content: str, said: str) -> None:
    store, secret = tmp_path / "store", tmp_path / "store" / "otel-coverage-password"
    store.mkdir(mode=0o700)
    secret.write_text(content)
    secret.chmod(mode)
    refused = run("collect", "--store", f"chdb://{store}", *FREE_PORTS)
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"otel-coverage: {secret}: ")
    assert said in refused.stderr
    assert "delete it" in refused.stderr


def test_a_folder_that_other_users_may_enter_is_mentioned(tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    store.chmod(0o755)
    with collecting(f"chdb://{store}") as collector:
        collector.process.send_signal(signal.SIGTERM)
        _, error = collector.process.communicate(timeout=PATIENCE)
    assert f"{store}: other users may enter the folder (mode 755); chmod 700 makes it private\n" in error


def test_the_password_can_come_from_a_file(tmp_path: Path) -> None:
    dsn, file = f"chdb://{tmp_path}/store", tmp_path / "password"
    file.write_text("from a file\n")
    for options, environment in (
        ([f"--clickhouse-password-file={file}"], {}),
        ([], {"OTEL_COVERAGE_CLICKHOUSE_PASSWORD_FILE": str(file)}),
    ):
        with collecting(dsn, *options, **environment) as collector:
            assert [select_one(collector, tried) for tried in ("", "from a file")] == ["516", "1"]
            assert names(dsn) == []
            collector.end()
    assert not (tmp_path / "store" / "otel-coverage-password").exists()


def test_a_password_file_that_gives_none_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "password"
    for prepare, options, said in (
        (lambda: None, [], f"otel-coverage: --clickhouse-password-file {file}: cannot be read: "),
        (
            lambda: file.write_text("\nx"),
            [],
            f"otel-coverage: --clickhouse-password-file {file}: its first line is empty",
        ),
        (lambda: None, ["--clickhouse-password=x"], "otel-coverage: --clickhouse-password and --clickhouse-password-f"),
    ):
        prepare()
        options = ["--store", f"chdb://{tmp_path}/store", f"--clickhouse-password-file={file}", *options]
        refused = run("collect", *options, *FREE_PORTS)
        assert refused.returncode == 2
        assert refused.stderr.startswith(said)
    assert not (tmp_path / "store").exists()


def test_the_endpoint_file_of_a_killed_collector_is_ignored(tmp_path: Path) -> None:
    dsn, folder = f"chdb://{tmp_path}/store", tmp_path / "store"
    with collecting(dsn) as collector:
        collector.export("a")
        collector.end(signal.SIGKILL)
    assert len(list(folder.glob("otel-coverage-collector*"))) == 1
    assert names(dsn) == ["a"]
    with collecting(dsn, "--clickhouse-endpoint=none") as second:
        held = run("query", "--sql", "SELECT 1", "--store", dsn)
        assert held.returncode == 2
        assert held.stderr.startswith(f"otel-coverage: {dsn}: held by process {second.process.pid} (")
        second.end()
    with collecting(dsn):
        assert names(dsn) == ["a"]


def test_commands_that_begin_while_the_collector_starts_wait_for_their_turn_or_ask_it(tmp_path: Path) -> None:
    dsn = f"chdb://{tmp_path}/store"
    assert run("schema", "apply", "--store", dsn).returncode == 0
    query = [*COMMAND, "query", "--sql", "SELECT 1 AS one", "--store", dsn]
    asked = [subprocess.Popen(query, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    with collecting(dsn):
        asked.append(subprocess.Popen(query, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        answers = [process.communicate(timeout=PATIENCE) for process in asked]
    assert [(json.loads(answer), said) for answer, said in answers] == [([{"one": 1}], "")] * 3


def symbols(dsn: str) -> list[str]:
    asked = run("query", "--sql", "SELECT revision, qualname FROM code_symbols ORDER BY ALL", "--store", dsn)
    assert asked.returncode == 0, asked.stderr
    return [f"{record['revision']} {record['qualname']}" for record in json.loads(asked.stdout)]


def test_a_catalog_can_be_pushed_while_the_collector_holds_the_store(tmp_path: Path) -> None:
    dsn, module = f"chdb://{tmp_path}/store", tmp_path / "shop.py"
    push = ["catalog", "push", "--store", dsn, "--source", str(module), "--revision"]
    with collecting(dsn) as collector:
        module.write_text("def f():\n    return 1\n\ndef g():\n    return 2\n")
        for revision in ("a", "b"):
            pushed = run(*push, revision)
            assert (pushed.returncode, pushed.stdout) == (0, f"pushed 2 symbols of revision {revision}\n"), (
                pushed.stderr
            )
        module.write_text("def f():\n    return 1\n\ndef h():\n    return 2\n")
        assert run(*push, "b").returncode == 0  # which replaces the one before
        assert symbols(dsn) == ["a f", "a g", "b f", "b h"]
        collector.export("a")
        collector.end()
    assert symbols(dsn) == ["a f", "a g", "b f", "b h"]
    assert run(*push, "a").returncode == 0
    assert symbols(dsn) == ["a f", "a h", "b f", "b h"]


def test_a_store_is_exported_through_the_collector_that_holds_it_and_imported_into_another(tmp_path: Path) -> None:
    dsn, copy = f"chdb://{tmp_path}/store", f"chdb://{tmp_path}/copy"
    file, module = tmp_path / "night.store", tmp_path / "shop.py"
    module.write_text("def f():\n    return 1\n")
    with collecting(dsn):
        assert run("catalog", "push", "--store", dsn, "--source", str(module), "--revision", "a").returncode == 0
        exported = run("store", "export", str(file), "--store", dsn)
        refused = run("store", "import", str(file), "--store", dsn)
    assert (exported.returncode, exported.stderr) == (0, "")
    assert refused.returncode == 2
    assert "held by process" in refused.stderr
    imported = run("store", "import", str(file), "--store", copy)
    assert (imported.returncode, imported.stderr) == (0, "")
    assert symbols(copy) == ["a f"]


def test_a_command_that_writes_names_the_process_that_holds_the_store(tmp_path: Path) -> None:
    dsn = f"chdb://{tmp_path}/store"
    with collecting(dsn) as collector:
        refused = run("schema", "apply", "--store", dsn)
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"otel-coverage: {dsn}: held by process {collector.process.pid} (")
    assert refused.stderr.count("\n") == 1


@pytest.mark.parametrize(("option", "protocol"), [("http", "OTLP/HTTP"), ("clickhouse", "ClickHouse HTTP")])
def test_the_error_for_a_port_in_use_names_the_option(tmp_path: Path, option: str, protocol: str) -> None:
    with collecting(f"chdb://{tmp_path}/first") as collector:
        taken = collector.endpoints[protocol]
        second = run("collect", "--store", f"chdb://{tmp_path}/second", *FREE_PORTS, f"--{option}-endpoint={taken}")
    assert (second.returncode, second.stdout) == (2, "")
    assert second.stderr == (
        f"otel-coverage: cannot listen on {taken}: Address already in use; "
        f"set --{option}-endpoint to another address or to none\n"
    )
    assert not (tmp_path / "second").exists()


def test_a_clickhouse_endpoint_that_other_machines_can_reach_needs_a_password(tmp_path: Path) -> None:
    options = ["--grpc-endpoint=none", "--http-endpoint=none", "--clickhouse-endpoint=0.0.0.0:0", "--allow-remote"]
    options += ["--clickhouse-password="]
    refused = run("collect", "--store", f"chdb://{tmp_path}/store", *options)
    assert refused.returncode == 2
    assert refused.stderr == (
        "otel-coverage: --clickhouse-endpoint 0.0.0.0:0 is reachable from other machines; "
        "set a password in OTEL_COVERAGE_CLICKHOUSE_PASSWORD, or leave out the empty --clickhouse-password\n"
    )
    assert list(tmp_path.iterdir()) == []
