"""The secret that the collector of an embedded store asks for by default: a file in the store's folder."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from otel_coverage.errors import ConfigurationError

FILE_NAME = "otel-coverage-password"


def secret_of(folder: str) -> str:
    """The store's secret; made where there is none yet, and kept from then on. Only its owner can read it.

    Raises:
        ConfigurationError: others can read it, or it cannot be read or made.
    """
    path = Path(folder, FILE_NAME)
    try:
        if not path.is_symlink() and not path.exists():
            _make(path)
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), encoding="ascii") as file:
            status = os.fstat(file.fileno())
            secret = file.read(1024).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: the secret cannot be read or made: {error}") from error
    if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o077:
        raise ConfigurationError(
            f"{path}: other users may have read the secret (owner {status.st_uid}, mode "
            f"{stat.S_IMODE(status.st_mode):o}, expected {os.geteuid()} and 600); delete it, and another is made"
        )
    if not secret:
        raise ConfigurationError(f"{path}: the file is empty, a secret was expected; delete it, and another is made")
    return secret


def _make(path: Path) -> None:
    fresh = path.with_suffix(f".{os.getpid()}")
    fresh.unlink(missing_ok=True)
    with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(secrets.token_urlsafe(32) + "\n")
        file.flush()
        os.fsync(file.fileno())  # or a power cut leaves an empty file under the final name
    fresh.replace(path)
