"""Whether the tables that reports read have changed: cheap to ask, every few seconds."""

from __future__ import annotations

import time
from collections.abc import Hashable

from otel_coverage.errors import AccessDeniedError
from otel_coverage.store.schema import layout_of
from otel_coverage.store.store import Store

_UNSEEN_INTERVAL = 30.0  # seconds in which tables change whose parts cannot be looked at

# Blocks are numbered as they are inserted, and so are deletions; merges keep the numbers. The tables of raw spans and
# of batches change with spans that no report is about.
STATEMENT = """\
SELECT table, partition_id, max(greatest(max_block_number, if(data_version = min_block_number, 0, data_version)))
FROM system.parts
WHERE active AND database = {database:String} AND match(table, '^(coverage|code)_') AND table != 'coverage_batches'
GROUP BY table, partition_id
ORDER BY table, partition_id"""


def table_state(store: Store) -> Hashable:
    """Something that is another one whenever the tables have other rows; merges do not change it.

    Of a cluster, and for a user without the right to look, it changes every half minute.

    Raises:
        StoreError: the engine refuses.
    """
    if store.dsn.kind == "clickhouse" and layout_of(store).cluster:  # the parts of other shards are not to be seen
        return time.monotonic() // _UNSEEN_INTERVAL
    try:
        return tuple(store.query(STATEMENT, {"database": store.database}).rows)
    except AccessDeniedError:
        return time.monotonic() // _UNSEEN_INTERVAL
