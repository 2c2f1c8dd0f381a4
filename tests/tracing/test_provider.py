"""The tracer provider and its resource. Each test runs a process, since the provider is global."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from otel_coverage.errors import ConfigurationError
from otel_coverage.tracing.export.provider import exporter_makers, flush

PROLOGUE = """
import json, os
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from otel_coverage.settings import Settings
from otel_coverage.tracing.export import provider as providers
settings = Settings(enabled=True, source=(os.getcwd(),))
"""


def run(code: str, folder: Path, **environment: str) -> Any:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    done = subprocess.run(
        [sys.executable, "-c", PROLOGUE + code],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**clean, "OTEL_TRACES_EXPORTER": "none", **environment},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


SHOW_RESOURCE = "print(json.dumps({**providers.equip(settings).resource.attributes}))"


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    return subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text("x = 1\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "app.py")
    git(tmp_path, "commit", "-q", "-m", "one")
    return tmp_path


def test_the_revision_comes_from_git(checkout: Path) -> None:
    head = git(checkout, "rev-parse", "HEAD")
    resource = run(SHOW_RESOURCE, checkout, OTEL_SERVICE_NAME="shop")
    assert resource["vcs.ref.head.revision"] == head
    assert resource["service.version"] == head
    assert resource["service.name"] == "shop"


def test_a_revision_that_is_set_is_kept(checkout: Path) -> None:
    resource = run(
        SHOW_RESOURCE, checkout, OTEL_RESOURCE_ATTRIBUTES="vcs.ref.head.revision=abc,service.namespace=front"
    )
    assert resource["vcs.ref.head.revision"] == "abc"
    assert resource["service.version"] == "abc"
    assert resource["service.namespace"] == "front"


def test_a_version_that_is_set_is_kept_beside_the_revision(checkout: Path) -> None:
    resource = run(SHOW_RESOURCE, checkout, OTEL_RESOURCE_ATTRIBUTES="service.version=7")
    assert resource["service.version"] == "7"
    assert resource["vcs.ref.head.revision"] == git(checkout, "rev-parse", "HEAD")


def test_outside_git_the_revision_is_unknown_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("")
    resource = run(SHOW_RESOURCE, tmp_path, GIT_CEILING_DIRECTORIES=str(tmp_path.parent))
    assert resource["vcs.ref.head.revision"] == resource["service.version"] == "unknown"


def test_the_applications_own_provider_is_used_and_equipped_once(tmp_path: Path) -> None:
    code = """
own = TracerProvider()
trace.set_tracer_provider(own)
same = [providers.equip(settings) is own for _ in range(3)]
count = len(own._active_span_processor._span_processors)
print(json.dumps([same, count]))
"""
    assert run(code, tmp_path) == [[True, True, True], 1]


def test_a_provider_of_ours_is_made_global_once(tmp_path: Path) -> None:
    code = "print(json.dumps([providers.equip(settings) is trace.get_tracer_provider() for _ in range(2)]))"
    assert run(code, tmp_path) == [True, True]


def test_a_flush_of_the_applications_own_provider_returns_what_its_processors_return(tmp_path: Path) -> None:
    code = """
from opentelemetry.sdk.trace import SpanProcessor
class Never(SpanProcessor):
    def force_flush(self, timeout_millis=30000):
        return False
nothing = providers.flush(1)
own = TracerProvider()
trace.set_tracer_provider(own)
flushed = providers.flush(1)
own.add_span_processor(Never())
print(json.dumps([nothing, flushed, providers.flush(1)]))
"""
    assert run(code, tmp_path) == [True, True, False]


def test_otlp_over_grpc_is_the_default_exporter() -> None:
    assert list(exporter_makers({})) == ["otlp_proto_grpc"]
    assert list(exporter_makers({"OTEL_TRACES_EXPORTER": "console, otlp"})) == ["console", "otlp_proto_grpc"]
    assert exporter_makers({"OTEL_TRACES_EXPORTER": "none"}) == {}


@pytest.mark.parametrize(
    ("environ", "name"),
    [
        ({"OTEL_TRACES_EXPORTER": "by_pigeon"}, "by_pigeon"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, "otlp_proto_http"),
    ],
)
def test_an_exporter_that_is_not_installed_is_refused_by_name(environ: dict[str, str], name: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        exporter_makers(environ)


def test_a_flush_that_fails_raises_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing:
        def flush(self, timeout: float) -> bool:
            raise RuntimeError("can't start new thread")

    monkeypatch.setattr("otel_coverage.tracing.export.provider._ours", [Failing()])
    assert flush(1.0) is False


def test_a_span_may_start_before_a_fork_only_where_nobody_but_us_would_look_at_it(tmp_path: Path) -> None:
    code = """
from opentelemetry.sdk.trace import SpanProcessor
from otel_coverage.spool import service
service.ensure_sender = lambda *_: False
provider = providers.equip(settings)
tracer = provider.get_tracer("t")
answers = [providers.may_start_before_fork(tracer)]
providers.spool_from_here()
answers.append(providers.may_start_before_fork(tracer))
answers.append(providers.may_start_before_fork(TracerProvider().get_tracer("t")))
provider.add_span_processor(SpanProcessor())
answers.append(providers.may_start_before_fork(tracer))
print(json.dumps(answers))
"""
    environment = {"OTEL_TRACES_EXPORTER": "otlp", "XDG_STATE_HOME": str(tmp_path / "state")}
    assert run(code, tmp_path, **environment) == [False, True, False, False]
