"""Writing again keeps what people wrote where they may, and never loses what they wrote elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from otel_coverage.cli.main import cli
from otel_coverage.errors import OtelCoverageError
from tests.ci.conftest import LOGIN, Project

NIGHTLY = ".github/workflows/coverage-nightly.yml"
PULL_REQUEST = ".github/workflows/coverage-pull-request.yml"
BEGIN = "      # keep: begin before-playback\n"
STEP = "      - name: Migrate\n        run: ./migrate\n"


def github(*options: str) -> Result:
    return CliRunner().invoke(cli, ["ci", "github", *options])


def edit(project: Project, old: str, new: str, name: str = NIGHTLY) -> None:
    text = project.read(name)
    assert old in text
    project.write(name, text.replace(old, new))


def test_writing_again_changes_nothing(project: Project) -> None:
    assert github().output == f"{NIGHTLY}: written\n{PULL_REQUEST}: written\n"
    before = project.read(NIGHTLY)
    assert github().output == f"{NIGHTLY}: unchanged\n{PULL_REQUEST}: unchanged\n"
    assert project.read(NIGHTLY) == before


def test_lines_to_be_kept_stay_when_the_settings_change(project: Project) -> None:
    github()
    edit(project, BEGIN, BEGIN + STEP)
    edit(project, 'source = ["tea"]', 'source = ["tea"]\nretention_days = 7', "pyproject.toml")
    assert github().exit_code == 0
    text = project.read(NIGHTLY)
    assert BEGIN + STEP in text
    assert "retention-days: 7" in text
    assert github().output.startswith(f"{NIGHTLY}: unchanged")


@pytest.mark.parametrize("options", [(), ("--check",)])
def test_a_change_elsewhere_is_not_lost(project: Project, options: tuple[str, ...]) -> None:
    github()
    edit(project, "timeout-minutes: 30", "timeout-minutes: 60")
    done = github(*options)
    assert isinstance(done.exception, OtelCoverageError)
    assert "was changed outside of `# keep: begin` and `# keep: end`" in str(done.exception)
    assert "timeout-minutes: 60" in project.read(NIGHTLY)
    assert github("--force").exit_code == 0
    assert "timeout-minutes: 60" not in project.read(NIGHTLY)


def test_a_file_of_somebody_else_is_not_replaced(project: Project) -> None:
    project.write(NIGHTLY, "name: Ours\n")
    done = github()
    assert "was not written by this command" in str(done.exception)
    assert project.read(NIGHTLY) == "name: Ours\n"
    assert not (project.folder / PULL_REQUEST).exists()


def test_check_says_what_is_not_up_to_date_and_writes_nothing(project: Project) -> None:
    done = github("--check")
    assert done.output == f"{NIGHTLY}: would be written\n{PULL_REQUEST}: would be written\n"
    assert isinstance(done.exception, OtelCoverageError)
    assert done.exception.exit_code == 1
    assert not (project.folder / NIGHTLY).exists()
    github()
    assert github("--check").exit_code == 0
    project.write("profiles/more.jsonl", project.read("profiles/price.jsonl").replace("price", "more"))
    assert f"{NIGHTLY}: would be written" in github("--check").output


def test_a_workflow_that_is_not_wanted_any_more_is_deleted(project: Project) -> None:
    github()
    edit(project, 'source = ["tea"]', 'source = ["tea"]\npull_request = false', "pyproject.toml")
    edit(project, BEGIN, BEGIN + STEP, PULL_REQUEST)
    assert "has lines that are to be kept" in str(github().exception)
    edit(project, STEP, "", PULL_REQUEST)
    assert github().output == f"{NIGHTLY}: unchanged\n{PULL_REQUEST}: deleted\n"
    assert not (project.folder / PULL_REQUEST).exists()


def test_other_workflows_are_left_alone(project: Project) -> None:
    other = ".github/workflows/coverage-of-ours.yml"
    project.write(other, "name: Ours\n")
    github()
    assert project.read(other) == "name: Ours\n"


def test_secrets_that_recordings_need_are_named(project: Project) -> None:
    project.write("profiles/login.jsonl", LOGIN)
    said = "login can be played where the repository has the secret PLAYBACK_PASSWORD: gh secret set PLAYBACK_PASSWORD"
    assert github().output.count(said) == 1


def test_settings_can_be_in_a_file_of_their_own(project: Project) -> None:
    project.write("ci.toml", 'install = ["pip install ."]\nprocesses.web = "waitress-serve tea:app"\n')
    assert github("--config", "ci.toml", "--out", "written").exit_code == 0
    assert "from ci.toml" in project.read("written/coverage-nightly.yml")
    assert not Path(NIGHTLY).exists()
