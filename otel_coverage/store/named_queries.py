"""Named queries: the files of ``queries/reports/``.

The comment at the top of a file says what the query returns, then declares the parameters that only it has::

    -- Functions that profiles execute at one of two revisions only.
    --
    -- {base:String}  the revision to compare with
    -- {limit:UInt32} = '10'  a parameter with a default
    -- table: module > qualname, line  what a terminal shows, grouped by module

Parameters of :data:`COMMON` need no declaration. A query about some services, runs or profiles is the same SQL, over
their rows alone: see :mod:`~otel_coverage.store.narrowing`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from otel_coverage.errors import ConfigurationError
from otel_coverage.store.narrowing import COLUMNS, narrowed, narrows
from otel_coverage.store.sql_files import SqlFile, sql_files
from otel_coverage.suggestions import suggestion

if TYPE_CHECKING:
    from otel_coverage.store.store import Result, Store

_DECLARATION = re.compile(r"\{(?P<name>\w+):(?P<type>[^{}]+)\}(?: = '(?P<default>[^']*)')?(?:\s+(?P<meaning>.*))?")
_USE = re.compile(r"\{(\w+):[^{}]+\}")

Value = str | Sequence[str]  # of a parameter; several for one of COLUMNS

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
    Parameter("services", "Array(String)", "", "names with commas between them; empty: all services"),
    Parameter("runs", "Array(String)", "", "run ids with commas between them; empty: all runs"),
    Parameter("profiles", "Array(String)", "", "names with commas between them, as if no other was played; empty: all"),
    Parameter("profile", "String", "", "only rows about this one; empty: all"),
    Parameter("module", "String", "", "only rows about this one; empty: all"),
)


@dataclass(frozen=True, slots=True)
class NamedQuery:
    """A query of ``queries/reports/``.

    Attributes:
        name: the file's name without its suffix.
        summary: what it returns, in one line.
        parameters: those that it declares, then the common ones that it uses.
        sql: the statement, over all services, runs and profiles.
        columns: those that a terminal shows; empty for all.
        groups: columns that a terminal shows as headings, the outermost first.
    """

    name: str
    summary: str
    parameters: tuple[Parameter, ...]
    sql: str
    columns: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()

    @classmethod
    def parse(cls, file: SqlFile) -> NamedQuery:
        """The query in a file."""
        summary, parameters, table = "", [], ""
        for line in file.text.splitlines():
            if not line.startswith("--"):
                break
            text = line.removeprefix("--").strip()
            declared = _DECLARATION.fullmatch(text)
            if declared is not None:
                parameters.append(
                    Parameter(declared["name"], declared["type"], declared["default"], declared["meaning"] or "")
                )
            elif text.startswith("table:"):
                table = text.removeprefix("table:")
            elif not summary:
                summary = text
        sql = file.statements[0]
        used = {*_USE.findall(sql), *(name for name in COLUMNS if narrows(sql, name))}
        parameters += [parameter for parameter in COMMON if parameter.name in used]
        *groups, columns = [part.strip() for part in table.split(">")]
        shown = tuple(name.strip() for name in columns.split(",")) if columns else ()
        return cls(file.name, summary, tuple(parameters), sql, shown, tuple(groups))

    def known(self, values: Mapping[str, Value]) -> dict[str, Value]:
        """Those of the values that it has a parameter for."""
        names = {parameter.name for parameter in self.parameters}
        return {name: value for name, value in values.items() if name in names}

    def bind(self, given: Mapping[str, Value]) -> dict[str, Value]:
        """The value of every parameter; those that name services, runs or profiles become lists.

        Raises:
            ConfigurationError: one is unknown, or has no value.
        """
        known = {parameter.name for parameter in self.parameters}
        unknown = sorted(given.keys() - known)
        if unknown:
            takes = f"it takes {', '.join(sorted(known))}" if known else "it takes none"
            raise ConfigurationError(f"query {self.name!r} has no parameter {unknown[0]!r}; {takes}")
        values: dict[str, Value] = {}
        for parameter in self.parameters:
            value = given.get(parameter.name, parameter.default)
            if parameter.name in COLUMNS and value is not None:
                value = value.split(",") if isinstance(value, str) and value else list(value)
            if value is None:
                raise ConfigurationError(
                    f"query {self.name!r} needs --param {parameter.name}=… ({parameter.meaning or parameter.type})"
                )
            values[parameter.name] = value
        return values

    def statement(self, store: Store, values: Mapping[str, Value]) -> str:
        """The SQL to run for some values of the parameters: over the services, runs and profiles that they name."""
        return narrowed(self.sql, {name for name in COLUMNS if values.get(name)}, store.database)

    def resolve(self, store: Store, given: Mapping[str, Value]) -> tuple[str, dict[str, Value]]:
        """The SQL to run and the value of every parameter, an empty revision replaced by the newest.

        Raises:
            ConfigurationError: a parameter is unknown, or has no value.
            StoreError: the engine refuses.
        """
        values = self.bind(given)
        if values.get("revision") == "":
            played: dict[str, Value] = {name: values[name] for name in ("runs", "profiles") if name in values}
            values["revision"] = newest_revision(store, str(values["namespace"]), played)
        return self.statement(store, values), values

    def ask(self, store: Store, given: Mapping[str, Value] | None = None) -> Result:
        """Run it and return its rows; raises as :meth:`resolve` does."""
        return store.query(*self.resolve(store, given or {}))


def newest_revision(store: Store, namespace: str, played: Mapping[str, Value] | None = None) -> str:
    """The revision whose coverage arrived last; empty where none is named on any span.

    Args:
        store: an open store.
        namespace: the services that share one source tree.
        played: the `runs` and `profiles` that matter; by default all.
    """
    chosen = {name: names for name, names in (played or {}).items() if names}
    sql = narrowed(_NEWEST, chosen, store.database)
    return str(store.query(sql, {"namespace": namespace, **chosen}).rows[0][0])


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
        raise ConfigurationError(
            f"no query {name!r}; {suggestion(name, queries, len(queries))}; `otel-coverage query --list` lists all"
        )
    return queries[name]
