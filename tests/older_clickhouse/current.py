"""The same in the engine that this environment has, over a store that is there: ``current.py STORE``."""

from __future__ import annotations

import json
import sys

from otel_coverage.store import open_store


def main(folder: str) -> None:
    asked = json.load(sys.stdin)
    with open_store(f"chdb://{folder}") as store:
        for statement in asked["statements"]:
            store.command(statement)
        rows = {
            name: store.export(query, None, "TabSeparatedWithNames").decode().splitlines()
            for name, query in asked["queries"].items()
        }
    json.dump({"rows": rows}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1])
