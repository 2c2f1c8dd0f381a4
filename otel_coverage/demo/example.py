"""Where the example application and its recorded profiles lie."""

from __future__ import annotations

import importlib
import os
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from otel_coverage import __version__
from otel_coverage.errors import ConfigurationError
from otel_coverage.revision import revision_of

NEEDED = ("flask", "gunicorn", "redis", "rq")
THREADS = 8

_FOREIGN = ("OTEL_", "RQ_", "SHOP_", "REDIS_URL", "GUNICORN_", "COVERAGE_")
_OURS = ("OTEL_COVERAGE_ENGINE", "OTEL_COVERAGE_GRANULARITY")

_PACKAGE = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Example:
    """An application and workflows that were recorded on it.

    Attributes:
        folder: holds the application's package ``shop`` and the folder ``profiles``.
    """

    folder: Path

    @classmethod
    def find(cls) -> Example:
        """The example: inside the package where it was installed from a wheel, beside it in a checkout.

        Raises:
            ConfigurationError: it is nowhere.
        """
        for folder in (_PACKAGE / "examples", _PACKAGE.parent / "examples"):
            if (folder / "shop" / "app.py").is_file():
                return cls(folder)
        raise ConfigurationError("the example application is not here; run the demo from a checkout of the project")

    def check(self, worker_class: str = "gthread") -> None:
        """Make sure that what the application runs on is installed.

        Raises:
            ConfigurationError: it is not.
        """
        if worker_class == "gevent" and find_spec("gevent") is None:
            raise ConfigurationError("--worker-class gevent needs gevent; pip install gevent")
        missing = [name for name in NEEDED if find_spec(name) is None]
        if missing:
            raise ConfigurationError(
                f"the demo needs {', '.join(missing)}; pip install 'otel-coverage[demo]' brings all"
            )

    @property
    def source(self) -> Path:
        """The application's package."""
        return self.folder / "shop"

    @property
    def revision(self) -> str:
        """What git calls the application's sources, or the version that they were installed with."""
        return revision_of([self.source]) or f"example-{__version__}"

    def environment(self) -> dict[str, str]:
        """This process's, without what was meant for other applications, and with the example to be imported."""
        scripts = sysconfig.get_path("scripts")
        kept = {name: value for name, value in os.environ.items() if name in _OURS or not name.startswith(_FOREIGN)}
        return {
            **kept,
            "PATH": os.pathsep.join([scripts, kept.get("PATH", os.defpath)]),
            "PYTHONPATH": str(self.folder),
            **{name: ",".join(filter(None, [kept.get(name), "127.0.0.1"])) for name in ("no_proxy", "NO_PROXY")},
            "PYTHONUNBUFFERED": "1",
        }

    def web_server(self, worker_class: str = "gthread") -> list[str]:
        """The command that serves it, on a port that gunicorn's log tells."""
        threads = ["--threads", str(THREADS)] if worker_class == "gthread" else []
        options = ["--bind", "127.0.0.1:0", "--worker-class", worker_class, *threads, *_without_control_socket()]
        return ["gunicorn", *options, "shop.app:create_app()"]

    def worker(self, redis_url: str) -> list[str]:
        """The command that does its jobs."""
        return ["rq", "worker", "--url", redis_url, "shop"]

    @property
    def slugs(self) -> list[str]:
        """The profiles that there are."""
        return sorted(path.name for path in (self.folder / "profiles").iterdir() if path.is_dir())

    def recordings(self, wanted: Sequence[str] = ()) -> list[Path]:
        """The folders of the profiles that are wanted, or of all.

        Raises:
            ConfigurationError: one is not there.
        """
        for slug in wanted:
            if slug not in self.slugs:
                raise ConfigurationError(f"the example has no profile {slug!r}; it has {', '.join(self.slugs)}")
        return [self.folder / "profiles" / slug for slug in wanted or self.slugs]


def _without_control_socket() -> list[str]:
    """Newer gunicorns open a socket in the home folder, where only one of them has room."""
    settings = importlib.import_module("gunicorn.config").KNOWN_SETTINGS
    return ["--no-control-socket"] if any("--no-control-socket" in (each.cli or ()) for each in settings) else []
