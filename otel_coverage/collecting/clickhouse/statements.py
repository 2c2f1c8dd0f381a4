"""The writes that the endpoint allows: inserts of spans, catalogs and windows, and deletions of catalogs and runs.

Everything else is judged as a read (`judge.py`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from otel_coverage.catalog import code_symbols
from otel_coverage.collecting.clickhouse.exceptions import not_implemented, read_only
from otel_coverage.store import forgetting, windows
from otel_coverage.store.layout import ONE_SERVER, TRACES

_DELETIONS = frozenset(
    {
        *code_symbols.replacement_deletions(ONE_SERVER),
        *forgetting.deletions(ONE_SERVER),
        forgetting.deletion_of_unassigned(ONE_SERVER),
    }
)
_INSERT_FORMATS = frozenset({"Native", "RowBinary", "RowBinaryWithNames", "RowBinaryWithNamesAndTypes", "JSONEachRow"})

_NAME = r"(?:`[^`\\]+`|\"[^\"\\]+\"|[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)?)"
_INSERT = re.compile(
    rf"\s*INSERT\s+INTO\s+(?:TABLE\s+)?(?:(?P<database>`\w+`|\"\w+\"|\w+)\.)?(?P<table>`\w+`|\"\w+\"|\w+)\s*"
    rf"(?:\((?P<columns>\s*{_NAME}\s*(?:,\s*{_NAME}\s*)*)\))?\s*"
    r"FORMAT\s+(?P<format>\w+)(?:[ \t]*\r?\n|[\s;]*\Z)",
    re.IGNORECASE,
)
_IS_INSERT = re.compile(r"\s*INSERT\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Insert:
    """An insert of spans, symbols or windows.

    Attributes:
        table: one of those that accept inserts.
        database: None where the statement names none.
        columns: their names; empty for all, in the table's order.
        format: of the data.
        length: characters of the statement; the data follows.
    """

    table: str
    database: str | None
    columns: tuple[str, ...]
    format: str
    length: int

    @property
    def sql(self) -> str:
        """The statement rebuilt from what was parsed, for a session in the store's database.

        The format is left out: chDB takes it separately.
        """
        columns = f" ({', '.join(f'`{name}`' for name in self.columns)})" if self.columns else ""
        return f"INSERT INTO `{self.table}`{columns}"

    @classmethod
    def parse(cls, text: str, traces: str = TRACES) -> Insert | None:
        """Parse the INSERT that a text begins with; None for any other text.

        Args:
            text: a statement, perhaps with data behind it.
            traces: the table that takes spans.

        Raises:
            QueryError: the insert is not one that the endpoint accepts.
        """
        if _IS_INSERT.match(text) is None:
            return None
        found = _INSERT.match(text)
        if found is None:
            raise not_implemented("only INSERT INTO table (columns) FORMAT name, followed by the data, is supported")
        table, name = found["table"].strip('`"'), found["format"]
        tables = (traces, code_symbols.TABLE, windows.TABLE)
        if table not in tables:
            raise read_only(
                f"Cannot insert into {table}: only {', '.join(tables[:-1])} and {tables[-1]} accept inserts here"
            )
        if name not in _INSERT_FORMATS:
            raise not_implemented(
                f"FORMAT {name} is not supported for inserts; use one of {', '.join(sorted(_INSERT_FORMATS))}"
            )
        database = found["database"].strip('`"') if found["database"] else None
        columns = tuple(column.strip('`"') for column in re.findall(_NAME, found["columns"] or ""))
        return cls(table, database, columns, name, found.end())


def is_known_deletion(sql: str) -> bool:
    """Whether a statement is, word by word, one by which `catalog push` replaces a catalog, or `store forget` a run."""
    return " ".join(sql.split()) in _DELETIONS
