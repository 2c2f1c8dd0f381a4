"""A report's ``matrix.json``, with names in the place of numbers."""

from __future__ import annotations

import json
from itertools import accumulate
from pathlib import Path


def matrix(folder: Path | str = "artifacts") -> dict[str, list[str]]:
    """The functions of each profile, in the order of the file; without profiles that executed none."""
    found = json.loads(Path(folder, "matrix.json").read_text(encoding="utf-8"))
    rows = zip(found["profiles"], found["matrix"], strict=True)
    return {row["profile"]: [found["symbols"][each] for each in accumulate(steps)] for row, steps in rows if steps}
