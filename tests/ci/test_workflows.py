"""The workflows that settings make: what linters say of them, and that they are those that are committed."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from otel_coverage.ci import files
from otel_coverage.ci.settings import ACTIONS, CiSettings
from otel_coverage.ci.workflows import NIGHTLY, PULL_REQUEST, profile_workflow, workflows
from otel_coverage.errors import ConfigurationError
from tests.ci.conftest import LOGIN, SETTINGS, Project
from tests.support.commands import BIN, PATIENCE

ROOT = Path(__file__).resolve().parents[2]
EVERYTHING = """\
folder = "."
source = ["tea"]
install = ["python -m pip install ."]
python = "3.12"
prepare = ["export TEA_DATABASE=\\"$RUNNER_TEMP/tea.sqlite3\\""]
allow_lost = "may be lost.txt"
gates = ["--min 60 --unit lines", "--min tea=80"]
report_options = ["--also xml"]
changed = 90.5
overhead = "price"
max_overhead = 12.5
webhook = "TEA_WEBHOOK"
page_url = "https://tea.example/index.html"
services.redis = {}
services.search = {image = "opensearch:2", port = 9200, variable = "SEARCH_URL", url = "http://127.0.0.1:{port}"}
processes.web = "waitress-serve --listen=127.0.0.1:$PORT tea:app"
processes.worker = "rq worker --url \\"$REDIS_URL\\""
"""


def settings(project: Project, text: str) -> CiSettings:
    project.write("ci.toml", text)
    return CiSettings.load(project.folder / "ci.toml")


def tool(name: str) -> str:
    """The path of a program of the test extra."""
    found = shutil.which(name, path=os.pathsep.join([str(BIN), os.environ["PATH"]]))
    assert found is not None, f"{name} comes with the test extra"
    return found


@pytest.mark.parametrize("layout", ["matrix", "profiles"])
@pytest.mark.parametrize("store", ["", 'store = "DSN"\ncollector = "http://collector.example:4317"'])
def test_linters_find_nothing(project: Project, layout: str, store: str) -> None:
    text = f'layout = "{layout}"\n{store}\n{EVERYTHING}'
    project.write("profiles/login.jsonl", LOGIN)
    found = settings(project, text)
    files.apply(files.plan(Path(".github/workflows"), workflows(found, project.folder), found.origin))
    for linter in (["actionlint"], ["zizmor", "--offline", "--quiet", "--no-progress", ".github"]):
        done = subprocess.run(
            [tool(linter[0]), *linter[1:]], capture_output=True, text=True, check=False, timeout=PATIENCE
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("layout", ["matrix", "profiles"])
def test_profiles_are_played_with_options_of_the_projects_own(project: Project, layout: str) -> None:
    text = f"""layout = "{layout}"\nplayback_options = ["--job-status '/api/jobs/{{job_id}}'", "-v"]\n{EVERYTHING}"""
    made = workflows(settings(project, text), project.folder)
    played = {name for name, workflow in made.items() if "otel-coverage playback run" in workflow}
    assert PULL_REQUEST in played
    assert len(played) > 1
    for name in played:
        for call in made[name].split("otel-coverage playback run ")[1:]:
            assert "--job-status '/api/jobs/{job_id}' -v ||" in call, name


@pytest.mark.parametrize("layout", ["matrix", "profiles"])
def test_jobs_have_the_least_permissions_and_actions_are_pinned(project: Project, layout: str) -> None:
    for name, text in workflows(settings(project, f'layout = "{layout}"\n{EVERYTHING}'), project.folder).items():
        document = yaml.safe_load(text)
        assert document["permissions"] == {}, name
        assert document["concurrency"]["group"], name
        for job in document["jobs"].values():
            writes = {key for key, value in job["permissions"].items() if value == "write"}
            assert writes <= ({"pull-requests"} if job["name"] == "Comment" else set()), name
        used = re.findall(r"uses: (\S+)@(\S+) # (\S+)", text)
        assert len(used) == text.count("uses:")
        assert {f"{sha} {version}" for _, sha, version in used} <= {*ACTIONS.values()}
        assert not re.search(r"run: \|(\n {10}.*)*\$\{\{", text), "an expression in a shell step"


def test_a_profile_of_another_name_than_its_file_is_an_error(project: Project) -> None:
    project.write("profiles/other/recording.jsonl", project.read("profiles/price.jsonl").replace("price", "cost"))
    with pytest.raises(
        ConfigurationError, match=r"of the profile cost, and neither a folder cost nor a file cost.jsonl"
    ):
        workflows(settings(project, SETTINGS), project.folder)


def test_the_committed_workflows_are_those_of_the_settings() -> None:
    found = CiSettings.load(ROOT / "pyproject.toml")
    planned = files.plan(ROOT / ".github/workflows", workflows(found, ROOT), found.origin)
    assert {change.state for change in planned} == {"unchanged"}, "run `otel-coverage ci github`"


def test_services_get_ports_of_their_own(project: Project) -> None:
    document = yaml.safe_load(workflows(settings(project, EVERYTHING), project.folder)[NIGHTLY])
    job = document["jobs"]["play"]
    assert job["services"]["search"] == {"image": "opensearch:2", "ports": [9200]}
    assert job["services"]["redis"]["options"].startswith('--health-cmd "redis-cli ping"')
    (play,) = [step for step in job["steps"] if step["name"] == "Play"]
    assert play["env"]["SEARCH_URL"] == "http://127.0.0.1:${{ job.services.search.ports['9200'] }}"


@pytest.mark.parametrize(
    ("layout", "files_with_it"),
    [("matrix", {NIGHTLY, PULL_REQUEST}), ("profiles", {profile_workflow("login"), PULL_REQUEST})],
)
def test_what_recordings_need_of_the_environment_are_secrets_of_the_step_that_plays_them(
    project: Project, layout: str, files_with_it: set[str]
) -> None:
    project.write("profiles/login.jsonl", LOGIN)
    found = workflows(settings(project, f'layout = "{layout}"\n{EVERYTHING}'), project.folder)
    steps = {
        (name, job, step["name"])
        for name, text in found.items()
        for job, each in yaml.safe_load(text)["jobs"].items()
        for step in each["steps"]
        if step.get("env", {}).get("PLAYBACK_PASSWORD") == "${{ secrets.PLAYBACK_PASSWORD }}"
    }
    assert steps == {(name, "play", "Play") for name in files_with_it}
    assert {name for name, text in found.items() if "PLAYBACK_PASSWORD" in text} == files_with_it


@pytest.mark.parametrize("name", ["GITHUB_TOKEN", "status", "STORE", "9_LIVES", "MÜNZE"])
def test_a_variable_that_cannot_be_a_secret_is_an_error(project: Project, name: str) -> None:
    project.write("profiles/login.jsonl", LOGIN.replace("PLAYBACK_PASSWORD", name))
    with pytest.raises(ConfigurationError, match=rf"the profile login needs the environment variable {name}, "):
        workflows(settings(project, EVERYTHING), project.folder)


@pytest.mark.parametrize("name", ["BASE_URL", "SEARCH_URL"])
def test_variables_that_the_workflow_sets_are_not_taken_for_secrets(project: Project, name: str) -> None:
    project.write("profiles/login.jsonl", LOGIN.replace("PLAYBACK_PASSWORD", name))
    found = workflows(settings(project, EVERYTHING), project.folder)
    assert all(f"secrets.{name}" not in text for text in found.values())


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", r"expected a table \[tool.otel_coverage.ci\]|no processes"),
        ("[tool.ruff]\n", r"expected a table \[tool.otel_coverage.ci\]"),
        ("processes = {}", "no processes; expected the application at least"),
        ('processes.web = "a"\ncorn = "1"', "no setting 'corn'; did you mean cron"),
        ('processes.web = "a"\ncron = "daily"', "cron is 'daily', expected five fields"),
        ('processes.web = "a"\nlayout = "rows"', "layout is 'rows', expected 'matrix' or 'profiles'"),
        ('processes.web = "a\\nb"', "processes.web is 'a\\\\nb', expected text in one line"),
        ('processes."a b" = "c"', "'a b' is not valid, expected the name of a process"),
        ('processes.web = "a"\nservices.search = {}', "services.search: image, port, variable, url expected"),
        ('processes.web = "a"\nservices.redis = {image = 7}', "services.redis.image is 7, expected text"),
        ('processes.web = "a"\nwebhook = "https://hooks.example"', "expected the name of a secret"),
        ('processes.web = "a"\nfolder = "../other"', "expected a folder below the repository"),
        ('processes.web = "a"\npage_url = "javascript:alert(1)"', "expected an address such as https"),
        ('processes.web = "a"\nactions."actions/checkout" = "v4"', "expected a commit's 40 digits and its version"),
        ('processes.web = "a"\nstore = "DSN"', "store, the secret with its DSN, and collector"),
        ('processes.web = "a"\nretention_days = 0', "retention_days is 0, expected a number above 0"),
        ('processes.web = "a"\nchanged = 101', "changed is 101, expected a number from 0 to 100"),
        ('processes.web = "a"', r"no install; .* not on PyPI, .*: install = \[.*git\+https://"),
        ('processes.web = "a"\ninstall = []', "no install"),
        ("processes", "not valid TOML"),
    ],
)
def test_settings_that_are_not_valid_are_named(project: Project, text: str, error: str) -> None:
    with pytest.raises(ConfigurationError, match=error):
        settings(project, text)


def test_names_are_quoted_as_yaml_has_them(project: Project) -> None:
    odd = 'it\'s: "odd" # [x]'
    text = f"{EVERYTHING}runs_on = {json.dumps(odd)}\n"
    document = yaml.safe_load(workflows(settings(project, text), project.folder)[NIGHTLY])
    assert document["jobs"]["play"]["runs-on"] == odd
