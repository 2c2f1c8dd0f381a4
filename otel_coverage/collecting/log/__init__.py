"""The write-ahead log: what was accepted, in files, until the store has it."""

from otel_coverage.collecting.log.log import Log, LogClosedError, LogFullError
from otel_coverage.collecting.log.segment import Gap, Record

__all__ = ["Gap", "Log", "LogClosedError", "LogFullError", "Record"]
