"""Runs that were played and of which nothing arrived: what a report shows is older."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import TYPE_CHECKING

from otel_coverage.printable import listed
from otel_coverage.store.named_queries import Value, named_query

if TYPE_CHECKING:
    from otel_coverage.store import Store

_RUNS_SHOWN = 3


def lost_runs(store: Store, chosen: Mapping[str, Value]) -> str | None:
    """A sentence about the runs since a revision was first recorded of which nothing arrived; None without any.

    Those whose profiles were played again, with success, are left out. So are all where a newer revision was recorded.

    Args:
        store: an open store.
        chosen: the namespace, the revision with coverage (empty where the namespace has none at all), and where they
            matter the runs and profiles.

    Raises:
        StoreError: the engine refuses.
    """
    query = named_query("lost-runs")
    rows = query.ask(store, query.known(chosen)).records()
    lost = sorted((row for row in rows if not row["repeated"]), key=lambda row: str(row["run"]))
    if not lost:
        return None
    runs = []
    for run, group in groupby(lost, key=lambda row: str(row["run"])):
        played = list(group)
        began = min(row["first_seen"] for row in played)
        runs.append((began, f"{run!r} ({began:%Y-%m-%d %H:%M} UTC) of {quoted([row['profile'] for row in played])}"))
    shown = [text for _, text in sorted(runs, reverse=True)]
    more = f", and {len(shown) - _RUNS_SHOWN} more" if len(shown) > _RUNS_SHOWN else ""
    details = "; ".join(dict.fromkeys(str(row["incomplete_detail"]) for row in lost))
    word = "Runs" if len(shown) > 1 else "Run"
    return f"{word} {', '.join(shown[:_RUNS_SHOWN])}{more}: {details}"


def quoted(names: Iterable[str]) -> str:
    """Some names, quoted, with how many more there are."""
    return listed(map(repr, names))
