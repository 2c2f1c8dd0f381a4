"""Spans that wait in files for a process that sends them, so that what makes them neither waits nor opens a connection.

``spool.py`` appends, ``spool_file.py`` reads, ``begun.py`` notes what was begun, ``sender.py`` sends.
"""

from otel_coverage.spool.spool import Spool

__all__ = ["Spool"]
