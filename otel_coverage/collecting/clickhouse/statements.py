"""The statements that the endpoint allows: those that only read the store, and inserts into ``otel_traces``.

Reads are guarded twice. ClickHouse runs them in its read-only mode, which forbids changes and table functions that read
files or the network. What that mode allows all the same (writing a file, reading one by a function, killing queries) is
refused here, from the statement as ClickHouse's own parser formats it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from otel_coverage.collecting.clickhouse.exceptions import not_implemented, read_only
from otel_coverage.collecting.rows import TABLE

_READS = frozenset({"SELECT", "WITH", "SHOW", "DESCRIBE", "EXPLAIN", "EXISTS"})
_STREAMABLE = frozenset({"SELECT", "WITH"})

# formats without header or footer around all blocks: the concatenated chunks are the whole result
_STREAMABLE_FORMATS = frozenset({"Native", "TabSeparated", "TSV", "CSV", "RowBinary", "JSONEachRow"})
_INSERT_FORMATS = frozenset({"Native", "RowBinary", "RowBinaryWithNames", "RowBinaryWithNamesAndTypes", "JSONEachRow"})

_LITERALS = re.compile(r"'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`|\"(?:[^\"\\]|\\.)*\"", re.DOTALL)
_FILE_ACCESS = re.compile(r"\bINTO OUTFILE\b|\b(?:file|catboostEvaluate)\(", re.IGNORECASE)
_FORMAT = re.compile(r"\bFORMAT (\w+)(?: SETTINGS .*)?$", re.DOTALL)

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


@dataclass(frozen=True, slots=True)
class ReadStatement:
    """A statement that only reads.

    Attributes:
        format: of its FORMAT clause; None without one.
        can_stream: whether the result can be sent in chunks as it is computed.
    """

    format: str | None
    can_stream: bool

    @classmethod
    def parse(cls, normalized: str, default_format: str) -> ReadStatement:
        """Classify a statement, given as ClickHouse's parser formats it on one line.

        Raises:
            QueryError: the statement is not one that the endpoint allows.
        """
        words = _LITERALS.sub("''", normalized)
        kind = words.lstrip("( ").partition(" ")[0].upper()
        if kind not in _READS:
            raise read_only(f"{kind} is not allowed: this endpoint is read-only, except for inserts into {TABLE}")
        file_access = _FILE_ACCESS.search(words)
        if file_access is not None:
            raise read_only(f"{file_access[0].rstrip('(')} is not allowed: this endpoint does not access files")
        named = _FORMAT.search(words)
        name = named[1] if named else None
        return cls(name, kind in _STREAMABLE and (name or default_format) in _STREAMABLE_FORMATS)
