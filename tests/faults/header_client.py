"""A script: requests that name their profile by a header alone, as any HTTP client can send them.

It reads ``{"base_url", "run", "journal", "threads", "pause", "requests": [{"method", "path", "profile"}, ...]}`` from
its input. Each request is in the journal before it is sent, and its outcome before the next one. The next one, and the
script's end, wait until the server has closed the connection: before that its request has not ended.
"""

from __future__ import annotations

import http.client
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.faults.journal import Journal


def main() -> None:
    """Send all requests."""
    plan = json.load(sys.stdin)
    journal = Journal(Path(plan["journal"]))
    host = plan["base_url"].removeprefix("http://")

    def send(request: dict[str, Any]) -> None:
        id_ = request["path"].partition("?")[0].rpartition("/")[2]
        headers = {"X-Profile-Trace": request["profile"], "baggage": f"playback.run_id={plan['run']}"}
        headers["Connection"] = "close"
        journal.note("sent", id=id_, run=plan["run"], **request)
        connection = http.client.HTTPConnection(host, timeout=60)
        try:
            connection.request(request["method"], request["path"], headers=headers)
            with connection.sock.dup() as stream:  # http.client closes its own with the last byte of the response
                response = connection.getresponse()
                response.read()
                journal.note("answered", id=id_, status=response.status)
                with suppress(OSError):
                    stream.recv(1)
        except (OSError, http.client.HTTPException) as error:
            journal.note("failed", id=id_, error=repr(error))
        finally:
            connection.close()
        time.sleep(plan["pause"])

    with ThreadPoolExecutor(plan["threads"]) as pool:
        list(pool.map(send, plan["requests"]))


if __name__ == "__main__":
    main()
