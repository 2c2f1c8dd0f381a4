"""What placeholders of a playback recording stand for, while it is played."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from otel_coverage.playback import templates
from otel_coverage.playback.outcome import StepError

if TYPE_CHECKING:
    from otel_coverage.playback.replay import Replay


class Values(dict[str, Any]):
    """What placeholders stand for; variables, cookies and the CSRF token are looked up when they are needed."""

    def __init__(self, replay: Replay) -> None:
        super().__init__(run=_new_run(replay.profile.slug))
        self._replay = replay
        self.path = ""  # that the CSRF token is for

    def __missing__(self, name: str) -> Any:
        if name == "csrf":
            token = self._replay.any_csrf_token(self.path)
            if token is None:
                raise StepError("no CSRF token is known: no page before this request has a field or a meta tag of one")
            return token
        if name.startswith(templates.ENV):
            return self._replay.player.environment[name.removeprefix(templates.ENV)]
        cookie = self._replay.cookie(name.removeprefix(templates.COOKIE))
        if cookie is None:
            raise StepError(f"the application has set no cookie {name.removeprefix(templates.COOKIE)!r}")
        return cookie


class RedactedValues(Values):
    """The same for what is written down: without what comes from the environment."""

    def __init__(self, values: Values) -> None:
        super().__init__(values._replay)
        self.update(values)
        self.path = values.path

    def __missing__(self, name: str) -> Any:
        return "REDACTED" if name.startswith(templates.ENV) else super().__missing__(name)


def _new_run(slug: str) -> str:
    """A unique value of ``${run}``: short, in lower case, with letters, digits and hyphens only."""
    readable = slug.replace(".", "-").replace("_", "-")[:40].strip("-")
    return f"{readable}-{uuid.uuid4().hex[:8]}"
