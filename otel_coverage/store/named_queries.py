"""Named queries: the files of ``queries/reports/``.

The comment at the top of a file says what the query returns, then declares the parameters that only it has::

    -- Functions that profiles execute at one of two revisions only.
    --
    -- {base:String}  the revision to compare with
    -- {limit:UInt32} = '10'  a parameter with a default

Parameters of :data:`COMMON` need no declaration. A query about some services is the same SQL: the definitions of the
views that it reads are put in front of it as common table expressions, over those services' rows alone.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from otel_coverage.errors import ConfigurationError
from otel_coverage.store.sql_files import SqlFile, queries_folder, sql_files

if TYPE_CHECKING:
    from otel_coverage.store.store import Result, Store

_DECLARATION = re.compile(r"\{(?P<name>\w+):(?P<type>[^{}]+)\}(?: = '(?P<default>[^']*)')?(?:\s+(?P<meaning>.*))?")
_USE = re.compile(r"\{(\w+):String\}")
_DEFINITION = re.compile(
    r"CREATE (?:OR REPLACE VIEW (?P<view>\w+)|MATERIALIZED VIEW IF NOT EXISTS \w+ TO (?P<table>\w+)) AS\n(?P<query>.*)",
    re.DOTALL,
)

_RELATION = re.compile(r"\b(?:FROM|JOIN) (\w+)")

# what is narrowed by its column `service`; views over it, and coverage_by_symbol, are derived again
_BY_SERVICE = {"coverage_functions": "*", "coverage_lines": "*, lines", "coverage_arcs": "*", "recorded_requests": "*"}

_NEWEST = """
SELECT argMax(revision, last_seen) FROM coverage_runs
WHERE namespace = {namespace:String} AND revision != '' AND (recorded OR covered)
"""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a named query.

    Attributes:
        name: as in the SQL.
        type: ClickHouse's type.
        default: None where a value has to be given.
        meaning: in words.
    """

    name: str
    type: str
    default: str | None
    meaning: str


COMMON = (
    Parameter("namespace", "String", "", "service.namespace: the services that share one source tree"),
    Parameter("revision", "String", "", "empty: the newest that was traced"),
    Parameter("services", "String", "", "names with commas between them; empty: all services"),
    Parameter("profile", "String", "", "empty: all profiles"),
    Parameter("module", "String", "", "empty: all modules"),
)


@dataclass(frozen=True, slots=True)
class NamedQuery:
    """A query of ``queries/reports/``.

    Attributes:
        name: the file's name without its suffix.
        summary: what it returns, in one line.
        parameters: those that it declares, then the common ones that it uses.
        sql: the statement, over all services.
    """

    name: str
    summary: str
    parameters: tuple[Parameter, ...]
    sql: str

    @classmethod
    def parse(cls, file: SqlFile) -> NamedQuery:
        """The query in a file."""
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
        sql = file.statements[0]
        used = set(_USE.findall(sql))
        if _definitions_by_service(sql, ""):
            used.add("services")
        parameters += [parameter for parameter in COMMON if parameter.name in used]
        return cls(file.name, summary, tuple(parameters), sql)

    def bind(self, given: Mapping[str, str]) -> dict[str, str]:
        """The value of every parameter.

        Raises:
            ConfigurationError: one is unknown, or has no value.
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

    def statement(self, store: Store, values: Mapping[str, str]) -> str:
        """The SQL to run for some values of the parameters: where they name services, over those services' rows."""
        return _by_service(self.sql, store.database) if values.get("services") else self.sql

    def resolve(self, store: Store, given: Mapping[str, str]) -> tuple[str, dict[str, str]]:
        """The SQL to run and the value of every parameter, an empty revision replaced by the newest.

        Raises:
            ConfigurationError: a parameter is unknown, or has no value.
            StoreError: the engine refuses.
        """
        values = self.bind(given)
        if values.get("revision") == "":
            values["revision"] = newest_revision(store, values["namespace"])
        return self.statement(store, values), values

    def ask(self, store: Store, given: Mapping[str, str] | None = None) -> Result:
        """Run it and return its rows; raises as :meth:`resolve` does."""
        return store.query(*self.resolve(store, given or {}))


def newest_revision(store: Store, namespace: str) -> str:
    """The revision whose coverage arrived last; empty where none is named on any span."""
    return str(store.query(_NEWEST, {"namespace": namespace}).rows[0][0])


def named_queries() -> tuple[NamedQuery, ...]:
    """All of them, sorted by name."""
    return tuple(NamedQuery.parse(file) for file in sql_files("reports"))


def named_query(name: str) -> NamedQuery:
    """The query of that name.

    Raises:
        ConfigurationError: there is none; the message lists similar names.
    """
    queries = {query.name: query for query in named_queries()}
    if name not in queries:
        near = difflib.get_close_matches(name, queries, n=3, cutoff=0.4) or sorted(queries)
        raise ConfigurationError(
            f"no query {name!r}; did you mean {', '.join(near)}? `otel-coverage query --list` lists all"
        )
    return queries[name]


def _by_service(sql: str, database: str) -> str:
    """The statement over the rows of the services that the parameter ``services`` names."""
    definitions = [f"{name} AS (\n{query}\n)" for name, query in _definitions_by_service(sql, f"{database}.").items()]
    code = "\n".join(line for line in sql.splitlines() if not line.startswith("--"))
    if code.startswith("WITH"):
        definitions.append(code.removeprefix("WITH"))
        return "WITH\n" + ",\n".join(definitions)
    return ("WITH\n" + ",\n".join(definitions) + "\n" if definitions else "") + code


def _definitions_by_service(sql: str, qualifier: str) -> dict[str, str]:
    """What a statement reads that depends on services, by name, each after those that it reads itself."""
    found = {
        name: f"SELECT {columns} FROM {qualifier}{name}"  # noqa: S608 - our own names
        " WHERE has(splitByChar(',', {services:String}), toString(service))"
        for name, columns in _BY_SERVICE.items()
    }
    for name, query in _definitions(queries_folder()).items():
        if name not in found and found.keys() & _RELATION.findall(query):
            found[name] = query
    needed = set(_RELATION.findall(sql))
    for name in reversed(found):
        if name in needed and name not in _BY_SERVICE:
            needed.update(_RELATION.findall(found[name]))
    return {name: query for name, query in found.items() if name in needed}


@cache
def _definitions(folder: Path) -> dict[str, str]:
    """The query of each view, and of each table that a materialized view fills, in the order of the files."""
    statements = (_DEFINITION.search(statement) for file in sql_files("views") for statement in file.statements)
    return {found["view"] or found["table"]: found["query"] for found in statements if found is not None}
