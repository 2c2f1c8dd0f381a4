"""Starting the process that drains a spool, where none is running."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import posix
import shutil
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from otel_coverage.spool.folder import write_privately

LOCK = "sender.lock"  # held by the sender; says what it sends to
WANTED = "sender.wanted"  # what another process wants the sender to send to: one that does not leaves
STATUS = "sender.json"

# nothing of the working directory's is imported: -P, which CPython has since 3.11
_SENDER = (
    ("-P", "-m", "otel_coverage.spool.sender")
    if sys.version_info >= (3, 11)
    else (
        "-c",
        "import sys; del sys.path[0]; import runpy; runpy.run_module('otel_coverage.spool.sender', None, '__main__')",
    )
)

# the environment of what starts the sender that would make the sender, or its children, something else
_NOT_INHERITED = ("TRACEPARENT", "TRACESTATE", "BAGGAGE", "PYTHONSTARTUP", "PYTHONINSPECT", "COVERAGE_PROCESS_START")
_OF_DESTINATION = ("OTEL_EXPORTER_OTLP", "OTEL_TRACES_EXPORTER", "SSL_CERT", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


def ensure_sender(folder: Path, max_age: float, max_bytes: int, linger: float) -> bool:
    """Start a sender, unless one with this process's destination is running.

    It is not a child of this process, and inherits no open file; nothing of Python's runs for the fork. The arguments
    are those of :class:`~otel_coverage.spool.sender.Sender`.

    Returns:
        Whether one was started.

    Raises:
        OSError: there is no such folder, or no process can be started.
    """
    wanted = destination()
    running = running_destination(folder)
    if running == wanted:
        return False
    if running is not None:
        write_privately(folder / WANTED, wanted.encode())
    _start([_python(), *_SENDER, str(folder), str(max_age), str(max_bytes), str(linger)])
    return True


def running_destination(folder: Path) -> str | None:
    """What the sender that is running sends to, as :func:`destination` says it; None where none is running."""
    fd = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.pread(fd, 64, 0).decode("ascii", "replace")
    finally:
        os.close(fd)
    return None


def destination(environ: Mapping[str, str] | None = None) -> str:
    """A digest of what the environment says about the exporter."""
    environ = os.environ if environ is None else environ
    chosen = sorted((key, value) for key, value in environ.items() if key.upper().startswith(_OF_DESTINATION))
    return hashlib.sha256(repr(chosen).encode()).hexdigest()[:32]


def read_status(folder: Path) -> dict[str, Any]:
    """What the sender has last said of itself; empty where there never was one."""
    try:
        status = json.loads((folder / STATUS).read_bytes())
    except (OSError, ValueError):
        return {}
    return status if isinstance(status, dict) else {}


def _start(command: list[str]) -> None:
    """Have a shell start it and leave, so that it is nobody's child here."""
    from otel_coverage.instrumentation.subprocess import followed

    arguments = ["sh", "-c", '"$@" </dev/null >/dev/null 2>&1 &', "sh", *command]
    with followed():
        try:  # in a session of its own from its first moment: who kills this process's group may do so right now
            pid = os.posix_spawn("/bin/sh", arguments, _environment(), setsid=True)
        except NotImplementedError:  # an old C library
            pid = os.posix_spawn("/bin/sh", arguments, _environment(), setpgroup=0)
    with suppress(ChildProcessError):  # who waits for all children of this process was faster
        posix.waitpid(pid, 0)  # not gevent's, which never returns when the process is about to end


def _environment() -> dict[str, str]:
    from otel_coverage.instrumentation.start import FOLDER

    environ = {key: value for key, value in os.environ.items() if key not in _NOT_INHERITED}
    environ["OTEL_COVERAGE_ENABLED"] = "0"
    environ["OTEL_SDK_DISABLED"] = "true"
    paths = [path for path in environ.pop("PYTHONPATH", "").split(os.pathsep) if path]
    kept = [path for path in paths if path != FOLDER and not path.endswith("auto_instrumentation")]
    package = str(Path(__file__).parents[2])
    if package not in kept and "site-packages" not in package:
        kept.append(package)  # this process may have found it in another way
    if _is_embedded():  # the one that is found may have other packages
        kept += [path for path in sys.path if os.path.isdir(path) and path not in kept and path != FOLDER]
    if kept:
        environ["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, kept))
    return environ


def _python() -> str:
    """This process's interpreter. A server that embeds one is not one, and may name another without these packages."""
    name = f"python{sys.version_info[0]}"
    beside = os.path.join(sys.prefix, "bin", name)
    named = sys.executable or ""
    is_python = os.path.basename(named).startswith(("python", "pypy"))
    if is_python and (not _is_embedded() or not os.path.exists(beside)):
        return named
    found = beside if os.path.exists(beside) else shutil.which(name)
    if found is None:
        raise FileNotFoundError(f"no {name} in {sys.prefix} or on PATH to send the spool with")
    return found


def _is_embedded() -> bool:
    """Whether another program runs this interpreter: what it says of itself is not where it would find its packages."""
    return os.path.dirname(os.path.abspath(sys.executable or "")) != os.path.join(sys.prefix, "bin")
