"""Where tables stand: on one server, or on each shard of a cluster with a Distributed table over them.

The SQL files are written for one server. What a cluster needs instead is put in here, statement by statement; they keep
to a few forms, which :class:`Layout` knows by their first words. Queries are the same on both: their joins and
subqueries are GLOBAL where a Distributed table may stand on either side, which one server makes nothing of.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from otel_coverage.errors import ConfigurationError

TRACES = "otel_traces"
LOCAL = "_local"  # what the name of a shard's own table ends in
PER_NODE = "coverage_intake"  # keeps nothing, so there is nothing to distribute

_COMMENTS = r"(?P<head>(?:\s*--[^\n]*\n)*\s*)"
_TABLE = re.compile(_COMMENTS + r"CREATE TABLE IF NOT EXISTS (?P<name>\w+)(?P<body> \(.*)", re.DOTALL)
_ALTER = re.compile(_COMMENTS + r"ALTER TABLE (?P<name>\w+)(?P<body>.*)", re.DOTALL)
_INTAKE = re.compile(
    _COMMENTS + r"CREATE MATERIALIZED VIEW IF NOT EXISTS (?P<name>\w+) TO (?P<target>\w+) AS\n(?P<query>.*)", re.DOTALL
)
_SOURCE = re.compile(r"\bFROM (\w+)")
_FILL = re.compile(_COMMENTS + r"INSERT INTO \w+ ")
_VIEW = re.compile(_COMMENTS + r"CREATE OR REPLACE VIEW (?P<name>\w+)(?P<body> AS.*)", re.DOTALL)
_ENGINE = re.compile(r"\) ENGINE = (?P<kind>\w*)MergeTree")
_NAME = re.compile(r"[^\W\d]\w{0,127}")


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the tables of a store stand.

    Attributes:
        traces: the table that spans land in; on a cluster the one of each shard. It stands in the store's
            database.
        cluster: the cluster's name, as in ``remote_servers``; empty for one server.
    """

    traces: str = TRACES
    cluster: str = ""

    def __post_init__(self) -> None:
        for what, name in (("table", self.traces), ("cluster", self.cluster)):
            if name and _NAME.fullmatch(name.replace("-", "_") if what == "cluster" else name) is None:
                raise ConfigurationError(
                    f"{what} {name!r}: a name is letters, digits and underscores, not first a digit"
                )

    @classmethod
    def on(cls, cluster: str, traces: str = "") -> Layout:
        """The layout on a cluster, or on one server where ``cluster`` is empty, with the usual names."""
        return cls(traces or (TRACES + LOCAL if cluster else TRACES), cluster)

    def local(self, table: str) -> str:
        """The name of the table that holds the rows of one server or shard."""
        if table == TRACES:
            return self.traces
        return table + LOCAL if self.cluster and table != PER_NODE else table

    @property
    def everywhere(self) -> str:
        """What follows a name in a statement that every node is to run; begins with a blank, or is empty."""
        return f" ON CLUSTER '{self.cluster}'" if self.cluster else ""

    def statements(self, statement: str, database: str) -> Iterator[str]:
        """What makes of one statement of the SQL files the same thing in this layout."""
        if found := _TABLE.fullmatch(statement):
            yield from self._table(found, database)
        elif found := _ALTER.fullmatch(statement):
            for table in dict.fromkeys((self.local(found["name"]), found["name"])):
                yield f"{found['head']}ALTER TABLE {table}{self.everywhere}{found['body']}"
        elif found := _INTAKE.fullmatch(statement):
            query = _SOURCE.sub(lambda source: f"FROM {self.local(source[1])}", found["query"])
            yield (
                f"{found['head']}CREATE MATERIALIZED VIEW IF NOT EXISTS {found['name']}{self.everywhere}"
                f" TO {self.local(found['target'])} AS\n{query}"
            )
            # one that an earlier version made goes over to the new query without a gap between two spans
            yield f"ALTER TABLE {found['name']}{self.everywhere} MODIFY QUERY\n{query}"
        elif _FILL.match(statement):
            yield statement
        elif found := _VIEW.fullmatch(statement):
            yield f"{found['head']}CREATE OR REPLACE VIEW {found['name']}{self.everywhere}{found['body']}"
        else:
            raise ConfigurationError(f"a statement of the schema has no form that is known: {statement[:60]!r}")

    def _table(self, found: re.Match[str], database: str) -> Iterator[str]:
        name, local, body = found["name"], self.local(found["name"]), found["body"]
        if self.cluster:
            # its path in Keeper and its replica's name are the server's own defaults: with the {shard} and {replica}
            # macros that replication needs anyway, and no other
            body = _ENGINE.sub(r") ENGINE = Replicated\g<kind>MergeTree", body, count=1)
        yield f"{found['head']}CREATE TABLE IF NOT EXISTS {local}{self.everywhere}{body}"
        if self.cluster and local != name:
            yield (
                f"CREATE TABLE IF NOT EXISTS {name}{self.everywhere} AS {local}\n"
                f"ENGINE = Distributed('{self.cluster}', '{database}', '{local}', rand())"
            )


ONE_SERVER = Layout()
