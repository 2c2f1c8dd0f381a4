"""``python -m basin.archive RUN``: keep a copy of a run's results."""

from __future__ import annotations

import sys

from basin import runs


def main(run: str) -> None:
    """Copy the results."""
    found = pack(runs.results(run))
    runs.put(run, "archive", found)


def pack(results: dict[str, object]) -> str:
    """The results as text."""
    return " ".join(sorted(results))


if __name__ == "__main__":
    main(sys.argv[1])
