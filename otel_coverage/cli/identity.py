"""Which revision and namespace a command speaks of: as said, as the traced services say it, as git knows it."""

from __future__ import annotations

from opentelemetry.sdk.resources import OTELResourceDetector

from otel_coverage.revision import revision_of
from otel_coverage.source import SourceTree


def chosen_revision(said: str | None, tree: SourceTree) -> str | None:
    """The revision of the source tree, None where nobody knows it."""
    return said or _resource_attribute("vcs.ref.head.revision") or revision_of([root.folder for root in tree.roots])


def chosen_namespace(said: str | None) -> str:
    """The namespace of the services that share the source tree."""
    return _resource_attribute("service.namespace") if said is None else said


def _resource_attribute(name: str) -> str:
    """What ``OTEL_RESOURCE_ATTRIBUTES`` says, so that services and commands in one environment agree."""
    return str(OTELResourceDetector().detect().attributes.get(name, ""))
