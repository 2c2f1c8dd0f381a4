"""What describes processes that are gone, as they have kept it in the spool's folder."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from otel_coverage.spool.begun import RESOURCE_SUFFIX


def kept_resource(folder: Path, name: str) -> Any:
    """The ``Resource`` of that name.

    Where it is not there, or damaged, as on a disk that was full: that of another process, since all of them are of one
    service. An empty one where there is none.

    Args:
        folder: the spool's.
        name: as :meth:`~otel_coverage.spool.begun.Slots.describe` has returned it.
    """
    from opentelemetry.proto.resource.v1.resource_pb2 import Resource

    resource = Resource()
    for path in (folder / f"{name}{RESOURCE_SUFFIX}", *sorted(folder.glob(f"*{RESOURCE_SUFFIX}"))):
        with suppress(Exception):  # it was deleted, or is damaged
            resource = Resource.FromString(path.read_bytes())
            break
    return resource
