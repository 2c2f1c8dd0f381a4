"""The resource: what describes this process on all of its spans, also after a fork and after a change of its code."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from opentelemetry.sdk.resources import Resource, ResourceDetector

from otel_coverage.tracing.code_revision import REVISION, VERSION, CodeRevision
from otel_coverage.tracing.log import log


class ProcessResource(Resource):
    """A resource whose attributes are those of now, found when they are asked for.

    The SDK describes every forked child anew as it is forked: it reads the entry points of all detectors for that, runs
    each in a thread, and merges resources, a millisecond of a work horse's CPU. Here nothing happens at a fork.

    Args:
        resource: what is known when it is made; what it names itself as version and revision stays.
        code: knows the revision of the code, for ``service.version`` and ``vcs.ref.head.revision``; None for neither.
    """

    def __init__(self, resource: Resource, code: CodeRevision | None = None) -> None:
        super().__init__(resource.attributes, resource.schema_url)
        self._code = code
        known = resource.attributes or {}
        self._missing = [name for name in (VERSION, REVISION) if code is not None and not known.get(name)]
        self._detectors = _process_dependent()
        self._pid = os.getpid()
        self._known: Mapping[str, Any] = self._attributes
        self._now: Mapping[str, Any] | None = None
        self._now_revision = ""

    @property
    def revision(self) -> str:
        """The attribute of that name. To ask for it alone does not have a forked child described."""
        if REVISION in self._missing and self._code is not None:
            return self._code.name
        return str(self._known.get(REVISION))

    @property
    def attributes(self) -> Mapping[str, Any]:
        """Those of now; the same object until one of them changes."""
        if self._pid != os.getpid():
            self._describe_child()
        revision = self._code.name if self._code is not None else ""
        if self._now is None or self._now_revision != revision:
            self._now = {**self._known, **dict.fromkeys(self._missing, revision)}
            self._now_revision = revision
        return self._now

    def merge(self, other: Resource) -> Resource:
        """As any resource."""
        return ProcessResource(Resource(self._known, self.schema_url).merge(other), self._code)

    def _describe_child(self) -> None:
        self._pid, self._now = os.getpid(), None
        try:
            found = dict(self._known)
            for detector in self._detectors:
                found.update(detector.detect().attributes or {})
            self._known = found
        except Exception as error:
            log.failed("describing a forked process", error)

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)


def _process_dependent() -> list[ResourceDetector]:
    """The detectors that the SDK would ask in a forked child: none of an older SDK, which asks none."""
    try:
        from opentelemetry.sdk.resources import _build_resource_detectors

        return [detector for detector in _build_resource_detectors() if detector.is_process_dependent()]
    except Exception:
        return []
