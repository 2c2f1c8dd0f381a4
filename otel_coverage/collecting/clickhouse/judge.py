"""Whether a statement is allowed on the ClickHouse endpoint: judged on the engine's own parse, by allow lists.

The endpoint's clients may read the store: not files, not other hosts, not what the process knows. chDB cannot be
configured so: it has one user, with every grant and no way to take one away, and settings such as ``user_files_path``
have no effect. What does help, by experiment with 26.9:

- ``readonly = 1`` refuses writes, ``SET``, and SELECT from most table functions that reach out; not from ``merge``,
  ``cluster`` or ``eval``. Nor does it refuse DESCRIBE of any of them (which connects, and prints lines of files), the
  function ``file``, or EXISTS of a path (chDB's database ``default`` takes names of tables for paths).
- ``additional_table_filters`` holds for every way to read a table of ``system``, SHOW included.
- ``max_memory_usage`` and ``max_execution_time`` bound one statement each.
- Timeouts and limits on redirects, addresses or schema inference do not keep the engine from connecting.

`allowlist.session_settings` sets those that help. Everything else rests on `Judge`:

1. ``formatQuerySingleLine`` gives back exactly one statement, without comments; several are a syntax error. From here
   on only this text counts: it is what is parsed, judged, and executed.
2. Its words are read for what a syntax tree hides: settings, names of common table expressions, ``INTO OUTFILE``.
   Settings are taken out, checked, and handed to the caller.
3. ``EXPLAIN AST`` with the caller's parameters prints the tree. (Never given anything but 1: ``EXPLAIN AST a; b``
   executes b.) Each of its nodes has to be on the lists. Names print without escapes, so that a name with a line break
   could forge nodes; such names are refused before.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from otel_coverage.collecting.clickhouse import allowlist
from otel_coverage.collecting.clickhouse.exceptions import QueryError

#: Runs a statement in the session: its text, an output format, and parameters as a URL carries them.
Query = Callable[[str, str, Mapping[str, str]], bytes]

_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\0": "\\0"})
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_CHARACTERS = {"a": "\a", "b": "\b", "e": "\x1b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "0": "\0"}

# the engine names the statement an error is in; here that is the question for the normalized text
_SCOPE = re.compile(r"(?:\s*:)? In scope SELECT formatQuerySingleLine\(.*\)(?=\. \()", re.DOTALL)

_TOKEN = re.compile(
    r"""(?P<string>'(?:[^'\\]|\\.)*')
    | (?P<quoted>`(?:[^`\\]|\\.)*`|"(?:[^"\\]|\\.)*")
    | (?P<parameter>\{\w+:[^{}]*\})
    | (?P<word>[A-Za-z_$][\w$]*)
    | (?P<number>[0-9][\w.]*)
    | (?P<sign>\S)""",
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_IDENTIFIER_PARAMETER = re.compile(r"\{(\w+):\s*Identifier\s*\}", re.ASCII)
_DOTTED_WORDS = re.compile(r"\w+(?:\.\w+)*", re.ASCII)
_WORD = re.compile(r"[A-Za-z_]\w*", re.ASCII)
_FORGING = ("(alias ", "(children ")

_NAME = r"(?:\w+|`\d+)"  # a word, or a quoted name by its number
_TABLE = rf"(?:(?P<database>{_NAME}) \. )?(?P<table>{_NAME})"
_FORMAT = r"(?: FORMAT (?P<format>\w+))?"
_LIKE = r"(?: (?:NOT )?I?LIKE ')?(?: LIMIT \d+)?"
_SHAPES = [
    re.compile(shape + _FORMAT, re.ASCII)
    for shape in (
        rf"SHOW (?:FULL )?TABLES(?: FROM (?P<database>{_NAME}))?{_LIKE}",
        rf"SHOW DATABASES{_LIKE}",
        r"SHOW SETTINGS I?LIKE '",
        rf"SHOW CREATE (?:TABLE|VIEW) {_TABLE}",
        rf"(?P<exists>EXISTS) (?:TABLE|VIEW) {_TABLE}",
        rf"EXISTS DATABASE {_NAME}",
    )
]
_EXPLAIN_OPTIONS = re.compile(
    r"EXPLAIN (?:AST |ESTIMATE |PIPELINE |QUERY TREE |SYNTAX )?(\w+ = \d+(?: , \w+ = \d+)*) (?:SELECT|WITH|\() ",
    re.ASCII,
)

_NODE = re.compile(r"( *)([^ ]+)((?: .*?)??)(?: \(children (\d+)\))?", re.DOTALL)
_BELOW = {
    "DescribeQuery": {"TableExpression"},
    "Explain": {"SelectWithUnionQuery", "Set"},
    "SelectWithUnionQuery": {"ExpressionList"},
}
_SOURCES = {"ExpressionList", "Function", "SampleRatio", "Subquery", "TableIdentifier"}

_PLAIN = frozenset(
    name.lower() for name in allowlist.FUNCTIONS | allowlist.SYNTAX_FUNCTIONS | allowlist.WINDOW_FUNCTIONS
)
_AGGREGATE = re.compile(
    rf"(?:{'|'.join(allowlist.AGGREGATE_FUNCTIONS)})(?:{'|'.join(allowlist.AGGREGATE_COMBINATORS)})*".lower()
)
_IN = frozenset(name.lower() for name in allowlist.IN_FUNCTIONS)
_HIGHER_ORDER = frozenset(name.lower() for name in allowlist.HIGHER_ORDER_FUNCTIONS)


@dataclass(frozen=True, slots=True)
class AllowedStatement:
    """A statement that passed.

    Attributes:
        sql: the text to execute; nothing else was judged.
        settings: what its SETTINGS clauses said, to be set in the session before it runs.
        format: the output format that it asks for; None where it names none.
        is_select: whether it is a SELECT, whose answer the engine can hand out in pieces.
    """

    sql: str
    settings: Mapping[str, str]
    format: str | None
    is_select: bool


class Judge:
    """Judges statements for one store.

    Args:
        database: the store's; sessions have to be in it, since it is what unqualified names refer to.
    """

    def __init__(self, database: str) -> None:
        self._database = database
        self._engines: Mapping[str, str] = {}

    def judge(self, query: Query, sql: str, parameters: Mapping[str, str]) -> AllowedStatement:
        """Judge a statement.

        Args:
            query: runs a statement in the session that will run this one.
            sql: the statement, as it came.
            parameters: its parameters, escaped as they came.

        Raises:
            QueryError: it is not allowed, or not one valid statement.
        """
        text = _Text.parse(_normalized(query, sql))
        for name in _IDENTIFIER_PARAMETER.findall(text.shape):
            if _DOTTED_WORDS.fullmatch(parameters.get(name, "")) is None:
                raise _refused(f"parameter {name!r} as a name", "letters, digits and _, with dots between")
        kind = text.sql.partition(" ")[0]
        if kind in ("EXISTS", "SHOW"):
            return self._judge_shape(query, text)
        if kind not in ("DESCRIBE", "EXPLAIN", "SELECT", "WITH") and not kind.startswith("("):
            raise _refused(f"{kind} statements", "SELECT, DESCRIBE, EXISTS, EXPLAIN, SHOW")
        nodes = _parse_tree(query(f"EXPLAIN AST {text.sql}", "TSVRaw", parameters))
        self._judge_tree(query, nodes, text)
        root = nodes[0]
        last = root.children[-1]
        format_name = last.name if last.kind == "Identifier" else None
        if format_name is not None:
            check_format(format_name)
        return AllowedStatement(text.sql, text.settings, format_name, root.kind == "SelectWithUnionQuery")

    def _judge_shape(self, query: Query, text: _Text) -> AllowedStatement:
        """Judge SHOW and EXISTS, whose syntax tree hides their conditions, by their words."""
        found = next(filter(None, (shape.fullmatch(text.shape) for shape in _SHAPES)), None)
        if found is None:
            raise _refused("this form of SHOW or EXISTS", "SHOW TABLES, DATABASES, SETTINGS LIKE, CREATE; EXISTS")
        groups = {name: text.name(value) for name, value in found.groupdict().items() if value is not None}
        database, table = groups.get("database"), groups.get("table")
        if table is None and database not in (None, self._database):
            raise _refused(f"database {database!r}", self._database)
        absent = "exists" in groups and database in (None, self._database) and _WORD.fullmatch(table or "")
        if table is not None and not absent:
            self._check_table(query, f"{database}.{table}" if database is not None else table)
        if "format" in groups:
            check_format(groups["format"])
        return AllowedStatement(text.sql, text.settings, groups.get("format"), is_select=False)

    def _judge_tree(self, query: Query, nodes: list[_Node], text: _Text) -> None:
        kinds = [node.kind for node in nodes]
        if kinds.count("WithElement") < len(text.ctes):  # more of them: a UNION's apply to each of its parts
            raise _refused("words that only look like a common table expression")
        if kinds.count("Set") != text.explain_options:
            raise _refused("settings in this place")
        ctes = frozenset(text.ctes)
        for node in nodes:
            if node.kind not in allowlist.NODES:
                raise _refused(f"{node.kind} in a statement")
            if node.kind in _BELOW:
                self._check_statement(node, is_root=node is nodes[0])
            elif node.kind == "TableIdentifier":
                self._check_table(query, node.name, ctes)
            elif node.kind == "TableExpression":
                self._check_sources(query, node)
            elif node.kind == "Function" and node.parent is not None and node.parent.kind != "TableExpression":
                self._check_function(query, node, ctes)

    @staticmethod
    def _check_statement(node: _Node, *, is_root: bool) -> None:
        if node.kind == "Explain" and node.name not in allowlist.EXPLAIN_KINDS:
            raise _refused(node.name, ", ".join(sorted(allowlist.EXPLAIN_KINDS)))
        for child in node.children:
            is_format = is_root and child.kind == "Identifier" and child is node.children[-1]
            if child.kind not in _BELOW[node.kind] and not is_format:
                raise _refused(f"{child.kind} directly below {node.kind}")  # INTO OUTFILE is a Literal there

    def _check_sources(self, query: Query, expression: _Node) -> None:
        """Check what FROM, JOIN or DESCRIBE reads; names of tables are checked where they stand."""
        for node in expression.children:
            if node.kind not in _SOURCES:
                raise _refused(f"reading from {node.kind}")
            if node.kind != "Function" or node.name in allowlist.TABLE_FUNCTIONS:
                continue
            # a parameterized view, v(p = 1); where there is no view, the engine looks for a table function
            named = [argument.kind == "Function" and argument.name == "equals" for argument in node.arguments]
            if not (named and all(named) and self._engine(query, node.name) == "View"):
                raise _refused(f"table function {node.name!r}", ", ".join(sorted(allowlist.TABLE_FUNCTIONS)))

    def _check_function(self, query: Query, node: _Node, ctes: frozenset[str]) -> None:
        if not is_allowed_function(node.name):
            raise _refused(f"function {node.name!r}")
        lowered, arguments = node.name.lower(), node.arguments
        if lowered in _IN or lowered == "exists":
            for argument in arguments[lowered in _IN :]:
                if argument.kind == "Identifier":
                    self._check_table(query, argument.name, ctes)
        if lowered in _HIGHER_ORDER and len(arguments) > 1 and arguments[0].kind not in ("Function", "Literal"):
            raise _refused(f"a name as the first argument of {node.name!r}", "a lambda such as x -> f(x)")

    def _check_table(self, query: Query, name: str, ctes: frozenset[str] = frozenset()) -> None:
        if name in ctes or self._engine(query, name) is not None:
            return
        database, _, table = name.rpartition(".")
        if database == "system" and table in allowlist.SYSTEM_TABLES:
            return
        if database in ("", self._database):
            message = f"Not in the store: table {name!r} of database {self._database}"
            raise QueryError(60, f"Code: 60. DB::Exception: {message}. (UNKNOWN_TABLE)")
        tables = ", ".join(f"system.{table}" for table in sorted(allowlist.SYSTEM_TABLES))
        raise _refused(f"table {name!r}", f"those of {self._database}, {tables}")

    def _engine(self, query: Query, name: str) -> str | None:
        """The engine of a table or view of the store; None where there is none of that name."""
        table = name.removeprefix(f"{self._database}.")
        if table not in self._engines:
            rows = query(
                "SELECT name, engine FROM system.tables WHERE database = {database:String}",
                "JSONCompactEachRow",
                {"database": self._database},
            )
            self._engines = dict(json.loads(row) for row in rows.splitlines())
        return self._engines.get(table)


def is_allowed_function(name: str) -> bool:
    """Whether an expression may call a function: a plain one, an aggregate, with combinators, or a window function."""
    lowered = name.lower()
    return lowered in _PLAIN or _AGGREGATE.fullmatch(lowered) is not None


def check_setting(name: str, value: str) -> None:
    """Check a setting, of a statement or of a URL.

    Raises:
        QueryError: it may not be set, or not to that value.
    """
    check = allowlist.SETTINGS.get(name)
    if check is None:
        raise _refused(f"setting {name!r}")
    expected = check(value)
    if expected:
        raise _refused(f"{name} = {value!r}", expected)


def check_format(name: str) -> None:
    """Check an output format, of a statement, a URL or a header.

    Raises:
        QueryError: it is not offered.
    """
    if name not in allowlist.FORMATS:
        raise _refused(f"format {name!r}", ", ".join(sorted(allowlist.FORMATS)))


def _refused(what: str, allowed: str = "") -> QueryError:
    hint = f"; allowed: {allowed}" if allowed else ""
    return QueryError(164, f"Code: 164. DB::Exception: Not allowed here: {what}{hint}. (READONLY)")


def _normalized(query: Query, sql: str) -> str:
    """The statement as the engine's parser writes it on one line.

    Raises:
        QueryError: it is none, or more than one.
    """
    try:
        answer = query("SELECT formatQuerySingleLine({sql:String})", "RawBLOB", {"sql": sql.translate(_ESCAPES)})
    except QueryError as error:
        raise QueryError(error.code, _SCOPE.sub("", error.text)) from error
    try:
        return answer.decode().strip()
    except UnicodeDecodeError as error:
        raise _refused("bytes that are not UTF-8", "unhex('ff') for the byte ff") from error


@dataclass(frozen=True, slots=True)
class _Text:
    """A normalized statement, and what its words say.

    Attributes:
        sql: the statement without its SETTINGS clauses.
        settings: what those said; checked.
        ctes: the names of common table expressions, one for each definition.
        explain_options: 1 where options follow EXPLAIN, else 0; checked.
        shape: the words with blanks between; ``'`` stands for a string, ````1`` for the second quoted name.
        names: the quoted names.
    """

    sql: str
    settings: Mapping[str, str]
    ctes: tuple[str, ...]
    explain_options: int
    shape: str
    names: tuple[str, ...]

    @classmethod
    def parse(cls, normalized: str) -> _Text:
        tokens = list(_TOKEN.finditer(normalized))
        names = tuple(_unquoted(token[0]) for token in tokens if token.lastgroup == "quoted")
        for name in names:
            if not name.isprintable() or any(text in name for text in _FORGING):
                raise _refused(f"the name {name!r}", "names without control characters and syntax trees")
        tokens, settings, sql = _without_settings(normalized, tokens)
        words = [token[0] for token in tokens]
        quoted = [number for number, token in enumerate(tokens) if token.lastgroup == "quoted"]
        for order, number in enumerate(quoted):
            words[number] = f"`{order}"
        shape = " ".join(
            "'" if token.lastgroup == "string" else word for token, word in zip(tokens, words, strict=True)
        )
        if " INTO OUTFILE " in shape:
            raise _refused("INTO OUTFILE")
        options = _EXPLAIN_OPTIONS.match(shape)
        for option in re.findall(r"(\w+) =", options[1]) if options else ():
            if option not in allowlist.EXPLAIN_OPTIONS:
                raise _refused(f"EXPLAIN option {option!r}", ", ".join(sorted(allowlist.EXPLAIN_OPTIONS)))
        return cls(sql, settings, tuple(_cte_names(words)), int(options is not None), shape, names)

    def name(self, word: str) -> str:
        """A word of the shape as the name that it stands for."""
        return self.names[int(word[1:])] if word.startswith("`") else word


def _without_settings(normalized: str, tokens: list[re.Match[str]]) -> tuple[list[re.Match[str]], dict[str, str], str]:
    """Take the SETTINGS clauses out: the tokens that remain, the settings, and the text that remains."""
    rest: list[re.Match[str]] = []
    settings: dict[str, str] = {}
    text, end = "", 0
    at = 0
    while at < len(tokens):
        if not (tokens[at][0] == "SETTINGS" and [token[0] for token in tokens[at + 2 : at + 3]] == ["="]):
            rest.append(tokens[at])
            at += 1
            continue
        text += normalized[end : tokens[at].start()].rstrip()
        separator = ","
        while separator == ",":
            name, value = tokens[at + 1][0], tokens[at + 3]
            if tokens[at + 2][0] != "=" or value.lastgroup not in ("number", "string"):
                raise _refused(f"a value of this kind for setting {name!r}", "numbers and strings")
            settings[name] = _unquoted(value[0]) if value.lastgroup == "string" else value[0]
            check_setting(name, settings[name])
            end = value.end()
            at += 4
            separator = tokens[at][0] if at < len(tokens) else ""
    return rest, settings, text + normalized[end:]


def _cte_names(words: list[str]) -> Iterator[str]:
    """The names in ``name AS (SELECT …``, which is how the parser writes common table expressions, and nothing else."""
    for at, word in enumerate(words):
        if word != "AS" or at == 0:
            continue
        after = words[at + 1 : at + 4]
        if after[:1] == ["MATERIALIZED"]:
            after = after[1:]
        if after[:1] != ["("] or after[1:2] not in (["SELECT"], ["WITH"], ["("]):
            continue
        name = words[at - 1]
        if name == ")":  # d(x, y) AS (SELECT …
            opening = at - 1 - words[at - 1 :: -1].index("(")
            name = words[opening - 1] if opening else ""
        if _WORD.fullmatch(name):
            yield name


def _unquoted(text: str) -> str:
    return _ESCAPED.sub(lambda found: _CHARACTERS.get(found[1], found[1]), text[1:-1])


@dataclass(slots=True, eq=False)
class _Node:
    """A node of a syntax tree.

    Attributes:
        kind: its type, in the engine's words.
        name: what follows, for Identifier, TableIdentifier, Function and Explain their name.
        parent: None for the root.
    """

    kind: str
    name: str
    parent: _Node | None
    children: list[_Node] = field(default_factory=list)

    @property
    def arguments(self) -> list[_Node]:
        """The arguments of a function."""
        return self.children[0].children if self.children else []


def _parse_tree(answer: bytes) -> list[_Node]:
    """The nodes of what EXPLAIN AST prints, parents before children."""
    nodes: list[_Node] = []
    path: list[_Node] = []
    counts: list[int] = []
    for line in answer.decode("utf-8", "surrogateescape").rstrip("\n").split("\n"):
        found = _NODE.fullmatch(line)
        if found is None or (depth := len(found[1])) > len(path) or (nodes and depth == 0):
            raise _refused("a syntax tree that cannot be read")
        parent = path[depth - 1] if depth else None
        node = _Node(found[2], found[3].partition(" (alias ")[0][1:], parent)
        if parent is not None:
            parent.children.append(node)
        path[depth:] = [node]
        nodes.append(node)
        counts.append(int(found[4] or 0))
    if any(len(node.children) != count for node, count in zip(nodes, counts, strict=True)) or not nodes[0].children:
        raise _refused("a syntax tree that cannot be read")
    return nodes
