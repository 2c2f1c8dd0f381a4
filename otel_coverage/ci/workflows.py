"""The workflows of GitHub Actions, as text made of the settings by templates."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import jinja2

from otel_coverage.ci.settings import CiSettings
from otel_coverage.errors import ConfigurationError
from otel_coverage.playback.folders import variables_at
from otel_coverage.suggestions import suggestion

NIGHTLY = "coverage-nightly.yml"
PULL_REQUEST = "coverage-pull-request.yml"

_MOST_MATRIX_JOBS = 256
_DAY = 24 * 60  # minutes

# what the step that plays a profile has in its environment anyway
_GIVEN = {
    *("BASE_URL", "CI", "COLLECTOR", "HOME", "PATH", "PORT", "PROFILE", "PROFILES", "REVISION", "RUN", "RUNNER_TEMP"),
    *("OTEL_COVERAGE_SOURCE", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_RESOURCE_ATTRIBUTES"),
}
# names of the step's own shell variables
_OF_THE_STEP = {"STORE", "collector", "finish", "process", "processes", "recording", "status", "store", "work"}
_SECRET = re.compile(r"(?!GITHUB_)[A-Z_][A-Z0-9_]*", re.IGNORECASE | re.ASCII)


def workflows(settings: CiSettings, root: Path) -> dict[str, str]:
    """The name and the text of each workflow.

    Args:
        settings: of the project.
        root: the repository's folder.

    Raises:
        ConfigurationError: there are no playback recordings, or more than a matrix can have.
    """
    variables = secrets(settings, root)
    slugs = tuple(variables)
    if settings.layout == "matrix" and len(slugs) > _MOST_MATRIX_JOBS:
        raise ConfigurationError(
            f"{len(slugs)} profiles in {settings.profiles}, and a matrix has {_MOST_MATRIX_JOBS} jobs at most: "
            'use layout = "profiles"'
        )
    if settings.overhead and settings.overhead not in slugs:
        raise ConfigurationError(
            f"{settings.origin}: overhead is {settings.overhead!r}, expected a profile; "
            f"{suggestion(settings.overhead, slugs)}"
        )
    _check_names(root / settings.folder / settings.profiles, slugs)
    if settings.layout == "matrix":
        found = {NIGHTLY: _render("nightly.yml.j2", settings, slugs, variables=_all(variables))}
    else:
        begin = _begin(settings)
        found = {NIGHTLY: _render("night.yml.j2", settings, slugs, begin=begin)}
        for number, slug in enumerate(slugs):
            values = {"begin": begin, "slug": slug, "cron_of_profile": _cron(settings, begin, number)}
            found[profile_workflow(slug)] = _render(
                "profile.yml.j2", settings, slugs, variables=variables[slug], **values
            )
    if settings.pull_request:
        found[PULL_REQUEST] = _render("pull-request.yml.j2", settings, slugs, variables=_all(variables))
    return found


def secrets(settings: CiSettings, root: Path) -> dict[str, tuple[str, ...]]:
    """Profile → the secrets that it is played with: the variables of its recordings, ``${env:NAME}``; all sorted.

    Args:
        settings: of the project.
        root: the repository's folder.

    Raises:
        ConfigurationError: there are no playback recordings, or a variable's name cannot be that of a secret.
    """
    folder = root / settings.folder / settings.profiles
    given = _GIVEN | {service.variable for service in settings.services.values()}
    found = {slug: tuple(name for name in names if name not in given) for slug, names in variables_at(folder).items()}
    for slug, names in found.items():
        for name in names:
            if name in _OF_THE_STEP or not _SECRET.fullmatch(name):
                raise ConfigurationError(
                    f"{folder}: the profile {slug} needs the environment variable {name}, which would be a secret of "
                    "that name, and cannot be: secrets have letters, digits and _, and do not begin with a digit or "
                    f"GITHUB_, and {', '.join(sorted(_OF_THE_STEP))} are the workflow's own; rename it in the "
                    "recording, as ${env:PLAYBACK_…}"
                )
    return found


def _all(variables: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    return tuple(sorted({name for names in variables.values() for name in names}))


def profile_workflow(slug: str) -> str:
    """The file's name of a profile's own workflow."""
    return f"coverage-profile-{slug}.yml"


def _begin(settings: CiSettings) -> int:
    """The minute of the day on which a night begins.

    Raises:
        ConfigurationError: the schedule does not name one.
    """
    minute, hour, *_ = settings.cron.split()
    if not (minute.isdecimal() and hour.isdecimal() and int(minute) < 60 and int(hour) < 24):
        raise ConfigurationError(
            f"{settings.origin}: cron is {settings.cron!r}; where each profile has a workflow of its own, they begin "
            "one after the other from a minute and an hour on, such as '17 1 * * *'"
        )
    return 60 * int(hour) + int(minute)


def _cron(settings: CiSettings, begin: int, number: int) -> str:
    """When a profile is played.

    Raises:
        ConfigurationError: that is on another day than the schedule names.
    """
    minutes = begin + number * settings.stagger
    days = settings.cron.split()[2:]
    if minutes >= _DAY and (minutes >= begin + _DAY or days != ["*"] * 3):
        raise ConfigurationError(
            f"{settings.origin}: profile {number + 1} would begin {number * settings.stagger} minutes after "
            f"{settings.cron!r}, on another day: make stagger less than {settings.stagger}, or begin earlier"
        )
    return " ".join([str(minutes % 60), str(minutes % _DAY // 60), *days])


def _check_names(folder: Path, slugs: Sequence[str]) -> None:
    lost = [slug for slug in slugs if not (folder / slug).is_dir() and not (folder / f"{slug}.jsonl").is_file()]
    if lost:
        raise ConfigurationError(
            f"{folder}: a playback recording of the profile {lost[0]}, and neither a folder {lost[0]} nor a file "
            f"{lost[0]}.jsonl: name the one like the other"
        )


def _render(template: str, settings: CiSettings, slugs: Sequence[str], **values: Any) -> str:
    given: Mapping[str, Any] = {
        **{each.name: getattr(settings, each.name) for each in fields(settings)},
        "service_list": [{"name": name, **asdict(service)} for name, service in settings.services.items()],
        "slugs": slugs,
        "cost_file": f"$RUNNER_TEMP/profiles/coverage-{settings.overhead}/perf-baseline.json",
        "NIGHTLY": NIGHTLY,
        **values,
    }
    return _environment().get_template(template).render(given) + "\n"


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("otel_coverage.ci", "templates"),
        block_start_string="[%",
        block_end_string="%]",
        variable_start_string="[[",
        variable_end_string="]]",
        comment_start_string="[#",
        comment_end_string="#]",
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        finalize=lambda value: value.rstrip("\n") if isinstance(value, str) else value,  # macros end with a line
        autoescape=False,  # noqa: S701 - what is written is no HTML; texts are quoted as YAML has them
    )
    environment.filters["y"] = _quoted
    environment.filters["sh"] = shlex.quote
    return environment


def _quoted(value: str) -> str:
    """A text as YAML has it: a JSON string is one."""
    return json.dumps(value, ensure_ascii=False)
