"""The example application and its profiles."""

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

_REMOVED = ("OTEL_", "RQ_", "SHOP_", "REDIS_URL", "GUNICORN_", "COVERAGE_")
_KEPT = ("OTEL_COVERAGE_ENGINE", "OTEL_COVERAGE_GRANULARITY")

_PACKAGE = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Example:
    """A folder with an application and its profiles.

    Attributes:
        folder: contains the package ``shop`` and the folder ``profiles``.
    """

    folder: Path

    @classmethod
    def find(cls) -> Example:
        """Find the example: inside the package when installed from a wheel, beside it in a checkout.

        Raises:
            ConfigurationError: there is none.
        """
        for folder in (_PACKAGE / "examples", _PACKAGE.parent / "examples"):
            if (folder / "shop" / "app.py").is_file():
                return cls(folder)
        raise ConfigurationError(
            "the example application is not installed; run the demo from a checkout of the project"
        )

    def check(self, worker_class: str = "gthread") -> None:
        """Check that the application's dependencies are installed.

        Raises:
            ConfigurationError: some are missing.
        """
        if worker_class == "gevent" and find_spec("gevent") is None:
            raise ConfigurationError("--worker-class gevent needs gevent; run pip install gevent")
        missing = [name for name in NEEDED if find_spec(name) is None]
        if missing:
            raise ConfigurationError(f"the demo needs {', '.join(missing)}; run pip install 'otel-coverage[demo]'")

    @property
    def source(self) -> Path:
        """The application's package."""
        return self.folder / "shop"

    @property
    def revision(self) -> str:
        """The git revision of the application's source, else the version of this package."""
        return revision_of([self.source]) or f"example-{__version__}"

    def environment(self) -> dict[str, str]:
        """This process's environment without settings for other applications, and with the example on the path."""
        scripts = sysconfig.get_path("scripts")
        kept = {name: value for name, value in os.environ.items() if name in _KEPT or not name.startswith(_REMOVED)}
        return {
            **kept,
            "PATH": os.pathsep.join([scripts, kept.get("PATH", os.defpath)]),
            "PYTHONPATH": str(self.folder),
            **{name: ",".join(filter(None, [kept.get(name), "127.0.0.1"])) for name in ("no_proxy", "NO_PROXY")},
            "PYTHONUNBUFFERED": "1",
        }

    def web_server(self, worker_class: str = "gthread") -> list[str]:
        """The command of the web server, on a free port, which gunicorn logs."""
        threads = ["--threads", str(THREADS)] if worker_class == "gthread" else []
        options = ["--bind", "127.0.0.1:0", "--worker-class", worker_class, *threads, *_without_control_socket()]
        return ["gunicorn", *options, "shop.app:create_app()"]

    def worker(self, redis_url: str) -> list[str]:
        """The command of the RQ worker."""
        return ["rq", "worker", "--url", redis_url, "shop"]

    @property
    def slugs(self) -> list[str]:
        """The names of the profiles."""
        return sorted(path.name for path in (self.folder / "profiles").iterdir() if path.is_dir())

    def recordings(self, slugs: Sequence[str] = ()) -> list[Path]:
        """The folders of some profiles, of all by default.

        Raises:
            ConfigurationError: there is no such profile.
        """
        for slug in slugs:
            if slug not in self.slugs:
                raise ConfigurationError(f"the example has no profile {slug!r}; it has {', '.join(self.slugs)}")
        return [self.folder / "profiles" / slug for slug in slugs or self.slugs]


def _without_control_socket() -> list[str]:
    """Newer gunicorn versions open a control socket at a fixed path, which two servers cannot share."""
    settings = importlib.import_module("gunicorn.config").KNOWN_SETTINGS
    return ["--no-control-socket"] if any("--no-control-socket" in (each.cli or ()) for each in settings) else []
