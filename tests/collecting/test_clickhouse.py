"""The embedded ClickHouse endpoint, with clickhouse-connect as its client, and with plain HTTP requests."""

from __future__ import annotations

import gzip
import re
import socket
import struct
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import clickhouse_connect
import httpx
import lz4.block  # type: ignore[import-untyped]
import pandas as pd  # type: ignore[import-untyped]
import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError

from otel_coverage.collecting import Access, Collector, Endpoint, bodies, connections
from otel_coverage.collecting.clickhouse import sessions
from otel_coverage.errors import ConfigurationError
from otel_coverage.store import Store, open_store, schema
from tests.support.spans import TracedSpan, insert_catalog, insert_spans

PATIENCE = 60.0
NO_PASSWORD = Access(password="")
FREE_PORT = Endpoint("127.0.0.1", 0)
SPANS = ["TraceId", "SpanId", "SpanAttributes"]
AWKWARD = ["", "it's", 'say "x"', "a\nb\tc\\n", "\\", "%s {x:String}", "😀", "'; DROP TABLE code_symbols; --", "NULL"]


@contextmanager
def serving(store: Store, access: Access | None = None) -> Iterator[Endpoint]:
    with Collector(clickhouse=FREE_PORT, access=access or NO_PASSWORD) as collector:
        collector.start(store)
        yield collector.endpoints["ClickHouse HTTP"]


@pytest.fixture
def endpoint(store: Store) -> Iterator[Endpoint]:
    with serving(store) as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def unchanged(store_folder: Path) -> Iterator[Store]:
    """A store for tests that write nothing."""
    with open_store(f"chdb://{store_folder}?database=unchanged", create=True) as opened:
        schema.apply(opened)
        yield opened
        opened.command("DROP DATABASE unchanged SYNC")


@pytest.fixture(scope="module")
def reading(unchanged: Store) -> Iterator[httpx.Client]:
    """An HTTP client of that store."""
    with (
        serving(unchanged) as endpoint,
        httpx.Client(base_url=f"http://{endpoint}", params={"database": "unchanged"}, timeout=PATIENCE) as opened,
    ):
        yield opened


def connected(endpoint: Endpoint, store: Store, **options: Any) -> Client:
    return clickhouse_connect.get_client(
        host=endpoint.host, port=endpoint.port, database=store.database, tz_mode="schema", **options
    )


@pytest.fixture
def client(endpoint: Endpoint, store: Store) -> Iterator[Client]:
    with connected(endpoint, store) as opened:
        yield opened


@pytest.fixture
def http(endpoint: Endpoint, store: Store) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://{endpoint}", params={"database": store.database}, timeout=PATIENCE) as opened:
        yield opened


def stored(store: Store) -> list[tuple[str, str]]:
    return store.query("SELECT TraceId, SpanId FROM otel_traces ORDER BY TraceId, SpanId").rows


def test_clickhouse_connect_gets_the_same_rows_as_the_store_itself(store: Store, client: Client) -> None:
    insert_spans(store, TracedSpan(functions=["shop:f@1", "shop:g.<locals>.h@2"], lines=["shop.py:1-3"]))
    for view in ("coverage_matrix", "coverage_spans", "symbol_profiles", "profile_runs"):
        direct = store.query(f"SELECT * FROM {view} ORDER BY ALL")
        asked = client.query(f"SELECT * FROM {view} ORDER BY ALL")
        assert direct.rows
        assert (tuple(asked.column_names), [tuple(row) for row in asked.result_rows]) == (direct.columns, direct.rows)


@pytest.mark.parametrize("text", [*AWKWARD, "long " * 20_000])
def test_a_parameter_is_data_whatever_it_contains_and_however_long_it_is(client: Client, text: str) -> None:
    assert client.query("SELECT {text:String} AS text", parameters={"text": text}).result_rows == [(text,)]
    assert client.query("SELECT {texts:Array(String)}", parameters={"texts": [text]}).result_rows == [([text],)]


def test_a_long_result_is_streamed_and_complete(client: Client) -> None:
    with client.query_row_block_stream("SELECT number FROM numbers(500000)") as blocks:
        sizes, total = zip(*((len(block), sum(row[0] for row in block)) for block in blocks), strict=True)
    assert len(sizes) > 1
    assert (sum(sizes), sum(total)) == (500_000, 500_000 * 499_999 // 2)
    assert client.query("SELECT sum(number), count() FROM numbers(500000)").result_rows == [(124_999_750_000, 500_000)]


def test_a_client_may_disconnect_in_the_middle_of_a_result(endpoint: Endpoint, store: Store) -> None:
    for _ in range(20):  # more than there are threads
        with (
            httpx.Client(base_url=f"http://{endpoint}", timeout=PATIENCE) as http,
            http.stream("GET", "/", params={"query": "SELECT number FROM numbers(20000000)"}) as answer,
        ):
            assert next(answer.iter_bytes())
    with connected(endpoint, store) as client:
        assert client.query("SELECT 1").result_rows == [(1,)]


def test_persistent_connections_do_not_block_other_clients(endpoint: Endpoint, store: Store) -> None:
    insert = {"query": "INSERT INTO otel_traces (TraceId, SpanId) FORMAT RowBinary", "database": store.database}
    with ExitStack() as connections:
        for number in range(20):  # more than there are threads
            http = connections.enter_context(httpx.Client(base_url=f"http://{endpoint}", timeout=PATIENCE / 2))
            for _ in range(2):
                answer = http.post("/", params=insert, content=iter([b"\x02%02d" % number, b"\x01s"]))  # in chunks
                assert answer.status_code == 200
    assert len(stored(store)) == 40


def test_dataframes_can_be_inserted_and_queried(store: Store, client: Client) -> None:
    frame = pd.DataFrame({"TraceId": ["t1", "t2"], "SpanId": ["a", "b"], "Duration": [1, 2]})
    client.insert_df("otel_traces", frame)
    back = client.query_df("SELECT TraceId, SpanId, Duration FROM otel_traces ORDER BY TraceId")
    assert back.to_dict("list") == {"TraceId": ["t1", "t2"], "SpanId": ["a", "b"], "Duration": [1, 2]}
    assert stored(store) == [("t1", "a"), ("t2", "b")]


@pytest.mark.parametrize("compress", [False, "lz4", "zstd", "gzip", True])
def test_inserts_arrive_whatever_compression_the_client_chose(
    endpoint: Endpoint, store: Store, compress: bool | str
) -> None:
    attributes = {
        "playback.profile": "checkout",
        "playback.run_id": "r1",
        "coverage.role": "server",
        "text": "x" * 100_000,
    }
    with connected(endpoint, store, compress=compress) as client:
        done = client.insert("otel_traces", [[f"t{n}", "s", attributes] for n in range(50)], column_names=SPANS)
    assert done.written_rows >= 50
    assert len(stored(store)) == 50
    assert store.query("SELECT count(), any(profile) FROM coverage_spans").rows == [(50, "checkout")]
    assert store.query("SELECT DISTINCT length(SpanAttributes['text']) FROM otel_traces").rows == [(100_000,)]


def test_rows_in_binary_come_in_chunks(store: Store, client: Client) -> None:
    data = b"".join(b"\x02t%d\x01s" % number for number in range(10))
    cut = (data[at : at + 3] for at in range(0, len(data), 3))
    client.raw_insert("otel_traces", ["TraceId", "SpanId"], cut, fmt="RowBinary")
    client.raw_insert("otel_traces", ["TraceId", "SpanId"], b"\x03raw\x01s", fmt="RowBinary")
    assert stored(store) == [("raw", "s"), *((f"t{number}", "s") for number in range(10))]


def in_blocks(*parts: bytes) -> bytes:
    """ClickHouse's compressed format, with a zero checksum, which the endpoint does not verify."""
    body = b""
    for part in parts:
        packed = lz4.block.compress(part, store_size=False)
        body += bytes(16) + struct.pack("<BII", 0x82, len(packed) + 9, len(part)) + packed
    return body


def test_clickhouses_compressed_blocks_are_decoded(store: Store, http: httpx.Client) -> None:
    insert = {"query": "INSERT INTO otel_traces (TraceId,SpanId) FORMAT RowBinary", "decompress": "1"}
    answer = http.post("/", params=insert, content=in_blocks(b"\x01t", b"\x01s" * 1))
    assert (answer.status_code, answer.text) == (200, "")
    assert stored(store) == [("t", "s")]


def test_a_truncated_row_is_an_error_and_nothing_is_stored(store: Store, client: Client) -> None:
    with pytest.raises(DatabaseError):
        client.raw_insert("otel_traces", ["TraceId", "SpanId"], b"\x01t\x01s\x01", fmt="RowBinary")
    assert stored(store) == []


def test_a_failing_materialized_view_of_the_user_does_not_fail_the_insert(store: Store, client: Client) -> None:
    store.command("CREATE TABLE theirs (name String) ENGINE = MergeTree ORDER BY name")
    store.command(
        "CREATE MATERIALIZED VIEW theirs_mv TO theirs AS SELECT throwIf(1, 'no') || '' AS name FROM otel_traces"
    )
    client.insert("otel_traces", [["t1", "s", {"playback.profile": "checkout"}]], column_names=SPANS)
    assert stored(store) == [("t1", "s")]


@pytest.mark.parametrize(
    ("sql", "code", "name"),
    [
        ("SELECT * FROM nothing", 60, "UNKNOWN_TABLE"),
        ("SELECT nothing", 47, "UNKNOWN_IDENTIFIER"),
        ("SELEC 1", 62, "SYNTAX_ERROR"),
        ("SELECT 1; SELECT 2", 62, "SYNTAX_ERROR"),
        ("SELECT intDiv(1, 0)", 153, "ILLEGAL_DIVISION"),
    ],
)
def test_an_error_has_clickhouses_code_and_name(client: Client, sql: str, code: int, name: str) -> None:
    with pytest.raises(DatabaseError) as raised:
        client.query(sql)
    assert (raised.value.code, raised.value.name) == (code, name)
    assert "formatQuery" not in str(raised.value)
    assert client.query("SELECT 1").result_rows == [(1,)]


def test_an_error_in_the_middle_of_a_result_raises_in_the_client(client: Client) -> None:
    sql = "SELECT intDiv(1, 3000000 - number) FROM numbers(4000000)"
    with client.query_row_block_stream(sql) as blocks, pytest.raises(ClickHouseError, match="Division by zero"):
        assert all(blocks)
    with pytest.raises(ClickHouseError, match="Division by zero"):
        client.query(sql)


REFUSED = [
    "DROP TABLE code_symbols",
    "TRUNCATE TABLE otel_traces",
    "CREATE TABLE mine (a UInt8) ENGINE = Memory",
    "ALTER TABLE otel_traces DELETE WHERE 1",
    "SET readonly = 0",
    "SELECT 1 SETTINGS readonly = 0",
    "SELECT 1 SETTINGS max_memory_usage = 0",
    "SYSTEM FLUSH LOGS",
    "KILL QUERY WHERE 1",
    "USE default",
    "INSERT INTO coverage_schema (name) FORMAT RowBinary\n",
    "DELETE FROM code_symbols WHERE 1",
    "DELETE FROM code_symbols WHERE namespace = '' AND revision = 'abc'",
    "DELETE FROM otel_traces WHERE namespace = {namespace:String} AND revision = {revision:String}",
    "INSERT INTO otel_traces (TraceId) VALUES ('t')",
    "INSERT INTO otel_traces (TraceId) SELECT 't' FORMAT RowBinary\n",
    "INSERT INTO FUNCTION file('{folder}/written', 'TSV', 'a String') SELECT 'a'",
    "SELECT 1 INTO OUTFILE '{folder}/written'",
    "(SELECT 1) /* x */ INTO -- y\n OUTFILE '{folder}/written' FORMAT TSV",
    "EXPLAIN SELECT 1 INTO OUTFILE '{folder}/written'",
    "SELECT * FROM file('{folder}/secret', 'LineAsString')",
    "SELECT file('{folder}/secret')",
    "SELECT `file` ('{folder}/secret')",
    "SELECT \"file\"/**/('{folder}/secret')",
    "SELECT arrayMap(file, ['{folder}/secret'])",
    "EXPLAIN SELECT file('{folder}/secret')",
    "EXPLAIN AST SELECT 1; SELECT file('{folder}/secret')",
    "SELECT * FROM (SELECT file('{folder}/secret'))",
    "DESCRIBE TABLE url('file://{folder}/secret', 'TSVWithNames')",
    "DESCRIBE TABLE url('http://127.0.0.1:{port}/', 'TSVWithNames')",
    "DESCRIBE TABLE s3('http://127.0.0.1:{port}/a/b', 'TSV')",
    "DESCRIBE TABLE mysql('127.0.0.1:{port}', 'a', 'b', 'c', 'd')",
    "DESCRIBE TABLE postgresql('127.0.0.1:{port}', 'a', 'b', 'c', 'd')",
    "DESCRIBE TABLE remote('127.0.0.1:{port}', 'a', 'b')",
    "DESCRIBE TABLE hdfs('hdfs://127.0.0.1:{port}/a', 'TSV')",
    "DESCRIBE TABLE iceberg('http://127.0.0.1:{port}/a/b')",
    "DESCRIBE TABLE sqlite('{folder}/written', 't')",
    "EXISTS TABLE sqlite('{folder}/written', 't')",
    "EXISTS default.`{folder}/secret`",
    "EXISTS TABLE default.`{folder}/nothing`",
    "SHOW CREATE TABLE default.`{folder}/secret`",
    "SELECT * FROM default.`{folder}/secret`",
    "WITH t AS (SELECT * FROM url('http://127.0.0.1:{port}/', 'TSV', 'a String')) SELECT * FROM t",
    "SELECT * FROM url('http://127.0.0.1:{port}/', 'TSV', 'a String')",
    "SELECT * FROM merge('system', '.*')",
    "SELECT * FROM system.processes",
    "SELECT * FROM system.query_log",
    "SELECT 1 IN system.processes",
    "SELECT getSetting('max_threads')",
    "SELECT 1 FORMAT Template",
    "SELECT * FROM executable('cat', 'TSV', 'a String', (SELECT 1))",
    "SELECT 1 PARALLEL WITH DROP TABLE code_symbols",
]


@pytest.mark.parametrize("sql", REFUSED)
@pytest.mark.parametrize("where", ["body", "url"])
def test_nothing_but_spans_is_written_no_file_is_read_and_no_host_reached(
    unchanged: Store, reading: httpx.Client, tmp_path: Path, sql: str, where: str
) -> None:
    (tmp_path / "secret").write_text("hidden treasure")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        sql = sql.replace("{folder}", str(tmp_path)).replace("{port}", str(listening.getsockname()[1]))
        body, parameters = (sql, {}) if where == "body" else ("", {"query": sql})
        answer = reading.post("/", params=parameters, content=body.encode())
        with pytest.raises(BlockingIOError):
            listening.accept()
    assert answer.status_code >= 400
    ours = re.match(r"Code: (164|48)\. DB::Exception: ", answer.text)
    unparsed = answer.text.startswith("Code: 62. ")  # by the engine's parser, before anything ran
    assert ours or unparsed, answer.text
    assert "treasure" not in answer.text
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]
    assert stored(unchanged) == []
    assert unchanged.query("SELECT count() FROM code_symbols").rows == [(0,)]


def test_a_setting_of_the_statement_holds_for_it(reading: httpx.Client) -> None:
    refused = reading.get("/", params={"query": "SELECT number FROM numbers(10) SETTINGS max_result_rows = 5"})
    assert refused.headers["X-ClickHouse-Exception-Code"] == "396", refused.text


def test_parameters_are_judged_where_they_name_tables(reading: httpx.Client, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("hidden treasure")
    asked = {"query": "SELECT count() FROM {table:Identifier}", "param_table": "otel_traces"}
    assert reading.get("/", params=asked).text == "0\n"
    for name in ("system.processes", f"{tmp_path}/secret", f"default.`{tmp_path}/secret`", "a\n  b"):
        answer = reading.get("/", params={**asked, "param_table": name})
        assert answer.headers["X-ClickHouse-Exception-Code"] == "164", answer.text
        assert "treasure" not in answer.text


@pytest.mark.parametrize(
    "sql",
    [
        "SHOW TABLES",
        "DESCRIBE TABLE otel_traces",
        "EXISTS TABLE otel_traces",
        "EXPLAIN SELECT 1",
        "WITH 1 AS a SELECT a;",
    ],
)
def test_statements_that_only_read_are_allowed(reading: httpx.Client, sql: str) -> None:
    answer = reading.get("/", params={"query": sql})
    assert answer.status_code == 200, answer.text
    assert answer.text


def test_keywords_in_literals_are_ignored(client: Client) -> None:
    text = "INTO OUTFILE 'x' file('y') DROP TABLE"
    assert client.query("SELECT {text:String}", parameters={"text": text}).result_rows == [(text,)]
    quoted = text.replace("'", "''")
    assert client.query(f"SELECT '{quoted}' AS `file(`").result_rows == [(text,)]


def test_the_format_can_be_chosen_in_three_ways(reading: httpx.Client) -> None:
    by_clause = {"query": "SELECT 1 AS a FORMAT JSONEachRow"}
    by_parameter = {"query": "SELECT 1 AS a", "default_format": "JSONEachRow"}
    by_header = {"X-ClickHouse-Format": "JSONEachRow"}
    answers = [
        reading.get("/", params=by_clause),
        reading.get("/", params=by_parameter),
        reading.get("/", params={"query": "SELECT 1 AS a"}, headers=by_header),
    ]
    assert [answer.text for answer in answers] == ['{"a":1}\n'] * 3
    assert [answer.headers["X-ClickHouse-Format"] for answer in answers] == ["JSONEachRow"] * 3
    assert reading.get("/", params={"query": "SELECT 1, 'a'"}).text == "1\ta\n"


def test_the_urls_query_is_put_before_the_body(reading: httpx.Client) -> None:
    assert reading.post("/", params={"query": "SELECT 1 +"}, content=b"2").text == "3\n"


def test_settings_that_limit_or_format_a_result_may_be_changed(reading: httpx.Client) -> None:
    rows = {"query": "SELECT number FROM numbers(10)", "max_result_rows": "5"}
    refused = reading.get("/", params=rows)
    assert (refused.status_code, refused.headers["X-ClickHouse-Exception-Code"]) == (500, "396")
    shaped = {"query": "SELECT true FORMAT JSONEachRow", "output_format_json_quote_64bit_integers": "1"}
    assert reading.get("/", params=shaped).status_code == 200


@pytest.mark.parametrize(
    ("parameters", "code"),
    [
        ({"allow_introspection_functions": "1"}, "164"),
        ({"max_threads = 1, readonly": "0"}, "164"),
        ({"max_no_such_setting": "1"}, "164"),
        ({"max_threads": "many'"}, "164"),
        ({"max_memory_usage": "0"}, "164"),
        ({"max_execution_time": "0"}, "164"),
        ({"default_format": "Template"}, "164"),
        ({"compress": "1"}, "48"),
    ],
)
def test_other_settings_are_refused(reading: httpx.Client, parameters: dict[str, str], code: str) -> None:
    answer = reading.get("/", params={"query": "SELECT 1", **parameters})
    assert answer.status_code >= 400
    assert answer.headers["X-ClickHouse-Exception-Code"] == code, answer.text


def test_clickhouse_connect_sends_the_settings_that_may_be_changed_and_no_others(client: Client) -> None:
    asked = "SELECT value FROM system.settings WHERE name IN ('max_threads', 'max_block_size') ORDER BY name"
    found = client.query(asked, settings={"max_threads": 1, "max_block_size": 1234}).result_rows
    assert found == [("1234",), ("1",)]
    with pytest.raises(ClickHouseError, match="allow_ddl"):
        client.query("SELECT 1", settings={"allow_ddl": 1})


def test_readonly_cannot_be_switched_off(reading: httpx.Client) -> None:
    asked = "SELECT value FROM system.settings WHERE name = 'readonly'"
    answer = reading.get("/", params={"query": asked, "readonly": "0"})
    assert answer.text == "1\n"


@pytest.mark.parametrize("database", ["no`such", "system", "information_schema", "_temporary_and_external_tables"])
def test_no_database_but_the_stores_is_served(reading: httpx.Client, database: str) -> None:
    insert = f"INSERT INTO `{database}`.otel_traces (TraceId) FORMAT RowBinary"
    for query, answer in (
        ("SELECT 1", reading.get("/", params={"query": "SELECT 1", "database": database})),
        ("SELECT 1", reading.get("/", params={"query": "SELECT 1"}, headers={"X-ClickHouse-Database": database})),
        (insert, reading.post("/", params={"query": insert, "database": "unchanged"}, content=b"\x01t")),
    ):
        expected = ("404", "81") if "`" not in database or query != insert else ("501", "48")
        assert (str(answer.status_code), answer.headers["X-ClickHouse-Exception-Code"]) == expected, answer.text


def test_an_insert_into_default_goes_to_the_stores_table(store: Store, http: httpx.Client) -> None:
    insert = {"query": "INSERT INTO default.otel_traces (TraceId, SpanId) FORMAT RowBinary"}
    assert http.post("/", params=insert, content=b"\x01t\x01s").status_code == 200
    assert stored(store) == [("t", "s")]


def test_the_name_default_means_the_stores_database_and_never_files(reading: httpx.Client, tmp_path: Path) -> None:
    asked = {"query": "SELECT currentDatabase()", "database": "default"}
    assert reading.get("/", params=asked).text == "unchanged\n"
    (tmp_path / "secret.csv").write_text("hidden treasure\n")
    for sql in ("SELECT * FROM {0}", "DESCRIBE {0}", "EXISTS {0}", "SELECT * FROM default.{0}", "EXISTS default.{0}"):
        answer = reading.get("/", params={"query": sql.format(f"`{tmp_path}/secret.csv`"), "database": "default"})
        assert answer.headers["X-ClickHouse-Exception-Code"] in ("60", "164"), answer.text
        assert "treasure" not in answer.text


@pytest.mark.parametrize("database", ["default", "system", "information_schema"])
def test_a_store_in_a_database_of_the_engines_own_is_not_served(store_folder: Path, database: str) -> None:
    with (
        open_store(f"chdb://{store_folder}?database={database}") as opened,
        Collector(clickhouse=FREE_PORT) as collector,
        pytest.raises(ConfigurationError, match=f"database {database!r}.*--clickhouse-endpoint none"),
    ):
        collector.start(opened)


def test_spans_are_inserted_into_the_table_that_the_schema_was_applied_with(empty_store_dsn: str) -> None:
    insert = "INSERT INTO {} (TraceId, SpanId) FORMAT RowBinary"
    with open_store(empty_store_dsn) as opened:
        schema.apply(opened, traces="their_spans")
        with serving(opened) as endpoint, httpx.Client(base_url=f"http://{endpoint}", timeout=PATIENCE) as http:
            known = {"database": opened.database}
            done = http.post("/", params={**known, "query": insert.format("their_spans")}, content=b"\x01t\x01s")
            refused = http.post("/", params={**known, "query": insert.format("otel_traces")}, content=b"\x01t\x01s")
        assert (done.status_code, opened.query("SELECT TraceId FROM their_spans").rows) == (200, [("t",)])
    assert refused.status_code == 500
    assert "only their_spans, code_symbols and coverage_run_windows accept inserts here" in refused.text


def test_inserts_share_the_memory_of_all_requests(store: Store) -> None:
    insert = {"database": store.database, "query": "INSERT INTO otel_traces (TraceId, SpanId) FORMAT RowBinary"}
    with Collector(clickhouse=FREE_PORT, access=Access(password="")) as collector:
        collector.start(store)
        url = f"http://{collector.endpoints['ClickHouse HTTP']}/"
        with collector.receiver.memory.request() as others:
            others.add(collector.receiver.memory._max_bytes)
            refused = httpx.post(url, params=insert, content=b"\x01t\x01s", timeout=PATIENCE)
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
        assert refused.headers["X-ClickHouse-Exception-Code"] == "202"
        assert httpx.post(url, params=insert, content=b"\x01t\x01s", timeout=PATIENCE).status_code == 200
    assert stored(store) == [("t", "s")]


def test_a_request_needs_the_password_where_there_is_one(store: Store) -> None:
    with serving(store, Access("ann", "sécret")) as endpoint:
        with connected(endpoint, store, username="ann", password="sécret") as client:
            assert client.query("SELECT 1").result_rows == [(1,)]
        for user, password in (("ann", "wrong"), ("bob", "sécret"), ("", ""), ("ann", "")):
            with pytest.raises(ClickHouseError) as raised:
                connected(endpoint, store, username=user, password=password)
            assert getattr(raised.value, "code", None) == 516
        url, query = f"http://{endpoint}/", {"query": "SELECT 1"}
        headers = {"X-ClickHouse-User": "ann", "X-ClickHouse-Key": "no"}
        assert httpx.get(url, params={**query, "user": "ann", "password": "sécret"}, timeout=PATIENCE).text == "1\n"
        refused = httpx.post(url, params=query, headers=headers, timeout=PATIENCE)
        assert (refused.status_code, "sécret" in refused.text) == (403, False)
        assert httpx.get(url + "ping", timeout=PATIENCE).text == "Ok.\n"


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://page.example"}, {"Host": "page.example"}, {"Host": "page.example:8123"}]
)
def test_requests_caused_by_a_web_page_are_refused(reading: httpx.Client, headers: dict[str, str]) -> None:
    assert reading.get("/", params={"query": "SELECT 1"}, headers=headers).status_code == 403


@pytest.mark.parametrize("host", ["localhost", "localhost:8123", "127.0.0.1:1", "[::1]:8123", "[::1]"])
def test_the_host_header_may_be_any_loopback_name(reading: httpx.Client, host: str) -> None:
    assert reading.get("/", params={"query": "SELECT 1"}, headers={"Host": host}).text == "1\n"


def test_the_length_of_a_statement_is_limited(reading: httpx.Client) -> None:
    answer = reading.post("/", content=b"SELECT 1 -- " + b"x" * 5_000_000)
    assert (answer.status_code, answer.headers["X-ClickHouse-Exception-Code"]) == (413, "229")
    assert reading.get("/", params={"query": "SELECT 1"}).text == "1\n"


def test_the_decompressed_size_of_a_body_is_limited(store: Store, http: httpx.Client) -> None:
    packer = zlib.compressobj(9, wbits=31)
    row = b"\x80\x80\x40" + bytes(1024 * 1024)  # a string of a mebibyte
    bomb = b"".join(packer.compress(row) for _ in range(300)) + packer.flush()
    assert len(bomb) < 1024 * 1024
    insert = {"query": "INSERT INTO otel_traces (TraceId) FORMAT RowBinary"}
    answer = http.post("/", params=insert, content=bomb, headers={"Content-Encoding": "gzip"})
    assert answer.status_code == 413
    assert stored(store) == []


@pytest.mark.parametrize(
    ("headers", "parameters", "body"),
    [
        ({"Content-Encoding": "gzip"}, {}, b"no gzip"),
        ({"Content-Encoding": "gzip"}, {}, gzip.compress(b"\x01t" * 1000, mtime=0)[:-20]),
        ({"Content-Encoding": "lz4"}, {}, b"no lz4 at all"),
        ({"Content-Encoding": "zstd"}, {}, b"no zstd at all"),
        ({"Content-Encoding": "snappy"}, {}, b"x"),
        ({}, {"decompress": "1"}, b"short"),
        ({}, {"decompress": "1"}, in_blocks(b"\x01t")[:-1]),
        ({}, {"decompress": "1"}, bytes(16) + struct.pack("<BII", 0x82, 9, 2**32 - 1)),
        ({}, {"decompress": "1"}, bytes(16) + struct.pack("<BII", 0x82, 1, 1)),
        ({}, {"decompress": "1"}, bytes(16) + struct.pack("<BII", 0x07, 10, 1) + b"x"),
        ({}, {"decompress": "1"}, bytes(16) + struct.pack("<BII", 0x82, 12, 100) + b"xyz"),
    ],
)
def test_a_body_that_cannot_be_decoded_is_an_error(
    unchanged: Store, reading: httpx.Client, headers: dict[str, str], parameters: dict[str, str], body: bytes
) -> None:
    insert = {"query": "INSERT INTO otel_traces (TraceId) FORMAT RowBinary"}
    answer = reading.post("/", params={**insert, **parameters}, content=body, headers=headers)
    assert (answer.status_code, answer.headers["X-ClickHouse-Exception-Code"]) == (400, "36"), answer.text
    assert stored(unchanged) == []


def test_compressed_frames_may_be_concatenated(store: Store, http: httpx.Client) -> None:
    insert = {"query": "INSERT INTO otel_traces (TraceId, SpanId) FORMAT RowBinary"}
    body = gzip.compress(b"\x01t") + gzip.compress(b"\x01s")
    assert http.post("/", params=insert, content=body, headers={"Content-Encoding": "gzip"}).status_code == 200
    assert stored(store) == [("t", "s")]


def test_other_paths_methods_and_empty_queries_are_errors(reading: httpx.Client) -> None:
    assert reading.get("/play").status_code == 404
    assert reading.put("/", content=b"SELECT 1").status_code == 405
    assert reading.get("/").status_code == 400


def test_clients_may_query_and_insert_concurrently(
    endpoint: Endpoint, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        connections, "BUSY_TIMEOUT", PATIENCE
    )  # they share a process with the server, and its processor
    failures: list[Exception] = []

    def work(number: int) -> None:
        try:
            with connected(endpoint, store) as client:
                for step in range(5):
                    client.insert("otel_traces", [[f"t{number}", f"s{step}", {}]], column_names=SPANS)
                    asked = "SELECT count() FROM otel_traces WHERE TraceId = {trace:String}"
                    assert client.query(asked, parameters={"trace": f"t{number}"}).result_rows == [(step + 1,)]
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(stored(store)) == 60


def test_a_store_can_be_opened_through_the_endpoint(endpoint: Endpoint, store: Store) -> None:
    insert_spans(store, TracedSpan(functions=["shop:f@1"]))
    with open_store(f"clickhouse://default@{endpoint}/{store.database}", read_only=True) as reader:
        assert reader.query("SELECT symbol FROM coverage_matrix").rows == [("shop:f@1",)]


def test_a_proxy_in_the_environment_is_not_used_for_loopback(
    endpoint: Endpoint, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as unused:  # bound, and never listening
        unused.bind(("127.0.0.1", 0))
        for name in ("http_proxy", "HTTP_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{unused.getsockname()[1]}")
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        with open_store(f"clickhouse://default@{endpoint}/{store.database}", read_only=True) as reader:
            assert reader.query("SELECT 1").rows == [(1,)]


# takes minutes; bounded in time, so it ends by itself should nobody cancel it
SLOW = "SELECT count() FROM numbers(100000000000) WHERE sipHash64(number) = 1 SETTINGS max_threads = 1"


@contextmanager
def running_queries(endpoint: Endpoint, store: Store, count: int) -> Iterator[list[socket.socket]]:
    """Clients that have asked something slow, and wait."""
    text = f"GET /?{urlencode({'query': SLOW, 'database': store.database})} HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with ExitStack() as clients:
        opened = []
        for _ in range(count):
            opened.append(clients.enter_context(socket.create_connection((endpoint.host, endpoint.port), PATIENCE)))
            opened[-1].sendall(text.encode())
        wait_for_queries(store, count)
        yield opened
    wait_for_queries(store, 0)


def wait_for_queries(store: Store, count: int) -> None:
    """Wait until as many of the slow queries are running."""
    asked = (
        "SELECT count() FROM system.processes WHERE query LIKE '%numbers(100000000000)%' AND query NOT LIKE '%LIKE%'"
    )
    until = time.monotonic() + PATIENCE
    while (running := store.query(asked).rows[0][0]) != count:
        assert time.monotonic() < until, f"{running} are running, not {count}"
        time.sleep(0.05)


def test_slow_queries_do_not_block_others_and_end_when_their_clients_leave(endpoint: Endpoint, store: Store) -> None:
    with (
        running_queries(endpoint, store, 6),
        httpx.Client(base_url=f"http://{endpoint}", params={"database": store.database}, timeout=PATIENCE) as http,
    ):
        assert http.get("/", params={"query": "SELECT 1"}).text == "1\n"
        insert = {"query": "INSERT INTO otel_traces (TraceId, SpanId) FORMAT RowBinary"}
        assert http.post("/", params=insert, content=b"\x01t\x01s").status_code == 200
    assert stored(store) == [("t", "s")]


def test_more_queries_than_are_run_at_once_are_refused_and_inserts_are_not(
    endpoint: Endpoint, store: Store, http: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_queries(endpoint, store, sessions.MAX_QUERIES):
        with monkeypatch.context() as impatient:
            impatient.setattr(sessions, "_QUEUE_TIMEOUT", 0.1)
            refused = http.get("/", params={"query": "SELECT 1"})
        assert (refused.status_code, refused.headers["X-ClickHouse-Exception-Code"]) == (503, "202")
        insert = {"query": "INSERT INTO otel_traces (TraceId, SpanId) FORMAT RowBinary"}
        assert http.post("/", params=insert, content=b"\x01t\x01s").status_code == 200
    assert http.get("/", params={"query": "SELECT 1"}).text == "1\n"


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET / HT",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nSELECT",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nSELE",
    ],
    ids=["nothing", "half a header", "half a body", "half a chunk"],
)
def test_connections_whose_clients_stop_sending_block_nobody_and_are_closed(
    endpoint: Endpoint, store: Store, http: httpx.Client, sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEADER_TIMEOUT", 1.0)
    monkeypatch.setattr(connections, "IDLE_TIMEOUT", 1.0)
    monkeypatch.setattr(bodies, "_PATIENCE", 1.0)
    with ExitStack() as clients:
        slow = [
            clients.enter_context(socket.create_connection((endpoint.host, endpoint.port), PATIENCE))
            for _ in range(120)
        ]
        for client in slow:
            client.sendall(sent)
        assert http.get("/", params={"query": "SELECT 1"}).text == "1\n"
        for client in slow:
            with suppress(ConnectionResetError):
                while client.recv(4096):  # perhaps an error message
                    pass


@pytest.mark.parametrize("setting", [{}, {"max_memory_usage": "1000000000"}])
def test_a_query_that_takes_too_much_memory_fails_and_the_next_one_is_answered(
    reading: httpx.Client, setting: dict[str, str]
) -> None:
    greedy = {"query": "SELECT length(groupArray(number)) FROM numbers(1000000000)", **setting}
    answer = reading.get("/", params=greedy)
    assert answer.headers["X-ClickHouse-Exception-Code"] == "241", answer.text
    assert reading.get("/", params={"query": "SELECT 1"}).text == "1\n"


def test_a_query_that_takes_too_long_fails(reading: httpx.Client) -> None:
    answer = reading.get("/", params={"query": SLOW, "max_execution_time": "1"})
    assert (answer.status_code, answer.headers["X-ClickHouse-Exception-Code"]) == (408, "159"), answer.text


def test_a_span_with_many_overlapping_ranges_does_not_cost_the_views_much_memory(
    store: Store, http: httpx.Client
) -> None:
    ranges = ",".join(f"{number}-{number + 900_000}" for number in range(1, 101))
    insert_spans(store, TracedSpan(functions=["shop:f@1"], lines=[f"shop.py:{ranges}"]))
    insert_catalog(store, {"qualname": "f", "line": 1, "executable_lines": [1, 2, 3]})
    for view in ("module_gaps", "profile_leaderboard", "coverage_gaps", "symbol_profiles"):
        answer = http.get("/", params={"query": f"SELECT * FROM {view}", "max_memory_usage": "100000000"})
        assert answer.status_code == 200, answer.text
    asked = {"query": "SELECT lines_covered, lines_total FROM module_gaps", "max_memory_usage": "100000000"}
    assert http.get("/", params=asked).text == "3\t3\n"
