"""The first lines of a recording that is there: they are kept, and played before a browser goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from otel_coverage.errors import ConfigurationError
from otel_coverage.playback import jsonl, templates
from otel_coverage.playback.converting.draft import Draft
from otel_coverage.playback.converting.exchange import Content, Exchange
from otel_coverage.playback.lines import read_lines
from otel_coverage.playback.profile import Profile


@dataclass(slots=True)
class KeptStep:
    """A line that is kept.

    Attributes:
        line: as it stands in the file.
        draft: its request as it was played, for what its answer contains; None before it was.
    """

    line: dict[str, Any]
    draft: Draft | None = None

    def played(self, exchanges: Sequence[Exchange]) -> None:
        """Note what was sent for it, and answered; those of redirects too."""
        if exchanges:
            self.draft = Draft.of(exchanges[0])
            self.draft.exchanges += exchanges[1:]


@dataclass(slots=True)
class Beginning:
    """The lines that are kept, and what playing them has shown.

    Attributes:
        header: the first line.
        steps: the others.
        values: name → what was captured for it.
        run: what ``${run}`` stood for.
        variables: value → variable of the environment.
        cookies: names of the cookies that the client had at the end.
    """

    header: Mapping[str, Any] = field(default_factory=dict)
    steps: list[KeptStep] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=dict)
    run: str = ""
    variables: dict[str, str] = field(default_factory=dict)
    cookies: set[str] = field(default_factory=set)
    _folder: Path = Path()

    @classmethod
    def read(cls, file: Path, before: int) -> tuple[Beginning, Profile]:
        """The lines of a recording before a line, and the profile that they are.

        Args:
            file: the recording.
            before: the line, from 1. The first one is the header.

        Raises:
            ConfigurationError: there is no recording, it is not valid, or nothing would be kept.
        """
        if not file.is_file():
            raise ConfigurationError(f"{file}: no such recording, so nothing of it can be kept; record without --from")
        lines = read_lines(file)
        if not lines or "recording" not in lines[0]:
            raise ConfigurationError(f"{file}: not a recording of this format, so nothing of it can be kept")
        profile = jsonl.profile(file, lines)
        kept = [line for line in lines[1:] if line.number < before]
        last = lines[-1].number
        if not kept or before > last + 1:
            raise ConfigurationError(
                f"{file}: --from {before} must be a line from 3 to {last + 1}: the first one is the header, and at "
                "least one request has to be kept; --force records all of them anew"
            )
        steps = tuple(step for step in profile.steps if step.line < before)
        made = cls(dict(lines[0]), [KeptStep(dict(line)) for line in kept], _folder=file.parent)
        return made, replace(profile, steps=steps)

    def lines(self, header: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The lines as they are written: with the hosts of what follows, and with what is captured for it.

        Args:
            header: of what follows.
        """
        hosts = [*self.header.get("hosts", []), *header["hosts"]]
        cookies = {**header.get("cookies", {}), **self.header.get("cookies", {})}
        first = {**self.header, "hosts": list(dict.fromkeys(hosts)), **({"cookies": cookies} if cookies else {})}
        found = [first]
        for step in self.steps:
            captures = {**step.line.get("capture", {}), **(step.draft.captures if step.draft is not None else {})}
            found.append({**step.line, **({"capture": captures} if captures else {})})
        return found

    def files(self) -> dict[str, Content]:
        """Path → content of the files that the lines upload."""
        paths = set(_paths([step.line for step in self.steps]))
        return {path: (self._folder / path).read_bytes() for path in sorted(paths)}

    def environment(self, environment: Mapping[str, str]) -> None:
        """Note the variables that the lines need."""
        texts: list[Any] = [self.header, [step.line for step in self.steps]]
        names = {name for name in templates.names(texts) if name.startswith(templates.ENV)}
        for name in sorted(each.removeprefix(templates.ENV) for each in names):
            if environment.get(name):
                self.variables[environment[name]] = name


def _paths(value: Any) -> list[str]:
    """The paths of files in some lines: uploads, and bodies."""
    found = []
    for line in value:
        files = [each for own in line.get("files", {}).values() for each in (own if isinstance(own, list) else [own])]
        found += [each if isinstance(each, str) else each["path"] for each in files if each is not None]
        if isinstance(line.get("body"), dict):
            found.append(line["body"]["file"])
    return found
