from __future__ import annotations

import pytest

from otel_coverage.errors import ConfigurationError
from otel_coverage.store import Dsn


def test_an_embedded_store_is_a_folder_and_the_database_otel() -> None:
    dsn = Dsn.parse("chdb:///var/lib/coverage")
    assert (dsn.kind, dsn.path, dsn.database) == ("chdb", "/var/lib/coverage", "otel")


def test_an_embedded_store_may_name_another_database() -> None:
    assert Dsn.parse("chdb:///var/lib/coverage?database=nightly").database == "nightly"


def test_spaces_in_a_folder_may_be_escaped() -> None:
    assert Dsn.parse("chdb:///var/my%20data").path == "/var/my data"


def test_a_server_has_all_its_parts() -> None:
    dsn = Dsn.parse("clickhouse://us%40er:p%2Fw@db.example:8124/traces?verify=false")
    assert (dsn.host, dsn.port, dsn.username, dsn.password) == ("db.example", 8124, "us@er", "p/w")
    assert (dsn.database, dsn.tls, dsn.options) == ("traces", False, (("verify", "false"),))


def test_a_server_without_port_and_database_has_the_usual_ones() -> None:
    dsn = Dsn.parse("clickhouse://db.example")
    assert (dsn.port, dsn.database) == (8123, "otel")


@pytest.mark.parametrize("text", ["clickhouses://db.example", "clickhouse://db.example?secure=true"])
def test_tls_has_its_own_port(text: str) -> None:
    dsn = Dsn.parse(text)
    assert (dsn.tls, dsn.port) == (True, 8443)


@pytest.mark.parametrize("text", ["clickhouse://ann:secret@db.example/otel", "clickhouse://ann:secret@db.example:1/x"])
def test_a_password_is_never_shown(text: str) -> None:
    dsn = Dsn.parse(text)
    assert "secret" not in f"{dsn} {dsn!r}"
    assert dsn.password == "secret"


@pytest.mark.parametrize(
    "text",
    ["chdb:///var/lib/x", "chdb:///var/lib/x?database=y", "clickhouse://u@h:8123/d", "clickhouses://[::1]:8443/otel"],
)
def test_what_is_shown_can_be_read_again(text: str) -> None:
    assert str(Dsn.parse(text)) == text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "it has no scheme"),
        ("/var/lib/coverage", "it has no scheme"),
        ("postgres://secret@host/x", "(postgres)"),
        ("chdb://relative/path", "has to be absolute"),
        ("chdb:///", "has to be absolute"),
        ("chdb:///x?databse=y", "unknown option 'databse'"),
        ("chdb:///x?database=a;DROP", "database 'a;DROP'"),
        ("clickhouse://host/1x", "database '1x'"),
        ("clickhouse:///otel", "it has no host"),
        ("clickhouse://host:port/otel", "Port could not be cast"),
        ("clickhouse://[host/otel", "Invalid IPv6"),
    ],
)
def test_an_address_that_cannot_be_read_says_what_is_wrong_in_one_line(text: str, says: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        Dsn.parse(text)
    message = str(raised.value)
    assert says in message
    assert "\n" not in message
    assert "secret" not in message
