"""Empty packages with the metadata of real ones, for a pip that is asked what it would install."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from packaging.requirements import Requirement

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

_CONTRIB = ("asgi", "fastapi", "flask", "httpx", "requests", "starlette", "threading", "urllib", "urllib3", "wsgi")
_BUILT_ON = {"fastapi": "asgi", "flask": "wsgi", "starlette": "asgi"}


def write_wheel(
    folder: Path, name: str, version: str, requires: Iterable[str] = (), extras: Iterable[str] = ()
) -> None:
    """A wheel that contains nothing but what its name promises."""
    stem = f"{name.replace('-', '_')}-{version}"
    metadata = [
        "Metadata-Version: 2.1",
        f"Name: {name}",
        f"Version: {version}",
        *(f"Provides-Extra: {extra}" for extra in extras),
        *(f"Requires-Dist: {requirement}" for requirement in requires),
    ]
    with ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{stem}.dist-info/METADATA", "\n".join(metadata) + "\n")
        wheel.writestr(f"{stem}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{stem}.dist-info/RECORD", "")


def write_ours(folder: Path) -> None:
    """Ours, with what pyproject.toml says of it, and one release of all that is not OpenTelemetry's."""
    requires = list(PROJECT["dependencies"])
    for extra, requirements in PROJECT["optional-dependencies"].items():
        for requirement in map(Requirement, requirements):
            marker = f"({requirement.marker}) and " if requirement.marker else ""
            requirement.marker = None
            requires.append(f"{requirement} ; {marker}extra == '{extra}'")
    write_wheel(folder, "otel-coverage", "1", requires, PROJECT["optional-dependencies"])
    for name, requirement in {Requirement(text).name: Requirement(text) for text in requires}.items():
        if not name.startswith(("opentelemetry-", "otel-coverage")):
            (pinned,) = [part.version for part in requirement.specifier if part.operator == "=="] or ["9999"]
            write_wheel(folder, name, pinned)


def core(release: str, beta: str) -> dict[str, tuple[str, list[str]]]:
    """What OpenTelemetry's first repository releases together: package → version, requirements."""
    return {
        "opentelemetry-api": (release, []),
        "opentelemetry-semantic-conventions": (beta, [f"opentelemetry-api=={release}"]),
        "opentelemetry-sdk": (
            release,
            [f"opentelemetry-api=={release}", f"opentelemetry-semantic-conventions=={beta}"],
        ),
        "opentelemetry-proto": (release, []),
        "opentelemetry-exporter-otlp-proto-common": (release, [f"opentelemetry-proto=={release}"]),
        "opentelemetry-exporter-otlp-proto-grpc": (
            release,
            [
                "opentelemetry-api~=1.15",
                f"opentelemetry-sdk~={release}",
                f"opentelemetry-proto=={release}",
                f"opentelemetry-exporter-otlp-proto-common=={release}",
                "grpcio>=1.63",
            ],
        ),
    }


def contrib(beta: str) -> dict[str, tuple[str, list[str]]]:
    """What its second repository releases together, some time later or not at all."""
    common = ["opentelemetry-api~=1.12", f"opentelemetry-semantic-conventions=={beta}"]
    packages = {
        "opentelemetry-util-http": (beta, list[str]()),
        "opentelemetry-instrumentation": (beta, [*common, "wrapt>=1"]),
    }
    for name in _CONTRIB:
        requires = [*common, f"opentelemetry-instrumentation=={beta}", f"opentelemetry-util-http=={beta}"]
        below = [f"opentelemetry-instrumentation-{_BUILT_ON[name]}=={beta}"] if name in _BUILT_ON else []
        packages[f"opentelemetry-instrumentation-{name}"] = (beta, requires + below)
    return packages
