"""The private folder of one user and service that holds spans until they are sent."""

from __future__ import annotations

import os
import re
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote

from otel_coverage.errors import ConfigurationError
from otel_coverage.settings import Settings

OFF = "off"
_UNNAMED = "unknown_service"  # OpenTelemetry's
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def spool_folder(settings: Settings, environ: Mapping[str, str] | None = None) -> Path | None:
    """Where this process's spans wait; None where the spool is switched off. Creates nothing."""
    if settings.spool is not None:
        return None if settings.spool == OFF else Path(os.path.abspath(os.path.expanduser(settings.spool)))
    return default_base(environ) / service_name(environ)


def default_base(environ: Mapping[str, str] | None = None) -> Path:
    """The folder that has one of each service: below the user's home, or below the temporary one where that fails."""
    environ = os.environ if environ is None else environ
    state = environ.get("XDG_STATE_HOME", "")
    state = state if os.path.isabs(state) else os.path.join(os.path.expanduser("~"), ".local", "state")
    if os.path.isabs(state) and _can_make(state):
        return Path(state, "otel-coverage", "spool")
    return Path(tempfile.gettempdir(), f"otel-coverage-{os.geteuid()}", "spool")


def service_name(environ: Mapping[str, str] | None = None) -> str:
    """The name of the service that the environment gives this process, as the name of a folder."""
    environ = os.environ if environ is None else environ
    name = environ.get("OTEL_SERVICE_NAME", "").strip()
    for pair in environ.get("OTEL_RESOURCE_ATTRIBUTES", "").split(",") if not name else ():
        key, _, value = pair.partition("=")
        if key.strip() == "service.name":
            name = unquote(value.strip())
    name = re.sub(r"[^A-Za-z0-9._-]", "_", name)[:100]
    return name if name.strip(".") else _UNNAMED


def make_private(folder: Path) -> None:
    """Create the folder, with those above it that are missing, for this user alone.

    Raises:
        ConfigurationError: it cannot be created, or is not a folder whose content this user alone can change.
    """
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        for parent in (folder.parent, folder.parent.parent):
            # below the temporary folder anybody may have been faster
            if parent.name.startswith("otel-coverage-"):
                check_private(parent)
        check_private(folder)
    except OSError as error:
        raise ConfigurationError(f"spool {folder}: cannot be used as a folder: {error.strerror or error}") from error


def check_private(folder: Path) -> None:
    """Check that nobody else can put files into the folder, or decide what lies in its place.

    Raises:
        ConfigurationError: they can.
        OSError: it is not there.
    """
    found = os.lstat(folder)
    if not stat.S_ISDIR(found.st_mode):
        kind = "a symbolic link" if stat.S_ISLNK(found.st_mode) else "not a folder"
        raise ConfigurationError(f"spool {folder}: is {kind}, expected a folder; name another in OTEL_COVERAGE_SPOOL")
    if found.st_uid != os.geteuid():
        raise ConfigurationError(
            f"spool {folder}: belongs to user {found.st_uid}, expected {os.geteuid()}, who runs this process; "
            "name another in OTEL_COVERAGE_SPOOL"
        )
    if found.st_mode & _OTHERS_WRITE:
        raise ConfigurationError(
            f"spool {folder}: other users can write to it (mode {stat.S_IMODE(found.st_mode):o}); chmod 700 it, or "
            "name another in OTEL_COVERAGE_SPOOL"
        )


def identity(fd: int) -> tuple[int, int]:
    """What tells an open file from all others."""
    found = os.fstat(fd)
    return found.st_dev, found.st_ino


def is_open(fd: int, file: tuple[int, int]) -> bool:
    """Whether the descriptor is still that of the file, and the file in its folder.

    Programs close descriptors that are not theirs, as daemons do when they start: the next file that is opened has the
    number then, and is none of ours.
    """
    try:
        found = os.fstat(fd)
    except OSError:
        return False
    return (found.st_dev, found.st_ino) == file and found.st_nlink > 0


def write_privately(path: Path, data: bytes) -> None:
    """Write a small file at once: whoever reads it sees all of it.

    Raises:
        OSError: there is no room.
    """
    fd, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mode 0600
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(data)
        os.replace(draft, path)
    except BaseException:
        os.unlink(draft)
        raise


def _can_make(folder: str) -> bool:
    while not os.path.isdir(folder):
        above = os.path.dirname(folder)
        if above == folder:
            return False
        folder = above
    return os.access(folder, os.W_OK | os.X_OK)
