"""Spans without a run id, put into runs: a trace belongs to the run whose window holds its root's start.

A client that knows only the header names no run. Its spans wait in ``coverage_unassigned``; :func:`fold` finds the run
of each trace and inserts its spans into ``coverage_intake`` under that run, so that every table and view has them as
those of any other run. The run of a trace is a function of all spans and windows that there are, whatever came first:

1. the run id of another span of the trace, where one came with one;
2. the run of the one window (``playback begin`` and ``end``) that holds its start;
3. the run of the one window that it misses by no more than clocks may differ;
4. where several windows hold it, a run of its own, which is marked: nobody knows whose it is;
5. else the session that it is in: sessions are what a gap in time separates.

Where something that comes later changes the run of a trace, what the tables have of its former run is deleted and
derived anew. After :data:`SETTLED_DAYS` the spans are dropped, and their traces stay where they are.
"""

from otel_coverage.store.folding.assignment import SETTLED_DAYS, UNASSIGNED, unfolded, unfolded_profiles
from otel_coverage.store.folding.runs import Folded, fold

__all__ = ["SETTLED_DAYS", "UNASSIGNED", "Folded", "fold", "unfolded", "unfolded_profiles"]
