"""``{slug}/report.json``: what a profile executed, for programs that look at one profile at a time."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

from otel_coverage.reporting.files import Json, write_json
from otel_coverage.reporting.heading import SCHEMA_VERSION
from otel_coverage.reporting.profiles.executed import Executed, Row
from otel_coverage.reporting.profiles.names import REPORT, folder_name
from otel_coverage.reporting.queries import RevisionQueries, doubts
from otel_coverage.reporting.times import timestamp
from otel_coverage.store.formats import json_value

_NO_LINES: frozenset[int] = frozenset()


class Documents:
    """Writes ``report.json`` of profiles, one after the other, without spaces: there may be millions of symbols.

    Its ``symbols`` are the functions and classes of the modules that the profile executed something of, those that it
    did not execute, too, and executed functions that the catalog does not have. In ``executed_lines`` are, as in every
    figure, the lines of the catalog alone; null where lines were not recorded, or nothing says which they are.

    Args:
        queries: about the revision.
        catalog: its rows; none without one.
        folder: where each profile has its folder.
    """

    def __init__(self, queries: RevisionQueries, catalog: Iterable[Row], folder: Path) -> None:
        self._queries = queries
        self._folder = folder
        self._modules: dict[str, list[tuple[Row, str]]] = {}
        for row in catalog:
            begin = _begin(row, row["kind"], row["file"], row["end_line"])
            self._modules.setdefault(row["module"], []).append((row, begin))
        self._entry_points: dict[str, list[dict[str, Any]]] = {}
        for row in queries.profile_entry_points:
            of_profile = self._entry_points.setdefault(row["profile"], [])
            of_profile.append({name: value for name, value in row.items() if name != "profile"})

    def write(self, executed: Executed) -> None:
        """Write the document of a profile."""
        folder = self._folder / folder_name(executed.profile)
        folder.mkdir(exist_ok=True)
        write_json(folder / REPORT, self._document(executed))

    def _document(self, executed: Executed) -> dict[str, Any]:
        queries, row = self._queries, executed.row
        symbols, covered = self._symbols(executed)
        classes = [f"{found['module']}:{found['qualname']}" for found in covered if found.get("kind") == "class"]
        modules = sorted({symbol["module"] for symbol in executed.symbols})
        return {
            "schema_version": SCHEMA_VERSION,
            "profile": executed.profile,
            "timestamp": timestamp(row["last_seen"]),
            "revision": queries.revision,
            "namespace": queries.namespace,
            "services": list(queries.services),
            "selection": queries.selection.document,
            "complete": bool(row["complete"]),
            "incomplete_reasons": row["incomplete_reasons"],
            "incomplete_details": row["incomplete_details"],
            "runs": row["runs"],
            "failed_runs": row["failed_runs"],
            "counted_runs": row["counted_runs"],
            "certain": not doubts(row) and not queries.problems,
            "problems": list(queries.problems),
            "summary": {
                "file_count": len({found["file"] for found in covered if found.get("file")}),
                "module_count": len(modules),
                "class_count": len(classes),
                "function_count": row["functions"],
                "lines_covered": row["lines_covered"],
                "lines_total": row["lines_total"],
                "coverage_percent": row["lines_percent"],
            },
            "entry_points": self._entry_points.get(executed.profile, []),
            "modules": modules,
            "classes": classes,
            "symbols": symbols,
        }

    def _symbols(self, executed: Executed) -> tuple[list[Json], list[Row]]:
        """The symbols as JSON, and the rows of those that were executed: of the catalog, else of the reverse index."""
        lines = None if executed.lines is None else {file: set(found) for file, found in executed.lines.items()}
        symbols: list[Json] = []
        covered: list[Row] = []
        for module, rows in groupby(executed.symbols, key=lambda row: str(row["module"])):
            functions = {row["symbol"]: row for row in rows}
            catalog = self._modules.get(module, [])
            methods: dict[str, list[int]] = {}  # the lines of those that were executed, by class
            for row, _ in catalog:
                if row["parent"] and row["symbol"] in functions:
                    methods.setdefault(row["parent"], []).append(row["line"])
            unknown = functions.keys() - {row["symbol"] for row, _ in catalog}
            for row, begin in self._with(catalog, [functions[symbol] for symbol in unknown]):
                is_covered = row["symbol"] in unknown or _is_covered(row, functions, methods)
                if is_covered:
                    covered.append(row)
                own = "null"
                if lines is not None and row["symbol"] not in unknown:
                    found = lines.get(row["file"], _NO_LINES).intersection(row["executable_lines"])
                    own = f"[{','.join(map(str, sorted(found)))}]"
                text = f'{begin},"executed_lines":{own},"covered":{"true" if is_covered else "false"}}}'
                symbols.append(Json(text))
        return symbols, covered

    def _with(self, catalog: list[tuple[Row, str]], unknown: list[Row]) -> list[tuple[Row, str]]:
        """The symbols of a module, by line, with functions that the catalog does not have."""
        if not unknown:
            return catalog
        return sorted([*catalog, *((row, _begin(row, "function", None, None)) for row in unknown)], key=_place)


def _begin(row: Row, kind: str, file: str | None, end_line: int | None) -> str:
    span = [row["line"], end_line]
    known = {"id": row["symbol"], "name": row["qualname"], "kind": kind, "file": file, "line_span": span}
    return json_value(known, compact=True).removesuffix("}")


def _place(entry: tuple[Row, str]) -> tuple[int, str]:
    return entry[0]["line"], entry[0]["qualname"]


def _is_covered(row: Row, functions: Collection[str], methods: Mapping[str, list[int]]) -> bool:
    """Whether a function was executed, or a class because one of its functions was."""
    if row["kind"] != "class":
        return row["symbol"] in functions
    # conditional definitions give two classes one name
    return any(row["line"] <= line <= row["end_line"] for line in methods.get(row["qualname"], ()))
