"""Errors that a user can fix: commands print them as one line on stderr, without a traceback, and exit with 2."""

from __future__ import annotations


class OtelCoverageError(Exception):
    """Base of the errors that this package raises deliberately.

    The message says in one line what is wrong, where, and what to do.

    Attributes:
        exit_code: of a command that ends with the error.
    """

    exit_code = 2


class ConfigurationError(OtelCoverageError):
    """A setting, an argument or an input file is not valid."""


class UnreachableError(OtelCoverageError):
    """A server that the command needs does not respond."""


class StoreError(OtelCoverageError):
    """The store cannot be used: locked by another process, not a store, without the schema, or a failed statement."""


class NoCoverageError(StoreError):
    """The store has no coverage of what is asked for; it may still come."""


class AccessDeniedError(StoreError):
    """The user of the store may not do that."""


class Interrupted(OtelCoverageError):  # noqa: N818 - nothing was wrong
    """Ctrl-C ended the command; the message says what it left."""

    exit_code = 130  # of a shell for SIGINT

    def __init__(self, state: str = "") -> None:
        super().__init__(f"interrupted: {state}" if state else "interrupted")
