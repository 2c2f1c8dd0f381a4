"""The inserts that the endpoint allows: into ``otel_traces``. Everything else is judged as a read (`judge.py`)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from otel_coverage.collecting.clickhouse.exceptions import not_implemented, read_only
from otel_coverage.collecting.rows import TABLE

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
    """An insert into ``otel_traces``.

    Attributes:
        database: None where the statement names none.
        columns: their names; empty for all, in the table's order.
        format: of the data.
        length: characters of the statement; the data follows.
    """

    database: str | None
    columns: tuple[str, ...]
    format: str
    length: int

    @property
    def sql(self) -> str:
        """The statement rebuilt from what was parsed, without the format, which chDB takes separately."""
        database = f"`{self.database}`." if self.database else ""
        columns = f" ({', '.join(f'`{name}`' for name in self.columns)})" if self.columns else ""
        return f"INSERT INTO {database}`{TABLE}`{columns}"

    @classmethod
    def parse(cls, text: str) -> Insert | None:
        """Parse the INSERT that a text begins with; None for any other text.

        Raises:
            QueryError: the insert is not one that the endpoint accepts.
        """
        if _IS_INSERT.match(text) is None:
            return None
        found = _INSERT.match(text)
        if found is None:
            raise not_implemented(f"only INSERT INTO {TABLE} (columns) FORMAT name, followed by the data, is supported")
        table, name = found["table"].strip('`"'), found["format"]
        if table != TABLE:
            raise read_only(f"Cannot insert into {table}: only {TABLE} accepts inserts here")
        if name not in _INSERT_FORMATS:
            raise not_implemented(
                f"FORMAT {name} is not supported for inserts; use one of {', '.join(sorted(_INSERT_FORMATS))}"
            )
        database = found["database"].strip('`"') if found["database"] else None
        columns = tuple(column.strip('`"') for column in re.findall(_NAME, found["columns"] or ""))
        return cls(database, columns, name, found.end())
