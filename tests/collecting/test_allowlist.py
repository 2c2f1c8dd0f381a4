"""What the ClickHouse endpoint's allow lists let through, and what they refuse, against everything the engine names."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import chdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otel_coverage.collecting.clickhouse import allowlist
from otel_coverage.collecting.clickhouse.exceptions import QueryError
from otel_coverage.collecting.clickhouse.judge import (
    AllowedStatement,
    Judge,
    Query,
    check_format,
    check_setting,
    is_allowed_function,
)
from otel_coverage.store import Store, open_store, schema
from otel_coverage.store.named_queries import NamedQuery, named_queries

DATABASE = "judged"
OURS = "Code: 164. DB::Exception: Not allowed here: "

Statement = Callable[..., AllowedStatement]


@pytest.fixture(scope="module")
def judged_store(store_folder: Path) -> Iterator[Store]:
    with open_store(f"chdb://{store_folder}?database={DATABASE}", create=True) as opened:
        schema.apply(opened)
        opened.command("CREATE VIEW of_module AS SELECT * FROM coverage_gaps WHERE module = {module:String}")
        opened.command("CREATE TABLE `url` (a String) ENGINE = MergeTree ORDER BY a")
        yield opened
        opened.command(f"DROP DATABASE {DATABASE} SYNC")


def session(store: Store, limits: Mapping[str, str]) -> Query:
    """A session of its own on the engine of this process, in the store's database."""
    connection = chdb.connect(store.dsn.path)

    def query(sql: str, format_name: str, parameters: Mapping[str, str]) -> bytes:
        try:
            answer: bytes = connection.query(sql, format_name, params=dict(parameters)).bytes()
        except RuntimeError as error:
            raise QueryError.from_chdb(error) from error
        return answer

    query(f"USE {store.database}", "Null", {})
    for name, value in limits.items():
        quoted = value.replace("\\", "\\\\").replace("'", "\\'")
        query(f"SET {name} = '{quoted}'", "Null", {})
    return query


@pytest.fixture(scope="module")
def query(judged_store: Store) -> Query:
    return session(judged_store, allowlist.session_settings(DATABASE))


@pytest.fixture(scope="module")
def judged(query: Query) -> Statement:
    """Judge a statement, with its parameters as keywords."""
    judge = Judge(DATABASE)
    return lambda sql, **parameters: judge.judge(query, sql, parameters)


@pytest.fixture(scope="module")
def answer(query: Query, judged: Statement) -> Callable[..., str]:
    """Judge a statement and run what was judged."""

    def answered(sql: str, **parameters: str) -> str:
        statement = judged(sql, **parameters)
        return query(statement.sql, statement.format or "TSV", parameters).decode()

    return answered


def refused(judged: Statement, sql: str, **parameters: str) -> QueryError:
    """Why a statement is not allowed, by us or by the engine's parser."""
    try:
        statement = judged(sql, **parameters)
    except QueryError as error:
        return error
    raise AssertionError(f"allowed: {sql} as {statement.sql}")


def refusal(judged: Statement, sql: str, **parameters: str) -> str:
    """What our own refusal of a statement says; an error of the engine's fails."""
    error = refused(judged, sql, **parameters)
    assert error.text.startswith(OURS), f"{sql}: {error.text}"
    return error.text.removeprefix(OURS)


def names(query: Query, sql: str) -> list[str]:
    return query(sql, "TSVRaw", {}).decode().splitlines()


def quoted(name: str, quote: str = "`") -> str:
    return quote + name.replace("\\", "\\\\").replace(quote, f"\\{quote}") + quote


# --- what the engine names, all of it


KINDS: dict[str, tuple[str, Callable[[str], bool]]] = {
    "functions": ("SELECT name FROM system.functions", is_allowed_function),
    "table functions": ("SELECT name FROM system.table_functions", allowlist.TABLE_FUNCTIONS.__contains__),
    "table engines": ("SELECT name FROM system.table_engines", frozenset[str]().__contains__),
    "database engines": ("SELECT name FROM system.database_engines", frozenset[str]().__contains__),
    "dictionary sources": ("SELECT name FROM system.dictionary_sources", frozenset[str]().__contains__),
    "combinators": (
        "SELECT name FROM system.aggregate_function_combinators",
        allowlist.AGGREGATE_COMBINATORS.__contains__,
    ),
    "formats": ("SELECT name FROM system.formats WHERE is_output", allowlist.FORMATS.__contains__),
    "keywords": ("SELECT replaceAll(keyword, ' ', '_') FROM system.keywords", frozenset[str]().__contains__),
}


def refused_names() -> dict[str, set[str]]:
    sections: dict[str, set[str]] = {}
    for line in Path(__file__).with_name("engine_names.txt").read_text().splitlines():
        if line.startswith("["):
            section = sections[line.strip("[]")] = set()
        elif line and not line.startswith("#"):
            section.update(line.split())
    return sections


@pytest.mark.parametrize("kind", KINDS)
def test_each_name_of_the_engine_is_allowed_or_known_to_be_refused(query: Query, kind: str) -> None:
    sql, is_allowed = KINDS[kind]
    refused = refused_names()[kind]
    assert {name for name in names(query, sql) if not is_allowed(name)} - refused == set(), (
        "the engine brings names that nobody has looked at: see engine_names.txt"
    )
    assert {name for name in refused if is_allowed(name)} == set()


@pytest.mark.parametrize("table", allowlist.SYSTEM_TABLES)
def test_system_tables_have_no_column_that_nobody_has_looked_at(query: Query, table: str) -> None:
    columns = names(query, f"SELECT arrayJoin(tupleNames(tuple(*))) FROM system.{table} LIMIT 0")
    assert set(columns) - allowlist.SYSTEM_TABLES[table] == set()


def test_allowed_names_are_spelled_as_the_engine_spells_them(query: Query) -> None:
    functions = set(names(query, "SELECT name FROM system.functions"))
    assert functions >= allowlist.FUNCTIONS | allowlist.AGGREGATE_FUNCTIONS | allowlist.WINDOW_FUNCTIONS
    assert set(allowlist.SETTINGS) - set(names(query, "SELECT name FROM system.settings")) == set()
    higher_order = set(names(query, "SELECT name FROM system.functions WHERE higher_order = 1"))
    assert {name for name in higher_order if is_allowed_function(name)} == allowlist.HIGHER_ORDER_FUNCTIONS


# --- every table function, table engine and function that is not on a list, in every place


@pytest.fixture(scope="module")
def canaries(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, int, socket.socket]]:
    """A file that nobody may read or write beside, and a port that nobody may connect to."""
    folder = tmp_path_factory.mktemp("canary")
    (folder / "secret.csv").write_text("a,b\n1,hidden treasure\n")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        yield folder, listening.getsockname()[1], listening


def assert_untouched(folder: Path, listening: socket.socket) -> None:
    assert [path.name for path in folder.iterdir()] == ["secret.csv"]
    with pytest.raises(BlockingIOError):
        listening.accept()


SOURCES = [
    "SELECT * FROM {source}",
    "SELECT * FROM {source} AS s FINAL",
    "FROM {source} |> SELECT *",
    "FROM {source} SELECT *",
    "(SELECT * FROM {source})",
    "SELECT 1 UNION ALL SELECT * FROM {source}",
    "SELECT 1 EXCEPT SELECT * FROM {source}",
    "SELECT 1 FROM otel_traces, {source}",
    "SELECT 1 FROM otel_traces AS t ANY LEFT JOIN {source} AS s USING (a)",
    "SELECT * FROM (SELECT * FROM (SELECT * FROM {source}))",
    "SELECT (SELECT 1 FROM {source})",
    "SELECT 1 WHERE 1 IN (SELECT a FROM {source})",
    "SELECT 1 WHERE 1 IN {source}",
    "SELECT 1 WHERE 1 GLOBAL NOT IN (SELECT a FROM {source})",
    "SELECT 1 WHERE EXISTS (SELECT * FROM {source})",
    "SELECT 1 = ANY (SELECT a FROM {source})",
    "SELECT arrayMap(x -> (SELECT 1 FROM {source}), [1])",
    "WITH c AS (SELECT * FROM {source}) SELECT * FROM c",
    "WITH (SELECT 1 FROM {source}) AS c SELECT c",
    "SELECT * FROM view(SELECT * FROM {source})",
    "SELECT * FROM of_module(module = (SELECT 'a' FROM {source}))",
    "SELECT 1 LIMIT (SELECT 1 FROM {source})",
    "SELECT 1 ORDER BY (SELECT 1 FROM {source})",
    "DESCRIBE TABLE {source}",
    "DESCRIBE (SELECT * FROM {source})",
    "EXPLAIN SELECT * FROM {source}",
    "EXPLAIN AST SELECT * FROM {source}",
    "EXPLAIN PIPELINE graph = 1 SELECT * FROM {source}",
    "EXPLAIN QUERY TREE SELECT * FROM {source}",
    "EXPLAIN ESTIMATE SELECT * FROM {source}",
    "EXPLAIN TABLE OVERRIDE {source}",
    "SELECT * FROM (EXPLAIN SELECT * FROM {source})",
    "SELECT * FROM viewExplain('EXPLAIN', '', (SELECT * FROM {source}))",
    "SELECT * FROM merge({source})",
    "SELECT * FROM loop({source})",
    "CREATE TABLE made AS {source}",
    "CREATE VIEW made AS SELECT * FROM {source}",
    "INSERT INTO FUNCTION {source} SELECT 1",
    "INSERT INTO otel_traces (TraceId) SELECT a FROM {source}",
    "SELECT 1 PARALLEL WITH INSERT INTO FUNCTION {source} SELECT 1",
]
# the parser wants a statement there
ARGUMENTS = {
    "view": "(SELECT * FROM url('http://127.0.0.1:{port}/', 'CSV'))",
    "viewIfPermitted": "(SELECT 1 ELSE null('a UInt8'))",
    "viewExplain": "('EXPLAIN', '', (SELECT 1))",
}


@pytest.mark.parametrize("form", SOURCES)
def test_no_table_function_but_the_allowed_is_let_through_anywhere(
    query: Query, judged: Statement, canaries: tuple[Path, int, socket.socket], form: str
) -> None:
    folder, port, listening = canaries
    for name in names(query, "SELECT name FROM system.table_functions"):
        if name in allowlist.TABLE_FUNCTIONS - {"view"}:
            continue
        if "IN {source}" in form and name in ("format", *ARGUMENTS):  # IN takes functions; `format` is one, too
            continue
        default = "('http://127.0.0.1:{port}/', '{folder}/secret.csv', 'a String')"
        arguments = ARGUMENTS.get(name, default).replace("{port}", str(port)).replace("{folder}", str(folder))
        refusal(judged, form.replace("{source}", quoted(name) + arguments))
    assert_untouched(folder, listening)


def test_without_the_judge_the_engine_would_connect_and_read(
    query: Query, canaries: tuple[Path, int, socket.socket]
) -> None:
    folder = canaries[0]
    assert b"treasure" in query(f"SELECT file('{folder}/secret.csv')", "TSV", {})
    assert b"treasure" in query(f"SELECT arrayMap(file, ['{folder}/secret.csv'])", "TSV", {})
    assert query(f"EXISTS default.`{folder}/secret.csv`", "TSV", {}) == b"1\n"
    with socket.create_server(("127.0.0.1", 0)) as listening:
        connected = threading.Event()

        def hang_up() -> None:
            with contextlib.suppress(OSError):
                while True:
                    listening.accept()[0].close()
                    connected.set()

        threading.Thread(target=hang_up, daemon=True).start()
        with pytest.raises(QueryError):
            query(f"DESCRIBE TABLE mysql('127.0.0.1:{listening.getsockname()[1]}', 'a', 'b', 'c', 'd')", "TSV", {})
        assert connected.wait(30)


@pytest.mark.parametrize(
    "form",
    [
        "CREATE TABLE made (a String) ENGINE = {engine}('{folder}/secret.csv')",
        "CREATE TEMPORARY TABLE made (a String) ENGINE = {engine}",
        "CREATE OR REPLACE TABLE made ENGINE = {engine} AS SELECT 1",
        "ATTACH TABLE made (a String) ENGINE = {engine}('http://127.0.0.1:{port}/')",
        "CREATE MATERIALIZED VIEW made ENGINE = {engine} AS SELECT 1",
        "CREATE DATABASE made ENGINE = {engine}('{folder}')",
        "SELECT * FROM {engine}('{folder}/secret.csv')",
        "DESCRIBE TABLE {engine}('http://127.0.0.1:{port}/')",
        "EXPLAIN AST CREATE TABLE made (a String) ENGINE = {engine}",
        "SELECT 1 PARALLEL WITH CREATE TABLE made (a String) ENGINE = {engine}",
    ],
)
def test_no_engine_is_let_through(
    query: Query, judged: Statement, canaries: tuple[Path, int, socket.socket], form: str
) -> None:
    folder, port, listening = canaries
    form = form.replace("{port}", str(port)).replace("{folder}", str(folder))
    for kind in ("table_engines", "database_engines"):
        for name in names(query, f"SELECT name FROM system.{kind}"):
            error = refused(judged, form.replace("{engine}", name))
            assert error.text.startswith(OURS) or (error.code, name) == (62, "View"), error.text
    assert_untouched(folder, listening)


CALLS = [
    "SELECT {function}('{folder}/secret.csv')",
    "SELECT arrayMap({function}, ['{folder}/secret.csv'])",
    "SELECT * APPLY({function}) FROM otel_traces",
    "DESCRIBE (SELECT {function}('{folder}/secret.csv'))",
]
CALLS_OF_FILE = [
    "SELECT 1 FROM otel_traces WHERE {function}(TraceId) = 1",
    "SELECT arrayMap({function} AS f, ['{folder}/secret.csv'])",
    "SELECT arrayMap(x -> {function}(x), ['{folder}/secret.csv'])",
    "WITH x -> {function}(x) AS upper SELECT upper('{folder}/secret.csv')",
    "WITH {function} AS f SELECT arrayMap(f, ['{folder}/secret.csv'])",
    "SELECT * APPLY(x -> {function}(x)) FROM otel_traces",
    "SELECT * REPLACE ({function}(TraceId) AS TraceId) FROM otel_traces",
    "SELECT 1 AS a ORDER BY a WITH FILL FROM 0 TO 3 INTERPOLATE (b AS {function}('{folder}/secret.csv'))",
    "SELECT count() OVER (PARTITION BY {function}(TraceId)) FROM otel_traces",
    "SELECT quantile({function}('{folder}/secret.csv'))(1)",
    "SELECT 1 GROUP BY GROUPING SETS (({function}(1)))",
    "SELECT * FROM numbers({function}('{folder}/secret.csv'))",
    "SELECT * FROM values('a String', {function}('{folder}/secret.csv'))",
    "SELECT * FROM of_module(module = {function}('{folder}/secret.csv'))",
    "SELECT 1 FROM otel_traces AS t JOIN otel_traces AS s ON {function}(t.TraceId) = s.TraceId",
    "SELECT 1 FROM otel_traces ARRAY JOIN {function}('{folder}/secret.csv') AS a",
    "EXPLAIN SELECT {function}('{folder}/secret.csv')",
    "SHOW TABLES WHERE {function}('{folder}/secret.csv')",
]


@pytest.mark.parametrize("form", CALLS)
def test_no_function_but_the_allowed_is_let_through(
    query: Query, judged: Statement, canaries: tuple[Path, int, socket.socket], form: str
) -> None:
    folder, _, listening = canaries
    for name in names(query, "SELECT name FROM system.functions"):
        if not is_allowed_function(name):
            refusal(judged, form.replace("{folder}", str(folder)).replace("{function}", quoted(name)))
    assert_untouched(folder, listening)


@pytest.mark.parametrize("form", CALLS_OF_FILE)
def test_a_function_that_reads_files_is_let_through_nowhere(
    judged: Statement, canaries: tuple[Path, int, socket.socket], form: str
) -> None:
    for name in ("file", "`file`", '"file"', "getClientHTTPHeader", "hasColumnInTable", "dictGet", "sleep"):
        refusal(judged, form.replace("{folder}", str(canaries[0])).replace("{function}", name))


@pytest.mark.parametrize("name", ["FILE", "File", "sumFile", "fileIf", "sum_", "", "sum" + "If" * 10_000 + "x"])
def test_names_that_only_look_like_allowed_functions_are_refused(name: str) -> None:
    assert not is_allowed_function(name)


def test_aggregate_functions_may_have_combinators(answer: Callable[..., str]) -> None:
    assert answer("SELECT sumIf(number, 1), uniqExactArrayIf([1, 2], 1), quantileOrNull(0.5)(1) FROM numbers(3)") == (
        "3\t2\t1\n"
    )


# --- tables


@pytest.mark.parametrize(
    "table",
    [
        "default.`/etc/passwd`",
        "`default`.`/etc/passwd`",
        "default.passwd",
        "system.processes",
        "system.query_log",
        "system.users",
        "system.named_collections",
        "system.`tables `",
        "INFORMATION_SCHEMA.tables",
        "information_schema.tables",
        "unchanged.otel_traces",
        "`judged `.otel_traces",
        "`judged.otel_traces (alias `.`x)`",
        "`judged.otel_traces (children 1`.`x)`",
        "`judged.otel_traces\\n       TableIdentifier judged`.otel_traces",
        "default.`/etc/passwd\\0`",
        "default.`/etc/passwd\\u2028`",
        "default.`/etc/passwd\\n      TableIdentifier judged.otel_traces`",
    ],
)
@pytest.mark.parametrize(
    "form",
    [
        "SELECT * FROM {table}",
        "SELECT 1 FROM otel_traces JOIN {table} USING (a)",
        "SELECT 1 IN {table}",
        "SELECT in(1, {table})",
        "SELECT 1 NOT IN ({table})",
        "SELECT nullIn(1, {table} AS t)",
        "SELECT EXISTS(SELECT * FROM {table})",
        "WITH c AS (SELECT * FROM {table}) SELECT * FROM c",
        "WITH otel_traces AS (SELECT 1) SELECT * FROM {table}",
        "SELECT * FROM view(SELECT * FROM {table})",
        "DESCRIBE TABLE {table}",
        "EXISTS TABLE {table}",
        "EXISTS VIEW {table}",
        "SHOW CREATE TABLE {table}",
        "EXPLAIN SELECT * FROM {table}",
        "SELECT joinGet({table}, 'a', 1)",
        "SELECT dictGet({table}, 'a', 1)",
        "INSERT INTO {table} SELECT 1",
        "DROP TABLE {table}",
    ],
)
def test_no_table_beyond_the_store_is_let_through(judged: Statement, table: str, form: str) -> None:
    refusal(judged, form.replace("{table}", table))


def test_a_common_table_expression_lends_its_name_to_no_file(judged: Statement) -> None:
    refusal(judged, "WITH `default./etc/passwd` AS (SELECT 1) SELECT * FROM default.`/etc/passwd`")
    refusal(judged, "WITH 'a' AS x, `default.y`(z) AS (SELECT 1) SELECT * FROM default.y")
    refusal(judged, "WITH x AS (SELECT 1) SELECT * FROM default.x")
    with pytest.raises(QueryError, match="Not in the store") as raised:
        judged("SELECT 'x AS (SELECT 1)', 1 AS `x AS (SELECT` FROM x")
    assert raised.value.code == 60


def test_a_table_that_does_not_exist_is_said_not_to_exist(judged: Statement) -> None:
    for sql in ("SELECT * FROM nothing", "DESCRIBE TABLE judged.nothing", "SELECT 1 IN nothing"):
        with pytest.raises(QueryError, match=r"Not in the store: table '.*nothing'") as raised:
            judged(sql)
        assert raised.value.code == 60


def test_a_table_that_was_made_since_is_found(judged_store: Store, answer: Callable[..., str]) -> None:
    judged_store.command("CREATE TABLE `late one` (a String) ENGINE = MergeTree ORDER BY a")
    assert answer("SELECT count() FROM `late one`") == "0\n"


def test_a_table_with_the_name_of_a_table_function_is_no_table_function(
    judged: Statement, answer: Callable[..., str]
) -> None:
    assert answer("SELECT count() FROM url") == "0\n"
    assert "table function 'url'" in refusal(judged, "SELECT * FROM url('http://127.0.0.1:1/')")
    assert "table function 'url'" in refusal(judged, "SELECT * FROM url(a = 1)")


def test_a_parameterized_view_takes_its_parameters_alone(judged: Statement, answer: Callable[..., str]) -> None:
    assert answer("SELECT count() FROM of_module(module = 'shop')") == "0\n"
    for arguments in ("", "'shop'", "module = 'shop', 1"):
        refusal(judged, f"SELECT * FROM of_module({arguments})")


def test_a_parameter_may_name_a_table_of_the_store_and_nothing_else(
    judged: Statement, answer: Callable[..., str]
) -> None:
    assert answer("SELECT count() FROM {t:Identifier}", t="otel_traces") == "0\n"
    assert answer("SELECT '{t:Identifier}'", t="/") == "{t:Identifier}\n"
    refusal(judged, "SELECT * FROM {d:Identifier}.{t:Identifier}", d="default", t="passwd")
    refusal(judged, "SELECT 1 IN {t:Identifier}", t="default.passwd")
    for name in ("/etc/passwd", "", "a\nb", "a\\nb", "x (alias y)", "`a`", "a..b", ".a"):
        refusal(judged, "SELECT * FROM {t:Identifier}", t=name)
        refusal(judged, "SELECT 1 AS a ORDER BY {t:Identifier}", t=name)


# --- statements, settings, formats


@pytest.mark.parametrize(
    "sql",
    [
        "DROP TABLE code_symbols",
        "TRUNCATE TABLE otel_traces",
        "ALTER TABLE otel_traces DELETE WHERE 1",
        "OPTIMIZE TABLE otel_traces",
        "RENAME TABLE otel_traces TO t",
        "SET readonly = 0",
        "SYSTEM FLUSH LOGS",
        "KILL QUERY WHERE 1",
        "USE default",
        "CREATE FUNCTION f AS x -> file(x)",
        "BACKUP TABLE otel_traces TO File('/tmp/b')",
        "EXECUTE AS default SELECT 1",
        "INSERT INTO otel_traces (TraceId) VALUES ('t')",
        "SELECT 1 INTO OUTFILE '/tmp/written'",
        "(SELECT 1) /* x */ INTO -- y\n OUTFILE '/tmp/written' FORMAT TSV",
        "EXPLAIN SELECT 1 INTO OUTFILE '/tmp/written'",
        "SELECT 1 PARALLEL WITH DROP TABLE code_symbols",
        "EXPLAIN AST DROP TABLE otel_traces",
        "EXPLAIN SYNTAX INSERT INTO otel_traces (TraceId) SELECT 't'",
        "EXPLAIN ANALYZE SELECT 1",
        "EXPLAIN CURRENT TRANSACTION",
        "EXPLAIN PLAN no_such_option = 1 SELECT 1",
        "SHOW PROCESSLIST",
        "SHOW GRANTS",
        "SHOW TABLES FROM system",
        "SHOW TABLES WHERE 1",
        "SHOW DICTIONARIES",
        "SHOW CREATE DATABASE judged",
        "EXISTS DICTIONARY d",
        "EXISTS TEMPORARY TABLE t",
        "SELECT * FROM otel_traces STREAM",
        "CHECK TABLE otel_traces",
        "graph = 1, file('/etc/passwd')",
        "SELECT '\\xff'",
    ],
)
def test_every_other_statement_is_refused(judged: Statement, sql: str) -> None:
    refusal(judged, sql)


@pytest.mark.parametrize("sql", ["SELEC 1", "SELECT 1; SELECT 2", "SELECT 1; DROP TABLE code_symbols", "", "--"])
def test_a_statement_is_one_statement(judged_store: Store, judged: Statement, sql: str) -> None:
    with pytest.raises(QueryError) as raised:
        judged(sql)
    assert raised.value.code == 62
    assert "formatQuery" not in raised.value.text
    assert judged_store.query("SELECT count() FROM code_symbols").rows == [(0,)]


def test_settings_of_a_statement_are_taken_out_and_handed_over(judged: Statement) -> None:
    sql = "SELECT 1 FROM (SELECT 2 SETTINGS max_threads = 2) SETTINGS max_block_size = 7 FORMAT JSON SETTINGS limit='9'"
    statement = judged(sql)
    assert statement.sql == "SELECT 1 FROM (SELECT 2) FORMAT JSON"
    assert statement.settings == {"max_threads": "2", "max_block_size": "7", "limit": "9"}
    assert statement.format == "JSON"
    assert judged("SELECT SETTINGS, a = 1, 'SETTINGS a = 1' FROM (SELECT 1 AS SETTINGS, 1 AS a)").settings == {}


@pytest.mark.parametrize(
    "clause",
    [
        "readonly = 0",
        "max_memory_usage = 0",
        "max_memory_usage = 100000000000",
        "max_memory_usage = 1e3",
        "max_memory_usage = DEFAULT",
        "max_execution_time = 0",
        "max_execution_time = 100000",
        "max_threads = 1000",
        "max_threads = 1, allow_ddl = 1",
        "max_threads = 1, additional_table_filters = {'a': 'b'}",
        "max_threads = {p:UInt8}",
        "output_format_schema = '/tmp/written'",
        "format_schema = '/etc/passwd'",
        "format_template_row = '/etc/passwd'",
        "additional_table_filters = {}",
        "allow_introspection_functions = 1",
        "allow_get_client_http_header = 1",
        "enable_analyzer = 0",
        "no_such_setting = 1",
    ],
)
@pytest.mark.parametrize(
    "form",
    [
        "SELECT 1 SETTINGS {clause}",
        "SELECT 1 FORMAT JSON SETTINGS {clause}",
        "SELECT * FROM (SELECT 1 SETTINGS {clause})",
        "SELECT 1 IN (SELECT 1 SETTINGS {clause})",
        "WITH c AS (SELECT 1 SETTINGS {clause}) SELECT * FROM c",
        "SELECT * FROM view(SELECT 1 SETTINGS {clause})",
        "DESCRIBE TABLE (SELECT 1) SETTINGS {clause}",
        "SHOW TABLES SETTINGS {clause}",
        "EXPLAIN SELECT 1 SETTINGS {clause}",
    ],
)
def test_other_settings_and_lifted_bounds_are_refused(judged: Statement, clause: str, form: str) -> None:
    error = refused(judged, form.replace("{clause}", clause), p="1")
    assert error.text.startswith(OURS) or (error.code == 62 and clause.endswith("{}")), error.text


def test_settings_of_a_url_are_checked_by_the_same_list() -> None:
    for name, value in {"max_threads": "1", "max_memory_usage": "1000", "extremes": "1"}.items():
        check_setting(name, value)
    for name, value in {"max_memory_usage": "0", "max_threads": "", "readonly": "1", "extremes": "2"}.items():
        with pytest.raises(QueryError, match="Not allowed here"):
            check_setting(name, value)


def test_other_formats_are_refused(judged: Statement) -> None:
    assert judged("SELECT 1 FORMAT Parquet").format == "Parquet"
    for name in ("Template", "Protobuf", "CapnProto", "MySQLWire", "Regexp", "CustomSeparated", "Nothing"):
        for sql in ("SELECT 1", "DESCRIBE TABLE otel_traces", "SHOW TABLES", "EXPLAIN SELECT 1", "EXISTS otel_traces"):
            assert f"format '{name}'" in refusal(judged, f"{sql} FORMAT {name}")
        with pytest.raises(QueryError, match="Not allowed here"):
            check_format(name)


# --- forged names


FORGERIES = st.lists(
    st.sampled_from(list("\n\r\0\u2028 `'\"\\(){}.,aé"))
    | st.sampled_from(
        ["--", "(alias ", " (children 1)", "\n  TableIdentifier judged.otel_traces", "Set", " AS (SELECT 1"]
    ),
    max_size=6,
).map("".join)


@settings(max_examples=80, deadline=None)
@given(name=FORGERIES)
def test_no_name_hides_what_a_statement_reads(judged: Statement, name: str) -> None:
    forged = quoted(name)
    for sql in (
        f"SELECT 1 AS {forged} FROM default.passwd",
        f"SELECT {forged} FROM default.passwd",
        f"SELECT 1 FROM otel_traces AS {forged}, default.passwd",
        f"WITH {forged} AS (SELECT 1) SELECT * FROM default.passwd",
        f"WITH {forged} AS (SELECT 1) SELECT * FROM default.{forged}",
        f"SELECT * FROM default.{forged}",
        f"SELECT {forged}(1), file('/etc/passwd')",
        f"SELECT {forged}(1) FROM url('http://127.0.0.1:1/')",
        f"SELECT file('/etc/passwd'), {quoted(name, chr(39))}",
    ):
        error = refused(judged, sql)
        assert error.text.startswith(OURS) or error.code == 62, error.text


@settings(max_examples=100, deadline=None)
@given(text=FORGERIES)
def test_text_is_data_whatever_is_in_it(query: Query, judged: Statement, text: str) -> None:
    escaped = text.replace("\\", "\\\\").replace("\n", "\\n").replace("\0", "\\0")
    literal = quoted(text, "'")
    statement = judged(
        f"SELECT {literal} = {{t:String}}, [{literal}] = [{{t:String}}], map({literal}, 1) AS m", t=escaped
    )
    assert query(statement.sql, "TSV", {"t": escaped}).startswith(b"1\t1\t{")


# --- what has to work


@pytest.mark.parametrize("named", named_queries(), ids=lambda named: named.name)
def test_named_queries_are_allowed(query: Query, judged: Statement, named: NamedQuery) -> None:
    parameters = {each.name: "[]" if each.type.startswith("Array") else "" for each in named.parameters}
    statement = judged(named.sql, **parameters)
    assert statement.is_select
    query(statement.sql, "Native", parameters)


def test_tables_and_views_of_the_store_are_allowed(judged_store: Store, answer: Callable[..., str]) -> None:
    tables = [row[0] for row in judged_store.query("SHOW TABLES").rows]
    assert {"otel_traces", "coverage_matrix"} <= set(tables)
    for table in tables:
        for name in (f"`{table}`", f"{DATABASE}.`{table}`"):
            if table != "of_module":  # which takes parameters
                assert answer(f"SELECT * FROM {name} LIMIT 0") == ""
                assert answer(f"DESCRIBE TABLE {name}")
            assert answer(f"EXISTS TABLE {name}") == "1\n"
            assert answer(f"SHOW CREATE TABLE {name} FORMAT TSVRaw").startswith("CREATE ")


@pytest.mark.parametrize(
    "sql",
    [
        # clickhouse-connect
        "SELECT version(), timezone()",
        "SELECT name, value, readonly FROM system.settings LIMIT 10000",
        "SELECT 1 AS check FORMAT Native",
        "SELECT name FROM system.tables WHERE database = 'judged' AND engine IN ('View', 'WindowView') ORDER BY name",
        "EXISTS DATABASE `judged`",
        # clickhouse-go, and Grafana's plug-in with it
        "SELECT displayName(), version(), revision(), timezone()",
        "SHOW DATABASES",
        "SHOW TABLES FROM `judged`",
        "SELECT name, type FROM system.columns WHERE database = 'judged' AND table = 'otel_traces'",
        "SELECT toStartOfInterval(now(), INTERVAL 60 second) AS time, count() AS `Sum (%)` FROM system.one GROUP BY 1",
        # this project
        "SELECT count() FROM system.tables WHERE database = currentDatabase() AND name = 'coverage_schema'",
        "SELECT sum(rows) FROM system.parts WHERE database = currentDatabase() AND active",
        # SQL
        "WITH 1 AS a SELECT a;",
        "WITH a AS (SELECT 1 AS x), b AS MATERIALIZED (SELECT 2 AS x) SELECT * FROM a UNION ALL SELECT * FROM b",
        "WITH a AS (WITH b AS (SELECT 1 AS x) SELECT * FROM b), c(y) AS (SELECT 2) SELECT * FROM a, c WHERE 1 IN a",
        "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT * FROM r",
        "FROM numbers(3) |> WHERE number > 1 |> SELECT number",
        "SELECT * EXCEPT (x) REPLACE (1 AS y) FROM (SELECT 1 AS x, 2 AS y)",
        "SELECT COLUMNS('^x'), t.* FROM (SELECT 1 AS x) AS t",
        "SELECT arrayMap(x -> x + 1, [1]), arraySort(x -> -x, [1, 2]), mapFilter((k, v) -> v, map(1, 1))",
        "SELECT arraySum(a), arraySort(a) FROM (SELECT [1] AS a)",
        "SELECT rank() OVER w, sum(number) OVER (ORDER BY number ROWS 1 PRECEDING) FROM numbers(3) WINDOW w AS ()",
        "SELECT CASE WHEN 1 THEN 2 ELSE 3 END, '2020-01-01'::Date, [1, 2][1], (1, 2).1, NOT 1, 1 BETWEEN 0 AND 2",
        "SELECT untuple((1, 2)), grouping(number) FROM numbers(2) GROUP BY GROUPING SETS ((number), ())",
        "SELECT number FROM numbers(9) ORDER BY number DESC LIMIT 1 BY number LIMIT 2 OFFSET 1",
        "SELECT * FROM (VALUES (1, 2))",
        "SELECT * FROM values('a UInt8', 1) AS a, generateSeries(1, 2) AS b, view(SELECT 1) AS c",
        "(SELECT 1) INTERSECT (SELECT 1)",
        "DESCRIBE (SELECT 1)",
        "EXISTS TABLE nothing",
        "SHOW FULL TABLES LIKE 'o%' LIMIT 3 FORMAT JSON",
        "SHOW SETTINGS LIKE 'max_thr%'",
        "EXPLAIN header = 1, actions = 1 SELECT 1",
        "EXPLAIN AST graph = 1 SELECT 1",
        "EXPLAIN QUERY TREE SELECT 1",
        "EXPLAIN PIPELINE SELECT 1 FORMAT TSV",
    ],
)
def test_what_clients_and_people_ask_is_allowed_and_answered(answer: Callable[..., str], sql: str) -> None:
    assert answer(sql)


def test_words_in_strings_and_names_mean_nothing(answer: Callable[..., str]) -> None:
    text = "INTO OUTFILE x file(y) SETTINGS readonly = 0 FORMAT Template"
    assert answer(f"SELECT '{text}' AS `{text}`") == f"{text}\n"


# --- the engine's own walls


def test_a_session_sees_the_stores_database_alone(answer: Callable[..., str]) -> None:
    assert answer("SHOW DATABASES") == f"{DATABASE}\n"
    for table in ("tables", "columns", "parts"):
        assert answer(f"SELECT DISTINCT database FROM system.{table} WHERE 1 OR database = 'system'") in (
            f"{DATABASE}\n",
            "",
        )


def test_a_session_changes_nothing_and_stays_so(query: Query) -> None:
    for sql in ("SET readonly = 0", "SET max_memory_usage = 0", "CREATE TABLE t (a Int8) ENGINE = Memory"):
        with pytest.raises(QueryError, match="READONLY"):
            query(sql, "Null", {})


def test_a_query_that_takes_more_memory_than_allowed_fails(judged_store: Store) -> None:
    small = session(judged_store, {**allowlist.session_settings(DATABASE), "max_memory_usage": "1000000"})
    with pytest.raises(QueryError) as raised:
        small("SELECT groupArray(number) FROM numbers(10000000)", "Null", {})
    assert raised.value.code == 241
    assert allowlist.session_settings(DATABASE)["max_memory_usage"] == "1073741824"
