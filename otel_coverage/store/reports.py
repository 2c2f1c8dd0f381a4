"""Named queries: the files of ``queries/reports/``, each with its parameters declared at its top.

The comment at the top of a file says what the query answers, then declares one parameter a line::

    -- Functions and classes that no profile executed.
    --
    -- {revision:String} = ''  the newest when empty
    -- {module:String}  a parameter without a default has to be given
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from otel_coverage.errors import ConfigurationError
from otel_coverage.store.sql import SqlFile, sql_files

_DECLARATION = re.compile(r"\{(?P<name>\w+):(?P<type>[^{}]+)\}(?: = '(?P<default>[^']*)')?(?:\s+(?P<meaning>.*))?")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a named query.

    Attributes:
        name: as it stands in the SQL.
        type: ClickHouse's type.
        default: None where a value has to be given.
        meaning: in words.
    """

    name: str
    type: str
    default: str | None
    meaning: str


@dataclass(frozen=True, slots=True)
class NamedQuery:
    """A query that has a name.

    Attributes:
        name: the file's name without its suffix.
        summary: what it answers, in one line.
        parameters: in the order of their declaration.
        sql: the statement.
    """

    name: str
    summary: str
    parameters: tuple[Parameter, ...]
    sql: str

    @classmethod
    def of(cls, file: SqlFile) -> NamedQuery:
        """The query that a file holds."""
        summary, parameters = "", []
        for line in file.text.splitlines():
            if not line.startswith("--"):
                break
            text = line.removeprefix("--").strip()
            declared = _DECLARATION.fullmatch(text)
            if declared is not None:
                parameters.append(
                    Parameter(declared["name"], declared["type"], declared["default"], declared["meaning"] or "")
                )
            elif not summary:
                summary = text
        return cls(file.name, summary, tuple(parameters), file.statements[0])

    def bind(self, given: Mapping[str, str]) -> dict[str, str]:
        """The value of every parameter.

        Raises:
            ConfigurationError: one is unknown, or lacks a value.
        """
        known = {parameter.name for parameter in self.parameters}
        unknown = sorted(given.keys() - known)
        if unknown:
            takes = f"it takes {', '.join(sorted(known))}" if known else "it takes none"
            raise ConfigurationError(f"query {self.name!r} has no parameter {unknown[0]!r}; {takes}")
        values: dict[str, str] = {}
        for parameter in self.parameters:
            value = given.get(parameter.name, parameter.default)
            if value is None:
                raise ConfigurationError(
                    f"query {self.name!r} needs --param {parameter.name}=… ({parameter.meaning or parameter.type})"
                )
            values[parameter.name] = value
        return values


def named_queries() -> tuple[NamedQuery, ...]:
    """All of them, by name."""
    return tuple(NamedQuery.of(file) for file in sql_files("reports"))


def named_query(name: str) -> NamedQuery:
    """The one of that name.

    Raises:
        ConfigurationError: there is none; the message names those that are spelt alike.
    """
    queries = {query.name: query for query in named_queries()}
    if name not in queries:
        near = difflib.get_close_matches(name, queries, n=3, cutoff=0.4) or sorted(queries)
        raise ConfigurationError(
            f"no query {name!r}; there is {', '.join(near)}; `otel-coverage query --list` tells all"
        )
    return queries[name]
