"""A store in one file: what CI jobs upload, and what a later job puts together again.

The file is a ZIP archive: ``manifest.json``, and for each table that is not derived from another one
``<table>.native``, its rows in ClickHouse's Native format. Every table keeps its rows by what they are about, so
importing a file twice, or files in another order, gives the same store.
"""

from __future__ import annotations

import json
import os
import secrets
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from otel_coverage.errors import ConfigurationError
from otel_coverage.store import schema
from otel_coverage.store.layout import PER_NODE, TRACES
from otel_coverage.store.store import Store

FORMAT = "otel-coverage store"
FORMAT_VERSION = 1
MOST_BYTES = 20_000_000_000  # of a file, unpacked; the benchmark's night has 0.1

_MANIFEST = "manifest.json"
_MANIFEST_BYTES = 16 * 1024 * 1024
_SHAPE = "Native"
_BLOCK_ROWS = 65_536  # of what the engine reads and writes at once

_SPANS, _BATCHES = "coverage_spans", "coverage_batches"
_DERIVED = frozenset({TRACES, PER_NODE, "coverage_by_symbol"})  # the last one is filled by inserts into another table
# All spans of a file, as batches that are not whole before the rest of it is inserted, and whole after that: what an
# interrupted import leaves is incomplete.
_BEGUN, _WHOLE = "begun", "whole"
_BATCH_SPANS = 10_000
_IMPORTED = f"""
SELECT 'import' AS kind, concat({{name:String}}, ':', toString(intDiv(number, {_BATCH_SPANS}))) AS batch,
    {{whole:Bool}} AS whole, toUInt64(0) AS first, toUInt64(0) AS last, count() AS spans, now64(3, 'UTC') AS written,
    groupArray((trace, span, toUInt64(0)))::Array(Tuple(trace String, span String, digest UInt64)) AS keys, '' AS detail
FROM (SELECT trace, span, rowNumberInAllBlocks() AS number FROM coverage_spans FINAL)
GROUP BY intDiv(number, {_BATCH_SPANS})
"""  # noqa: S608 - our own SQL

_COLUMNS = (
    "SELECT name FROM system.columns WHERE database = currentDatabase() AND table = {table:String}"
    " AND default_kind NOT IN ('ALIAS', 'MATERIALIZED', 'EPHEMERAL') ORDER BY position"
)
_PLAYED = (
    "SELECT groupUniqArray(profile), groupUniqArray(run), groupUniqArrayIf(revision, revision != '') FROM coverage_runs"
)
_STILL_WHOLE = "whole AND (kind != 'batch' OR written < {began:DateTime64(3, 'UTC')}) AS whole"

Progress = Callable[[str], object]


@dataclass(frozen=True)
class Manifest:
    """What an archive says of itself.

    Attributes:
        profiles: whose runs it holds.
        runs: their ids.
        revisions: that they were played at.
        schema: the checksum of each schema file of the store that it was made from, by title.
    """

    profiles: list[str]
    runs: list[str]
    revisions: list[str]
    schema: dict[str, str]


def tables() -> tuple[str, ...]:
    """The tables of an archive, spans first: the views decide by them which runs are incomplete."""
    names = [name for name in schema.tables() if name not in _DERIVED]
    return tuple(sorted(names, key=lambda name: name != _SPANS))


def steps() -> tuple[str, ...]:
    """What is inserted, in order: the tables, and what marks the file's spans before and after them."""
    return tuple(entry for entry, _ in _entries())


def _entries() -> tuple[tuple[str, str], ...]:
    """Each entry of an archive but the manifest, with the table that it goes into, in the order of insertion."""
    return ((_BEGUN, _BATCHES), *((table, table) for table in tables()), (_WHOLE, _BATCHES))


def export(store: Store, path: Path, progress: Progress = lambda _: None) -> Manifest:
    """Write all that a store holds, but raw spans, to a file; one that is there is replaced when all is written.

    Spans may arrive meanwhile. A batch that the collector called whole only after the export began is not whole in the
    file, so spans of which a part came too late are incomplete there.

    Args:
        store: has the schema of this version.
        path: the file. Only its owner may read it.
        progress: called with the name of each of the :func:`tables` before it is read.

    Raises:
        ConfigurationError: the file cannot be written.
        StoreError: the engine refuses, or another version made the store's tables.
    """
    schema.check(store)
    name = secrets.token_hex(8)
    began = store.query("SELECT toString(now64(3, 'UTC'))").rows[0][0]
    with _replaced(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for table in sorted(tables(), key=lambda name: name == _BATCHES):  # after the spans: each has its batch there
            progress(table)
            names = _columns(store, table)
            columns = ", ".join(_STILL_WHOLE if (table, name) == (_BATCHES, "whole") else name for name in names)
            sql = f"SELECT {columns} FROM {table} FINAL SETTINGS max_block_size = {_BLOCK_ROWS}"  # noqa: S608 - ours
            _write(archive, table, store.stream(sql, {"began": began}, _SHAPE))
        for entry in (_BEGUN, _WHOLE):
            parameters = {"name": name, "whole": entry == _WHOLE}
            _write(archive, entry, store.stream(_IMPORTED, parameters, _SHAPE))
        profiles, runs, revisions = (sorted(names) for names in store.query(_PLAYED).rows[0])
        manifest = Manifest(profiles, runs, revisions, schema.digests())
        document = {"format": FORMAT, "format_version": FORMAT_VERSION, **asdict(manifest)}
        archive.writestr(_MANIFEST, json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    return manifest


def check(path: Path, most: int = MOST_BYTES) -> Manifest:
    """Read a whole file, and return what it says of itself.

    Args:
        path: the file.
        most: bytes that it may hold unpacked. Deflate packs zeros a thousandfold, and a file may come from anywhere.

    Raises:
        ConfigurationError: it cannot be read, is damaged, holds more, or is not what this version writes.
    """
    with _opened(path) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
        if size > most:
            raise ConfigurationError(
                f"{path}: holds {size / 1e9:.1f} GB unpacked, expected at most {most / 1e9:.1f}; where you know "
                "who wrote it, allow it by --max-size"
            )
        found = set(archive.namelist())
        manifest = _manifest(path, archive)
        expected = {_MANIFEST, *(_file(entry) for entry, _ in _entries())}
        if found != expected or len(archive.namelist()) != len(expected):
            names = sorted(found ^ expected)
            raise ConfigurationError(f"{path}: not what `otel-coverage store export` writes: {', '.join(names[:3])}")
        damaged = archive.testzip()
        if damaged is not None:
            raise ConfigurationError(f"{path}: {damaged} is damaged; export the store, or download the file, again")
    return manifest


def insert(store: Store, path: Path, progress: Progress = lambda _: None) -> None:
    """Insert what a file that was checked holds. It may be interrupted, and done again.

    Args:
        store: has the schema.
        path: the file.
        progress: called with the name of each of the :func:`steps` before it is taken.

    Raises:
        ConfigurationError: the file cannot be read.
        StoreError: the engine refuses.
    """
    with _opened(path) as archive:
        for entry, table in _entries():
            progress(entry)
            if archive.getinfo(_file(entry)).file_size:
                with archive.open(_file(entry)) as data:
                    store.insert_stream(table, _columns(store, table), data, _SHAPE)


def _columns(store: Store, table: str) -> list[str]:
    return [name for (name,) in store.query(_COLUMNS, {"table": table}).rows]


def _file(entry: str) -> str:
    return f"{entry}.native"


def _write(archive: zipfile.ZipFile, entry: str, pieces: Iterable[bytes]) -> None:
    with archive.open(_file(entry), "w", force_zip64=True) as file:
        for piece in pieces:
            file.write(piece)


def _manifest(path: Path, archive: zipfile.ZipFile) -> Manifest:
    try:
        with archive.open(_MANIFEST) as file:
            document: Any = json.loads(file.read(_MANIFEST_BYTES))
        if document["format"] != FORMAT:
            raise ValueError(f"the format is {document['format']!r}")
        version = document["format_version"]
        manifest = Manifest(*(document[name] for name in Manifest.__dataclass_fields__))
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigurationError(f"{path}: not an export of a store: {error}") from error
    if version != FORMAT_VERSION or manifest.schema != schema.digests():
        raise ConfigurationError(
            f"{path}: another version of otel-coverage wrote it, whose tables differ; export and import with the same"
        )
    return manifest


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise ConfigurationError(f"{path}: not an export of a store, or damaged: {error}") from error


@contextmanager
def _replaced(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes its place when the block ends without an exception."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            yield file
        temporary.replace(path)
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)
