"""What has to be known before an answer about a revision is read: that something of it is missing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from otel_coverage.printable import listed
from otel_coverage.reporting.lost_runs import lost_runs
from otel_coverage.store.named_queries import Value
from otel_coverage.store.narrowing import narrowed

if TYPE_CHECKING:
    from otel_coverage.store import Store

_DOUBTFUL = """
SELECT toString(profile) AS profile, run, outcome, incomplete_reasons
FROM profile_runs
WHERE namespace = {namespace:String} AND revision = {revision:String} AND counted
    AND (NOT complete OR outcome = 'failed')
ORDER BY profile, run
"""


def banner(store: Store, chosen: Mapping[str, Value]) -> Iterator[str]:
    """Sentences about runs of which nothing arrived, and about profiles that failed or lost coverage; none without any.

    Args:
        store: an open store.
        chosen: the namespace and the revision, and where they matter the services, runs and profiles.

    Raises:
        StoreError: the engine refuses.
    """
    lost = lost_runs(store, chosen)
    if lost is not None:
        yield lost
    narrowing = {name: chosen[name] for name in ("services", "runs", "profiles") if chosen.get(name)}
    values = {"namespace": chosen["namespace"], "revision": chosen["revision"], **narrowing}
    doubtful = store.query(narrowed(_DOUBTFUL, narrowing, store.database), values).records()
    if doubtful:
        profiles = {row["profile"]: ", ".join(row["incomplete_reasons"]) or row["outcome"] for row in doubtful}
        runs = sorted({row["run"] for row in doubtful if row["run"]})
        verify = f"; `otel-coverage verify --run {runs[-1]}` says what of it" if runs else ""
        yield (
            f"incomplete: {listed(f'{profile!r} ({reason})' for profile, reason in profiles.items())}: what no profile "
            f"executes may have been executed{verify}"
        )
