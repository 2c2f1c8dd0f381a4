"""The call of a job: the span that its performance answers, kept in a field of the job's own hash in Redis.

Not in ``job.meta``: a job may replace that, and what is in it depends on the queue's serializer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

FIELD = "otel_coverage"
_ATTRIBUTE = "_otel_coverage_call"


@dataclass(frozen=True, slots=True)
class Call:
    """What a job is performed for, the last time that it was queued.

    Attributes:
        carrier: the headers of the span that queued it; of the context that made it where nothing queued it yet.
        role: ``coverage.role`` of that span: ``producer``, ``pending``, or empty where nothing queued it yet.
        function: the job's, so that nobody has to deserialize the job for it.
        begun: a worker has begun to perform it. What begins again was queued again, by somebody who is not
            instrumented.
    """

    carrier: Mapping[str, str]
    role: str = ""
    function: str = ""
    begun: bool = False

    def dumps(self) -> str:
        """As it is kept in Redis."""
        return json.dumps(
            {"carrier": dict(self.carrier), "role": self.role, "function": self.function, "begun": self.begun}
        )


def loads(text: object) -> Call | None:
    """The call that :meth:`Call.dumps` wrote, or None where there is none or it is malformed."""
    if not isinstance(text, str | bytes):
        return None
    try:
        found = json.loads(text)
        carrier = found["carrier"]
        if not all(isinstance(value, str) for value in carrier.values()):
            return None
        return Call(carrier, str(found["role"]), str(found["function"]), found["begun"] is True)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def call_of(job: Any) -> Call | None:
    """The call that this object knows, which may be older than what Redis has."""
    call = getattr(job, _ATTRIBUTE, None)
    return call if isinstance(call, Call) else None


def is_loaded(job: Any) -> bool:
    """Whether this object was made here or read from Redis, so that :func:`call_of` knows its call."""
    return hasattr(job, _ATTRIBUTE)


def set_call(job: Any, call: Call | None) -> None:
    """Have the object know ``call``; it is in Redis once the job is saved."""
    setattr(job, _ATTRIBUTE, call)


_begun: tuple[Call, Call, str] | None = None  # a call, the same as begun, and how that is kept in Redis


def begin(job: Any) -> str | None:
    """A worker begins to perform the job: the same call is not answered by another performance.

    Returns:
        What is to be kept in Redis from now on; None for a job without a call.
    """
    call = call_of(job)
    if call is None:
        return None
    begun, text = _begun_of(call)
    set_call(job, begun)
    return text


def prepare_begin(call: Call) -> None:
    """Have :func:`begin` take no time, also in a forked child."""
    _begun_of(call)


def _begun_of(call: Call) -> tuple[Call, str]:
    global _begun
    kept = _begun
    if kept is None or kept[0] is not call:
        begun = replace(call, begun=True)
        kept = _begun = (call, begun, begun.dumps())
    return kept[1:]
