"""What completeness does not promise: coverage that is not missing, as far as is known, and is not there either."""

from __future__ import annotations

from collections.abc import Iterator

from otel_coverage.printable import listed
from otel_coverage.reporting.lost_runs import quoted
from otel_coverage.reporting.queries import RevisionQueries


def caveats(queries: RevisionQueries) -> Iterator[str]:
    """Sentences about profiles that may execute more than a report shows, though nothing of what they sent is missing.

    Args:
        queries: what the report reads, of an open store.

    Raises:
        StoreError: the engine refuses.
    """
    played = {row["profile"] for row in queries.leaderboard}
    absent = [row for row in queries.absent if row["profile"] not in played]
    if absent:
        yield (
            f"Run {absent[0]['newest_run']!r}, the newest, did not play what run {absent[0]['last_run']!r} did, and no "
            f"run at this revision did: {quoted([row['profile'] for row in absent])}."
        )
    waiting = [f"{row['profile']} ({row['pending']})" for row in queries.profiles if row["pending"]]
    if waiting:
        yield (
            "Jobs that wait for their time or for another job, so that nothing of them has come yet: "
            f"{listed(waiting)}."
        )
    if queries.header_only:
        yield (
            "Clients of these profiles do not say what they send, so a request that never arrived cannot be noticed: "
            f"{quoted(queries.header_only)}."
        )
