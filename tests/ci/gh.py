"""Answers as ``gh`` does, of the runs and comments that the runner's folder has (``GH_FAKE``)."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import sys
from pathlib import Path

FOLDER = Path(os.environ["GH_FAKE"])


def main(arguments: list[str]) -> int:
    """Do what a call asks for."""
    assert os.environ.get("GH_TOKEN"), "gh needs GH_TOKEN"
    options = dict(itertools.pairwise(arguments))
    if arguments[:2] == ["run", "list"]:
        return _list(options)
    if arguments[:2] == ["run", "download"]:
        return _download(arguments[2], options)
    if arguments[0] == "api":
        return _api(arguments, options)
    raise AssertionError(f"what is {arguments}?")


def _list(options: dict[str, str]) -> int:
    for file in sorted((FOLDER / "artifacts").glob("*.json"), key=lambda each: -int(each.stem)):
        run = json.loads(file.read_text())
        if run["workflow"] == options["--workflow"] and options.get("--branch", run["branch"]) == run["branch"]:
            print(file.stem)
    return 0


def _download(number: str, options: dict[str, str]) -> int:
    source = FOLDER / "artifacts" / number / options["--name"]
    if not source.is_dir():
        print("no artifact matches any of the names or patterns provided", file=sys.stderr)
        return 1
    shutil.copytree(source, options["--dir"], dirs_exist_ok=True)
    return 0


def _api(arguments: list[str], options: dict[str, str]) -> int:
    """Comments: ids of ours are listed, a POST adds one, a PATCH replaces it."""
    comments = FOLDER / "comments"
    comments.mkdir(exist_ok=True)
    if "--method" not in options:
        for file in sorted(comments.iterdir()):
            print(file.stem)
        return 0
    path = next(each for each in arguments if each.startswith("repos/"))
    number = path.rpartition("/")[2] if options["--method"] == "PATCH" else str(1 + len(list(comments.iterdir())))
    shutil.copy(options["-F"].removeprefix("body=@"), comments / f"{number}.md")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
