"""A client that knows one header of tracing: ``python client.py PROFILE --web URL --engine URL``.

It logs in by a form with a CSRF token, submits the jobs of the profile one after the other, and polls each until it is
done. Exit code: 0 where all of them have finished.
"""

from __future__ import annotations

import argparse
import http.cookiejar
import json
import re
import sys
import time
import urllib.parse
import urllib.request
from typing import Any

PATIENCE = 60.0  # seconds for a response

PROFILES = {
    "hillslopes": ["delineate/60"],
    "observed-weather": ["weather/observed"],
    "generated-weather": ["weather/generated"],
    "runoff": ["weather/observed", "runoff"],
    "fire": ["weather/generated", "burn/2", "runoff"],
    "archive": ["delineate/30", "archive"],
}


class Client:
    """A session of one profile."""

    def __init__(self, profile: str) -> None:
        self._profile = profile
        self._opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))

    def call(self, url: str, form: dict[str, str] | None = None) -> str:
        """The body of a response; with ``form``, of a POST."""
        data = None if form is None else urllib.parse.urlencode(form).encode()
        request = urllib.request.Request(url, data, {"X-Profile-Trace": self._profile})  # noqa: S310
        with self._opener.open(request, timeout=PATIENCE) as response:
            body: bytes = response.read()
        return body.decode()

    def json(self, url: str, form: dict[str, str] | None = None) -> Any:
        """The same, of a response in JSON."""
        return json.loads(self.call(url, form))


def play(profile: str, web: str, engine: str, patience: float) -> bool:
    """Play one profile. Returns whether all of its jobs have finished, each within ``patience`` seconds."""
    client = Client(profile)
    found = re.search(r'name="csrf_token" value="(\w+)"', client.call(f"{web}/login"))
    if found is None:
        raise ValueError(f"{web}/login: the form has no CSRF token")
    token = found.group(1)
    client.call(f"{web}/login", {"csrf_token": token, "email": "nightly@example.org"})
    run = urllib.parse.quote(client.json(f"{web}/runs/{profile}", {"csrf_token": token})["run"])
    for step in PROFILES[profile]:
        if not finishes(client, engine, client.json(f"{engine}/runs/{run}/{step}", {}), patience):
            return False
    return bool(client.json(f"{web}/runs/{run}")["name"] == profile)


def finishes(client: Client, engine: str, job: str, patience: float) -> bool:
    """Poll until a job is done. Returns whether it has finished within ``patience`` seconds."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        state = client.json(f"{engine}/jobs/{job}")
        if state in ("finished", "failed"):
            return bool(state == "finished")
        time.sleep(0.1)
    print(f"job {job} is {state} after {patience:g} s", file=sys.stderr)
    return False


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description="Play a profile.")
    parser.add_argument("profile", choices=sorted(PROFILES))
    parser.add_argument("--web", default="http://127.0.0.1:8000")
    parser.add_argument("--engine", default="http://127.0.0.1:8001")
    parser.add_argument("--patience", type=float, default=60.0, metavar="SECONDS", help="for each job [60]")
    options = parser.parse_args()
    return 0 if play(options.profile, options.web, options.engine, options.patience) else 1


if __name__ == "__main__":
    sys.exit(main())
