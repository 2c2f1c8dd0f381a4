"""Where tables are: on one server, or on each shard of a cluster with a Distributed table over them.

The SQL files are templates, written for one server. :class:`Layout` adds what a cluster needs, statement by statement;
it knows the few forms of statements in the files by their first words. Queries are the same on both: their joins and
subqueries are GLOBAL where a Distributed table may be on either side, which has no effect on one server.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from otel_coverage.errors import ConfigurationError

TRACES = "otel_traces"
LOCAL = "_local"  # suffix of the tables of each shard
PER_NODE = "coverage_intake"  # keeps nothing, so there is nothing to distribute

_COMMENTS = r"(?P<head>(?:\s*--[^\n]*\n)*\s*)"
_TABLE = re.compile(_COMMENTS + r"CREATE TABLE IF NOT EXISTS (?P<name>\w+)(?P<body> (?:\(|AS ).*)", re.DOTALL)
_MATERIALIZED = re.compile(
    _COMMENTS + r"CREATE MATERIALIZED VIEW IF NOT EXISTS (?P<name>\w+) TO (?P<target>\w+) AS\n(?P<query>.*)", re.DOTALL
)
_SOURCE = re.compile(r"\bFROM (\w+)")
_VIEW = re.compile(_COMMENTS + r"CREATE OR REPLACE VIEW (?P<name>\w+)(?P<body> AS.*)", re.DOTALL)
_ENGINE = re.compile(r"(?P<before>\)|AS \w+) ENGINE = (?P<kind>\w*)MergeTree")
_NAME = re.compile(r"[^\W\d]\w{0,127}")


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the tables of a store are.

    Attributes:
        traces: the table that spans are inserted into, in the store's database; on a cluster the one of each shard.
        cluster: the cluster's name, as in ``remote_servers``; empty for one server.
    """

    traces: str = TRACES
    cluster: str = ""

    def __post_init__(self) -> None:
        for what, name in (("table", self.traces), ("cluster", self.cluster)):
            if name and _NAME.fullmatch(name.replace("-", "_") if what == "cluster" else name) is None:
                raise ConfigurationError(f"{what} {name!r}: use letters, digits and underscores, the first not a digit")

    @classmethod
    def on(cls, cluster: str, traces: str = "") -> Layout:
        """The layout on a cluster, or on one server where ``cluster`` is empty; ``traces`` is empty for the default."""
        return cls(traces or (TRACES + LOCAL if cluster else TRACES), cluster)

    def local(self, table: str) -> str:
        """The name of the table that holds the rows on one server or shard."""
        if table == TRACES:
            return self.traces
        return table + LOCAL if self.cluster and table != PER_NODE else table

    @property
    def spans(self) -> str:
        """The table that holds the spans of all shards, where there is one over theirs; spans are inserted into it."""
        return TRACES if self.cluster and self.traces == TRACES + LOCAL else self.traces

    @property
    def everywhere(self) -> str:
        """``ON CLUSTER``, after a space, for statements that every node has to run; empty on one server."""
        return f" ON CLUSTER '{self.cluster}'" if self.cluster else ""

    def statements(self, statement: str, database: str) -> Iterator[str]:
        """The statements that one statement of the SQL files becomes in this layout.

        Raises:
            ConfigurationError: the statement has none of the known forms.
        """
        if found := _TABLE.fullmatch(statement):
            yield from self._table(found, database)
        elif found := _MATERIALIZED.fullmatch(statement):
            query = _SOURCE.sub(lambda source: f"FROM {self.local(source[1])}", found["query"])
            yield (
                f"{found['head']}CREATE MATERIALIZED VIEW IF NOT EXISTS {found['name']}{self.everywhere}"
                f" TO {self.local(found['target'])} AS\n{query}"
            )
            # an earlier version's view changes to this query with no span missed between the two
            yield f"ALTER TABLE {found['name']}{self.everywhere} MODIFY QUERY\n{query}"
        elif found := _VIEW.fullmatch(statement):
            yield f"{found['head']}CREATE OR REPLACE VIEW {found['name']}{self.everywhere}{found['body']}"
        else:
            raise ConfigurationError(f"a statement of the schema has an unknown form: {statement[:60]!r}")

    def _table(self, found: re.Match[str], database: str) -> Iterator[str]:
        name, local, body = found["name"], self.local(found["name"]), found["body"]
        if self.cluster:
            # the path in Keeper and the replica's name are the server's defaults, which need the macros {shard} and
            # {replica} and no others
            body = _ENGINE.sub(r"\g<before> ENGINE = Replicated\g<kind>MergeTree", body, count=1)
        yield f"{found['head']}CREATE TABLE IF NOT EXISTS {local}{self.everywhere}{body}"
        if self.cluster and local != name:
            yield (
                f"CREATE TABLE IF NOT EXISTS {name}{self.everywhere} AS {local}\n"
                f"ENGINE = Distributed('{self.cluster}', '{database}', '{local}', rand())"
            )


ONE_SERVER = Layout()
