"""Tables and views: put into a store, in order, as often as one likes."""

from __future__ import annotations

from collections.abc import Iterator

from otel_coverage.store.sql import SqlFile, sql_files
from otel_coverage.store.store import Store

_VERSIONS = """
CREATE TABLE IF NOT EXISTS coverage_schema (
    name String COMMENT 'file of queries/, without its suffix',
    digest String COMMENT 'of the text that was applied',
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3)
) ENGINE = ReplacingMergeTree(applied_at) ORDER BY name
"""


def files() -> Iterator[SqlFile]:
    """What makes up the schema, in the order of application: tables first, then views."""
    yield from sql_files("schema")
    yield from sql_files("views")


def apply(store: Store) -> list[str]:
    """Bring a store up to this version's schema.

    Files that the store has not seen, in this text, are run; every statement in them may be run again.

    Returns:
        The names of the files that were run; empty where nothing was left to do.

    Raises:
        StoreError: the engine refuses a statement.
    """
    store.command(_VERSIONS)
    seen = dict(store.query("SELECT name, digest FROM coverage_schema FINAL").rows)
    unseen = [file for file in files() if seen.get(file.title) != file.digest]
    for file in unseen:
        for statement in file.statements:
            store.command(statement)
    store.insert("coverage_schema", ["name", "digest"], [[file.title, file.digest] for file in unseen])
    return [file.title for file in unseen]


def show() -> str:
    """The whole schema as one SQL script."""
    return "\n\n".join(f"-- {file.title}.sql\n{file.text.strip()}" for file in files()) + "\n"
