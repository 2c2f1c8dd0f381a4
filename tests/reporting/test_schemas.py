"""The JSON Schemas of a report's files, and its Parquet files beside the others."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from otel_coverage.cli.main import cli
from otel_coverage.errors import ConfigurationError
from otel_coverage.reporting.report import Report
from otel_coverage.reporting.schemas import schema, schema_names
from tests.reporting.conftest import Compared


def found(name: str, *folders: Path) -> dict[Path, Any]:
    """The documents of that name below the folders."""
    paths = [path for folder in folders for path in sorted(folder.rglob(name))]
    return {path: json.loads(path.read_text(encoding="utf-8")) for path in paths}


def errors(file: str, document: Any) -> list[str]:
    return [error.message for error in Draft202012Validator(schema(file)).iter_errors(document)]


def test_every_json_file_is_as_its_schema_says(report: Report, compared: Compared) -> None:
    folders = report.out, compared.report.out
    names = {path.name for folder in folders for path in folder.rglob("*.json") if path.parent.name != "html"}
    assert names == set(schema_names())
    for name in sorted(names):
        Draft202012Validator.check_schema(schema(name))
        documents = found(name, *folders)
        assert [(path, errors(name, document)) for path, document in documents.items()] == [
            (path, []) for path in documents
        ]


@pytest.mark.parametrize("name", schema_names())
def test_a_schema_knows_what_does_not_fit(report: Report, compared: Compared, name: str) -> None:
    *_, document = found(name, report.out, compared.report.out).values()
    assert errors(name, {**document, "surplus": 1}) != []
    assert errors(name, {**document, "schema_version": 2}) != []
    for key in document:
        assert errors(name, {each: value for each, value in document.items() if each != key}) != [], key


def test_a_schema_is_printed_whole() -> None:
    done = CliRunner().invoke(cli, ["report", "--schema", "matrix.json"])
    assert (done.exit_code, json.loads(done.stdout)) == (0, schema("matrix.json")), done.output
    wrong = CliRunner().invoke(cli, ["report", "--schema", "matrx.json"])
    assert isinstance(wrong.exception, ConfigurationError)
    assert str(wrong.exception).startswith("no JSON file 'matrx.json' in a report; did you mean matrix.json")


@pytest.mark.parametrize("name", ["matrix", "reverse-index", "gaps", "entry-points"])
def test_a_parquet_file_has_what_the_csv_file_has(report: Report, name: str) -> None:
    with open(report.out / f"{name}.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    table = pq.read_table(report.out / f"{name}.parquet")
    assert set(rows[0]) <= set(table.column_names)
    columns = list(rows[0])
    assert [{column: text(row[column]) for column in columns} for row in table.to_pylist()] == rows


def text(value: Any) -> str:
    """A value as the CSV files have it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, list):
        return " ".join(value)
    if hasattr(value, "isoformat"):
        return str(value.isoformat(timespec="microseconds")).replace("+00:00", "Z")
    return str(value)
