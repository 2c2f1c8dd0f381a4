"""Runs SQL queries: a JSON object of name → SQL on stdin, of name → records on stdout. The argument is the DSN."""

from __future__ import annotations

import json
import sys

from otel_coverage.store import open_store

if __name__ == "__main__":
    with open_store(sys.argv[1], read_only=True) as store:
        results = {name: store.query(sql).records() for name, sql in json.load(sys.stdin).items()}
    json.dump(results, sys.stdout, default=str)
