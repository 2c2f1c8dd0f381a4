"""Errors that a user can do something about.

Every one of them is shown as a single line on stderr, without a traceback, and ends the command with exit code 2.
"""

from __future__ import annotations


class OtelCoverageError(Exception):
    """Base of all errors raised on purpose by this package.

    The message says in one line what was wrong, where, and what to do about it.
    """

    exit_code = 2


class ConfigurationError(OtelCoverageError):
    """A setting, an argument or an input file cannot be used as it is."""


class UnreachableError(OtelCoverageError):
    """A server that the command needs does not answer."""


class StoreError(OtelCoverageError):
    """The store refuses: held by another process, not a store, or without our schema."""
