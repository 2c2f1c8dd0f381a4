"""Answers SQL questions, by name on stdin, about the store that it is given."""

from __future__ import annotations

import json
import sys

from otel_coverage.store import open_store

if __name__ == "__main__":
    with open_store(sys.argv[1], read_only=True) as store:
        answers = {name: store.query(sql).records() for name, sql in json.load(sys.stdin).items()}
    json.dump(answers, sys.stdout, default=str)
