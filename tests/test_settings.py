"""Settings from arguments, environment variables and pyproject.toml."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from otel_coverage.errors import ConfigurationError
from otel_coverage.settings import Settings
from otel_coverage.source import SourceTree


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text(
        '[tool.otel_coverage]\nsource = ["from_file"]\nengine = "coverage"\nrun_id = "file"\n'
    )
    return tmp_path


def test_without_settings_nothing_is_recorded(tmp_path: Path) -> None:
    assert Settings.load(environ={}, folder=tmp_path) == Settings(
        enabled=False, source=(), granularity="line", engine="auto", rcfile=None, token=None, run_id=None
    )


def test_every_setting_has_its_variable(tmp_path: Path) -> None:
    environ = {
        "OTEL_COVERAGE_ENABLED": "1",
        "OTEL_COVERAGE_SOURCE": "shop, jobs",
        "OTEL_COVERAGE_GRANULARITY": "function",
        "OTEL_COVERAGE_ENGINE": "monitoring",
        "OTEL_COVERAGE_RCFILE": ".coveragerc",
        "OTEL_COVERAGE_TOKEN": "secret",
        "OTEL_COVERAGE_RUN_ID": "nightly-1",
        "OTEL_COVERAGE_STARTUP": "1",
        "OTEL_COVERAGE_SERVER_TIMING": "1",
    }
    assert Settings.load(environ=environ, folder=tmp_path) == Settings(
        enabled=True,
        source=("shop", "jobs"),
        granularity="function",
        engine="monitoring",
        rcfile=".coveragerc",
        token="secret",
        run_id="nightly-1",
        startup=True,
        server_timing=True,
    )


def test_arguments_take_precedence_over_the_environment_and_that_over_pyproject(folder: Path) -> None:
    environ = {"OTEL_COVERAGE_SOURCE": "from_environment", "OTEL_COVERAGE_RUN_ID": "environment"}
    settings = Settings.load(environ=environ, folder=folder, source=("from_argument",))
    assert (settings.source, settings.run_id, settings.engine) == (("from_argument",), "environment", "coverage")


def test_an_option_that_was_not_used_and_an_empty_variable_are_not_set(folder: Path) -> None:
    environ = {"OTEL_COVERAGE_SOURCE": "", "OTEL_COVERAGE_ENGINE": " ", "OTEL_COVERAGE_ENABLED": ""}
    settings = Settings.load(environ=environ, folder=folder, source=(), rcfile=None)
    assert settings == Settings(source=("from_file",), engine="coverage", run_id="file")


def test_source_may_be_a_list_or_text_with_commas_or_newlines() -> None:
    wanted = ("a", "b", "c")
    for source in ("a,b,c", "a\n b\nc\n", ["a", "b", "c"], ("a,b", "c")):
        assert Settings.load(environ={}, folder="/nowhere", source=source).source == wanted


@pytest.mark.parametrize("value", ["1", "true", "YES", "on"])
def test_recording_is_enabled_by_any_spelling_of_true(value: str) -> None:
    assert Settings.load(environ={"OTEL_COVERAGE_ENABLED": value}, folder="/nowhere").enabled


@pytest.mark.parametrize("value", ["0", "False", "no", "off"])
def test_recording_is_disabled_by_any_spelling_of_false(value: str) -> None:
    assert not Settings.load(environ={"OTEL_COVERAGE_ENABLED": value}, folder="/nowhere").enabled


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"OTEL_COVERAGE_ENABLED": "maybe"}, "OTEL_COVERAGE_ENABLED is 'maybe', expected 1 or 0"),
        ({"OTEL_COVERAGE_ENGINE": "magic"}, "OTEL_COVERAGE_ENGINE is 'magic', expected auto or monitoring or coverage"),
        ({"OTEL_COVERAGE_GRANULARITY": "word"}, "OTEL_COVERAGE_GRANULARITY is 'word', expected line or function"),
    ],
)
def test_an_error_names_the_variable_what_was_found_and_what_is_expected(environ: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        Settings.load(environ=environ, folder="/nowhere")
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("[tool.otel_coverage]\nsources = []\n", "sources in [tool.otel_coverage]: there is no such setting"),
        ("[tool.otel_coverage]\nenabled = true\n", "cannot set enabled; set OTEL_COVERAGE_ENABLED instead"),
        ("[tool.otel_coverage]\nsource = 3\n", "is 3, expected a list of packages or folders"),
        ("[tool.otel_coverage]\nrun_id = 3\n", "is 3, expected text"),
        ("[tool.otel_coverage\n", "not valid TOML"),
        ("[tool]\notel_coverage = 3\n", "is 3, expected a table"),
        ("tool = 3 # otel_coverage\n", "is 3, expected a table"),
    ],
)
def test_an_error_in_pyproject_names_the_file_what_was_found_and_what_is_expected(
    tmp_path: Path, table: str, message: str
) -> None:
    (tmp_path / "pyproject.toml").write_text(table)
    with pytest.raises(ConfigurationError) as error:
        Settings.load(environ={}, folder=tmp_path)
    assert str(error.value).startswith(str(tmp_path / "pyproject.toml"))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("source", "shpo", "source 'shpo': neither a folder or file in"),
        ("source", "empty", "source empty: no Python file matches"),
        ("rcfile", "missing.ini", "missing.ini: no such file"),
        ("rcfile", "broken.ini", "broken.ini: "),
    ],
)
@pytest.mark.parametrize("where", ["pyproject", "environment", "argument"])
def test_an_error_that_comes_up_when_a_setting_is_used_says_where_that_was_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str, value: str, message: str, where: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.ini").write_text("[run\n")
    variable = f"OTEL_COVERAGE_{setting.upper()}"
    if where == "pyproject":
        (tmp_path / "pyproject.toml").write_text(f'[tool.otel_coverage]\n{setting} = "{value}"\n')
    environ = {variable: value} if where == "environment" else {}
    arguments: dict[str, Any] = {setting: value} if where == "argument" else {}
    settings = Settings.load(environ=environ, **arguments)
    with pytest.raises(ConfigurationError) as error:
        list(SourceTree.of(settings).files())
    names = {
        "pyproject": f"{tmp_path / 'pyproject.toml'}: {setting} in [tool.otel_coverage]",
        "environment": variable,
        "argument": f"argument {setting}",
    }
    assert str(error.value).startswith(f"{names[where]}: {message}")
    assert "\n" not in str(error.value)


def test_a_source_that_the_configuration_of_coverage_names_is_said_to_stand_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rc").write_text("[run]\nsource = shpo\n")
    settings = Settings.load(environ={"OTEL_COVERAGE_RCFILE": "rc"})
    with pytest.raises(ConfigurationError) as error:
        SourceTree.of(settings)
    assert str(error.value).startswith("OTEL_COVERAGE_RCFILE: source in [run] of rc: source 'shpo': neither")


def test_settings_are_equal_wherever_they_were_set() -> None:
    here = Settings.load(environ={"OTEL_COVERAGE_SOURCE": "shop"}, folder="/nowhere")
    assert here == Settings.load(environ={}, folder="/nowhere", source="shop") == Settings(source=("shop",))
    assert "origins" not in repr(here)
    assert here.origin("source") == "OTEL_COVERAGE_SOURCE"
    assert here.origin("rcfile") == "OTEL_COVERAGE_RCFILE, which is not set"


def test_an_unknown_argument_is_refused_without_its_value() -> None:
    with pytest.raises(ConfigurationError) as error:
        Settings.load(environ={}, folder="/nowhere", tokens="secret")
    assert str(error.value).startswith("argument tokens: there is no such setting")
    assert "secret" not in str(error.value)


def test_errors_in_a_pyproject_without_our_table_are_ignored(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[project\n")
    assert Settings.load(environ={}, folder=tmp_path) == Settings()


def test_the_token_is_never_shown(tmp_path: Path) -> None:
    assert "secret" not in repr(Settings(token="secret"))
    assert "token=None" in repr(Settings())
    (tmp_path / "pyproject.toml").write_text("[tool.otel_coverage]\ntoken = 424242\n")
    with pytest.raises(ConfigurationError) as error:
        Settings.load(environ={}, folder=tmp_path)
    assert "424242" not in str(error.value)
