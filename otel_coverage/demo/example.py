"""Where the example application and its recorded profiles lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from otel_coverage import __version__
from otel_coverage.errors import ConfigurationError
from otel_coverage.revision import revision_of

NEEDED = ("flask", "gunicorn", "redis", "rq")

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
