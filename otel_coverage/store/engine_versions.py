"""What older ClickHouse servers lack of what the SQL of ``queries/`` makes use of."""

from __future__ import annotations

import re
from dataclasses import dataclass

from otel_coverage.errors import ConfigurationError

OLDEST = (24, 8)  # on which all of the SQL is run: scripts/test-clickhouse

Version = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Lack:
    """Something that older servers do not have.

    Attributes:
        before: the first version that has it.
        what: what it is, and what follows where it is missing.
        since: the first version of which that can be said.
    """

    before: Version
    what: str
    since: Version = (0, 0)


_LACKS = (
    Lack(
        (25, 10),
        "join runtime filters: a query about the requests of one run reads those of others, too, and takes twice as "
        "long beside millions of them",
    ),
    Lack(
        (26, 2),
        "join runtime filters by default: SET enable_join_runtime_filters = 1 for the user who reads coverage",
        since=(25, 10),
    ),
    Lack(
        (26, 2),
        "deduplication of asynchronous inserts below materialized views by default: a batch that a collector inserts "
        "twice is in otel_traces twice; no view of coverage counts it twice",
    ),
)


def parse_version(text: str) -> Version:
    """The version in ``clickhouse-24.8``, ``24.8`` or ``24.8.4.1``.

    Raises:
        ConfigurationError: it is none of these.
    """
    found = re.fullmatch(r"(?:clickhouse-)?v?(\d{2})\.(\d{1,2})(?:\.\d+)*(?:-\w+)?", text.strip())
    if found is None:
        raise ConfigurationError(f"--for {text!r}: expected a version of ClickHouse, such as clickhouse-24.8 or 25.3")
    return int(found[1]), int(found[2])


def lacks(version: Version) -> list[str]:
    """What a server of that version lacks, in sentences; empty where nothing."""
    name = ".".join(map(str, version))
    found = [f"ClickHouse {name} lacks {lack.what}" for lack in _LACKS if lack.since <= version < lack.before]
    if version < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        found.insert(0, f"ClickHouse {name} was not tried: {oldest} is the oldest that all of this SQL is run on")
    return found
