"""Runs statements in an older ClickHouse engine, in a Python that has an older chDB and nothing of this project.

A JSON object on stdin: `folder` of the engine, `statements` to run, then `queries` by name. On stdout: the engine's
`version`, the `failures` by statement or name, and the `rows` of each query as tab-separated lines, the names first.
"""

import json
import sys
from typing import Any

from chdb import session


def main() -> None:
    asked = json.load(sys.stdin)
    engine: Any = session.Session(asked["folder"])  # type: ignore[no-untyped-call]
    answer: dict[str, object] = {"version": str(engine.query("SELECT version()")).strip().strip('"')}
    failures: dict[str, str] = {}
    rows: dict[str, list[str]] = {}
    for statement in asked["statements"]:
        try:
            engine.query(statement)
        except Exception as error:  # of no class that says more
            failures[statement] = str(error)
    for name, query in asked["queries"].items():
        try:
            rows[name] = str(engine.query(query, "TabSeparatedWithNames")).splitlines()
        except Exception as error:  # of no class that says more
            failures[name] = str(error)
    json.dump({**answer, "failures": failures, "rows": rows}, sys.stdout)


if __name__ == "__main__":
    main()
