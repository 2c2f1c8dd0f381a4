"""A script: ``otel-coverage`` with a journal of the requests that its playback client sends.

The first argument is the journal, the others are the command's.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx

from tests.faults.journal import Journal


def main() -> None:
    """Run the command."""
    journal = Journal(Path(sys.argv.pop(1)))
    send = httpx.Client.send

    def journaled(self: httpx.Client, request: httpx.Request, **options: Any) -> httpx.Response:
        entries = dict(entry.partition("=")[::2] for entry in request.headers.get("baggage", "").split(","))
        if "playback.profile" not in entries:  # it waits for a job
            return send(self, request, **options)
        id_ = request.url.path.rpartition("/")[2]
        journal.note(
            "sent",
            id=id_,
            method=request.method,
            path=request.url.raw_path.decode(),
            profile=unquote(entries["playback.profile"]),
            run=unquote(entries["playback.run_id"]),
            trace=request.headers["traceparent"].split("-")[1],
        )
        try:
            response = send(self, request, **options)
        except httpx.HTTPError as error:
            journal.note("failed", id=id_, error=repr(error))
            raise
        journal.note("answered", id=id_, status=response.status_code)
        return response

    httpx.Client.send = journaled  # type: ignore[method-assign]
    from otel_coverage.cli.main import main as command

    command()


if __name__ == "__main__":
    main()
