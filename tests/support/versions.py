"""Which tests are for the versions of CPython and RQ that are installed here."""

from __future__ import annotations

import sys
from importlib.metadata import version

import pytest

_RQ = tuple(int(part) for part in version("rq").split(".")[:3] if part.isdigit())


def runs_here(item: pytest.Item) -> bool:
    """Whether the versions here are within the marks ``since``, ``until`` and ``since_rq`` of a test."""
    python = sys.version_info[:2]
    return (
        all(python >= mark.args for mark in item.iter_markers("since"))
        and all(python <= mark.args for mark in item.iter_markers("until"))
        and all(mark.args <= _RQ for mark in item.iter_markers("since_rq"))
    )
