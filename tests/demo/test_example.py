"""The example application and the demo's command line."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from otel_coverage.demo.example import Example
from otel_coverage.errors import ConfigurationError
from otel_coverage.playback import load
from tests.end_to_end import expected
from tests.end_to_end.played import demo


def test_every_profile_can_be_loaded_and_is_named_like_its_folder() -> None:
    example = Example.find()
    assert [load(path).slug for path in example.recordings()] == example.slugs


def test_the_profiles_are_those_of_the_expected_matrix() -> None:
    assert set(Example.find().slugs) == expected.slugs()


def test_the_expected_matrix_has_every_function_of_the_source() -> None:
    root = Example.find().folder
    names: list[str] = []

    def collect(node: ast.AST, module: str, prefix: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                names.append(f"{module}:{prefix}{child.name}")
                collect(child, module, f"{prefix}{child.name}.<locals>.")
            else:
                collect(child, module, f"{prefix}{child.name}." if isinstance(child, ast.ClassDef) else prefix)

    for path in (root / "shop").rglob("*.py"):
        module = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
        collect(ast.parse(path.read_text()), module, "")
    assert sorted(names) == sorted(name.partition("@")[0] for name in expected.table())


def test_the_application_imports_nothing_of_tracing() -> None:
    for path in Example.find().source.rglob("*.py"):
        text = path.read_text()
        assert "opentelemetry" not in text
        assert "otel_coverage" not in text


def test_profiles_can_be_chosen() -> None:
    example = Example.find()
    assert example.recordings(["smoke"]) == [example.folder / "profiles" / "smoke"]
    with pytest.raises(ConfigurationError, match="no profile 'smoek'; it has browse, checkout"):
        example.recordings(["smoek"])


def test_the_error_for_missing_dependencies_names_them(monkeypatch: pytest.MonkeyPatch) -> None:
    Example.find().check()
    monkeypatch.setattr("otel_coverage.demo.example.NEEDED", ("flask", "no_such_server"))
    with pytest.raises(ConfigurationError, match=r"the demo needs no_such_server; .*otel-coverage\[demo\]"):
        Example.find().check()


def test_the_error_for_a_missing_worker_class_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    Example.find().check("gevent")
    monkeypatch.setattr("otel_coverage.demo.example.find_spec", lambda name: None if name == "gevent" else object())
    Example.find().check()
    with pytest.raises(ConfigurationError, match="--worker-class gevent needs gevent"):
        Example.find().check("gevent")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--profile", "smoek"], "otel-coverage: the example has no profile 'smoek'"),
        (["--out", "taken"], "taken is not a folder; choose another with --out"),
        (["--concurrency", "0"], "0 is not in the range"),
        (["--colour"], "No such option"),
    ],
)
def test_invalid_options_are_refused_before_anything_is_started(
    tmp_path: Path, options: list[str], message: str
) -> None:
    (tmp_path / "taken").write_text("mine")
    done = demo(tmp_path, *options)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stdout == ""
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_a_failed_command_is_reported_with_its_log_and_the_logs_are_kept(tmp_path: Path) -> None:
    done = demo(tmp_path, OTEL_COVERAGE_GRANULARITY="word")
    assert done.returncode == 1
    assert "OTEL_COVERAGE_GRANULARITY is 'word'" in done.stderr
    assert done.stderr.endswith("otel-coverage: catalog failed, exit code 2\n")
    assert "GRANULARITY" in (tmp_path / "artifacts-logs" / "catalog.log").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["artifacts-logs"]
