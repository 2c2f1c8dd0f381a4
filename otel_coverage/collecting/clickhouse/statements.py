"""What a statement does, and whether the endpoint lets it: everything that only reads the store, and one insert.

Reading is guarded twice. The engine runs it in its own read-only mode, in which it changes nothing and opens no table
function that reads files or the network. What that mode lets through all the same is refused here, by the statement as
the engine's own parser writes it out again: writing a file, reading one by a function, ending other people's queries.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from otel_coverage.collecting.clickhouse.errors import not_offered, read_only
from otel_coverage.collecting.rows import TABLE

_READING = frozenset({"SELECT", "WITH", "SHOW", "DESCRIBE", "EXPLAIN", "EXISTS"})
_STREAMED = frozenset({"SELECT", "WITH"})

# a block of these is complete in itself, so that what the engine hands out piece by piece is whole in the end
_STREAMED_FORMATS = frozenset({"Native", "TabSeparated", "TSV", "CSV", "RowBinary", "JSONEachRow"})
_INSERTED_FORMATS = frozenset(
    {"Native", "RowBinary", "RowBinaryWithNames", "RowBinaryWithNamesAndTypes", "JSONEachRow"}
)

_LITERALS = re.compile(r"'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`|\"(?:[^\"\\]|\\.)*\"", re.DOTALL)
_BEYOND = re.compile(r"\bINTO OUTFILE\b|\b(?:file|catboostEvaluate)\(", re.IGNORECASE)
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
        database: where the statement names one.
        columns: their names; empty for all of them in the table's order.
        format: that the data is in.
        length: of the statement: where the data begins.
    """

    database: str | None
    columns: tuple[str, ...]
    format: str
    length: int

    @property
    def sql(self) -> str:
        """The statement, written anew from what was understood of it; the format is told to the engine apart."""
        database = f"`{self.database}`." if self.database else ""
        columns = f" ({', '.join(f'`{name}`' for name in self.columns)})" if self.columns else ""
        return f"INSERT INTO {database}`{TABLE}`{columns}"

    @classmethod
    def parse(cls, text: str) -> Insert | None:
        """The insert that a text begins with; None where it begins with something else.

        Raises:
            EngineError: it is an insert, but none of those that are let in.
        """
        if _IS_INSERT.match(text) is None:
            return None
        found = _INSERT.match(text)
        if found is None:
            raise not_offered(
                f"write INSERT INTO {TABLE} (columns) FORMAT RowBinary, then the data; nothing else is taken"
            )
        table, name = found["table"].strip('`"'), found["format"]
        if table != TABLE:
            raise read_only(f"{table}: only {TABLE} takes inserts here")
        if name not in _INSERTED_FORMATS:
            raise not_offered(f"FORMAT {name}: inserts come in one of {', '.join(sorted(_INSERTED_FORMATS))}")
        database = found["database"].strip('`"') if found["database"] else None
        columns = tuple(column.strip('`"') for column in re.findall(_NAME, found["columns"] or ""))
        return cls(database, columns, name, found.end())


@dataclass(frozen=True, slots=True)
class Reading:
    """A statement that only reads.

    Attributes:
        format: that it asks for; None where it says nothing.
        can_stream: whether the engine hands its answer out piece by piece, in ``format``.
    """

    format: str | None
    can_stream: bool

    @classmethod
    def of(cls, normalized: str, default_format: str) -> Reading:
        """What a statement is, given as the engine's parser writes it on one line.

        Raises:
            EngineError: it is none that is let through.
        """
        words = _LITERALS.sub("''", normalized)
        kind = words.lstrip("( ").partition(" ")[0].upper()
        if kind not in _READING:
            raise read_only(f"{kind}: this endpoint is read-only, but for inserts into {TABLE}")
        beyond = _BEYOND.search(words)
        if beyond is not None:
            raise read_only(f"{beyond[0].rstrip('(')}: files are out of this endpoint's reach")
        named = _FORMAT.search(words)
        name = named[1] if named else None
        return cls(name, kind in _STREAMED and (name or default_format) in _STREAMED_FORMATS)
