"""Which lines of a file count, as coverage.py decides it."""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Self

import coverage
import coverage.exceptions

from otel_coverage.coveragepy import close_data
from otel_coverage.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Statements:
    """First lines of a file's statements: those that count, and those that coverage.py is told to leave out."""

    executable: frozenset[int]
    excluded: frozenset[int]


class StatementReader:
    """Asks coverage.py, so that ``exclude_lines`` of its configuration mean what they mean to it.

    Args:
        rcfile: the coverage.py configuration, None for coverage.py's defaults.
    """

    def __init__(self, rcfile: str | None = None) -> None:
        self._rcfile = rcfile
        self._coverage = coverage.Coverage(data_file=None, config_file=rcfile or False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        close_data(self._coverage.get_data())

    def read(self, filename: str) -> Statements:
        """The statements of a file.

        Raises:
            SyntaxError: coverage.py cannot read the file.
            ConfigurationError: coverage.py cannot use its configuration.
        """
        try:
            _, executable, excluded, _, _ = self._coverage.analysis2(filename)
        except (coverage.exceptions.NotPython, coverage.exceptions.NoSource) as error:
            raise SyntaxError(str(error)) from error
        except coverage.CoverageException as error:
            raise ConfigurationError(f"{self._rcfile or 'coverage.py'}: {error}") from error
        return Statements(frozenset(executable), frozenset(excluded))
