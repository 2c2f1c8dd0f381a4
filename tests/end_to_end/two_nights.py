"""A store with two nights: the demo's, and one before it, at another revision.

The night before, a profile was not played, a module was not written yet, and one request was lost. Besides, the store
has the metrics of a process.
"""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from otel_coverage.store import open_store
from tests.end_to_end.metric_rows import in_the_past, insert_metrics
from tests.end_to_end.played import environment, query

BASE = "night-before"
NOT_PLAYED = "refund"
NOT_WRITTEN = "shop.loyalty"
LOST = "POST /runs/<run>/month/close"  # the span of that request, whose profile is month-end

_EARLIER_SPANS = """
INSERT INTO otel_traces
SELECT * REPLACE (
    Timestamp - INTERVAL 1 DAY AS Timestamp,
    reverse(TraceId) AS TraceId,
    if(mapContains(ResourceAttributes, 'vcs.ref.head.revision'),
        mapUpdate(ResourceAttributes, map('vcs.ref.head.revision', {base:String})), ResourceAttributes
    ) AS ResourceAttributes,
    if(mapContains(SpanAttributes, 'playback.run_id'),
        mapUpdate(SpanAttributes, map('playback.run_id', {base:String})), SpanAttributes
    ) AS SpanAttributes
)
FROM otel_traces
WHERE SpanAttributes['playback.profile'] != {left_out:String} AND SpanName != {lost:String}
"""
_NEWEST = "SELECT argMax(revision, last_seen) AS revision FROM coverage_runs WHERE recorded"
_EARLIER_CATALOG = """
INSERT INTO code_symbols
SELECT * REPLACE ({base:String} AS revision) FROM code_symbols WHERE module != {left_out:String}
"""


def made(played: Path, folder: Path) -> Path:
    """Such a store, in a folder.

    Args:
        played: the folder in which `tests.end_to_end.played.play` ran the demo; no process has its store open.
        folder: where to put the store.
    """
    (demo,) = played.glob("artifacts-store-*")
    store = folder / "two-nights"
    shutil.copytree(demo, store, symlinks=True)  # a database is a link to its metadata
    command = [sys.executable, "-m", __name__, str(store)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return store


def answers(store: Path, questions: Mapping[str, str]) -> dict[str, list[dict[str, Any]]]:
    """The rows that each statement returns, the parameters ``revision`` and ``base`` replaced by the two nights'."""
    with store.with_name("two-nights.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one process can open a store
        newest = query(store, {"newest": _NEWEST})["newest"][0]["revision"]
        nights = {"{revision:String}": f"'{newest}'", "{base:String}": f"'{BASE}'"}
        statements = dict(questions)
        for parameter, value in nights.items():
            statements = {name: sql.replace(parameter, value) for name, sql in statements.items()}
        return query(store, statements)


def _add(store: str) -> None:
    """Add all that to a copy of the demo's store; spans through its materialized views."""
    with open_store(f"chdb://{store}") as opened:
        opened.command(_EARLIER_SPANS, {"base": BASE, "left_out": NOT_PLAYED, "lost": LOST})
        opened.command(_EARLIER_CATALOG, {"base": BASE, "left_out": NOT_WRITTEN})
        insert_metrics(opened, in_the_past(hours=1))


if __name__ == "__main__":
    _add(sys.argv[1])
