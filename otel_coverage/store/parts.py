"""Parts, the files of tables: when they are synced, and which of them the engine has set aside."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from otel_coverage.store.store import Store

# The engine acknowledges an insert before the disk has it, and removes the sources of a merge before the disk has its
# result. With these it does neither.
SYNCED = {
    "fsync_after_insert": 1,
    "fsync_part_directory": 1,
    "min_rows_to_fsync_after_merge": 1,
    "min_compressed_bytes_to_fsync_after_merge": 1,
}


@dataclass(frozen=True, slots=True)
class DetachedPart:
    """Rows that are no longer read.

    Attributes:
        table: whose they were.
        name: of the part's folder.
        reason: the engine's code, such as ``broken-on-start``.
        path: the folder.
    """

    table: str
    name: str
    reason: str
    path: str

    def __str__(self) -> str:
        return f"{self.table}: the engine set {self.name} aside ({self.reason}) and reads none of its rows: {self.path}"


def sync_parts(store: Store) -> None:
    """Have the tables of an embedded store sync what is inserted and merged from now on, and sync what they hold.

    A server's tables are left as its administrator has them.

    Raises:
        StoreError: the engine refuses.
    """
    if store.dsn.kind != "chdb":
        return
    lacking = store.query(
        "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree'"
        " AND position(create_table_query, 'min_compressed_bytes_to_fsync_after_merge') = 0"
    ).rows
    settings = ", ".join(f"{name} = {value}" for name, value in SYNCED.items())
    for (table,) in lacking:
        store.command(f"ALTER TABLE {table} MODIFY SETTING {settings}")
    if lacking:  # what the schema's files have written, such as which of them were applied
        _sync_files(Path(store.dsn.path))


def _sync_files(folder: Path) -> None:
    for path in [folder, *folder.rglob("*")]:
        if path.is_symlink() or not (path.is_dir() or path.is_file()):
            continue
        with suppress(OSError):  # the engine has merged it away meanwhile
            opened = os.open(path, os.O_RDONLY)
            try:
                os.fsync(opened)
            finally:
                os.close(opened)


def detached_parts(store: Store) -> list[DetachedPart]:
    """The parts that the engine has set aside because they are damaged.

    Raises:
        StoreError: the engine refuses.
    """
    return [
        DetachedPart(*row)
        for row in store.query(
            "SELECT table, name, reason, path FROM system.detached_parts"
            " WHERE database = currentDatabase() AND reason != '' ORDER BY table, name"
        ).rows
    ]
