"""What a report is about, and what it is compared with: the options of ``otel-coverage report`` that choose it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from otel_coverage.errors import OtelCoverageError
from otel_coverage.reporting.changes.baseline import find_baseline
from otel_coverage.reporting.history import LENGTH
from otel_coverage.reporting.page.page import NO_LINKS, Links
from otel_coverage.reporting.queries import RevisionQueries, select_revision

if TYPE_CHECKING:
    from otel_coverage.store import Store


@dataclass(frozen=True, slots=True)
class ReportRequest:
    """What is asked for. A served report asks each time anew: the newest revision, and the runs of a pattern, change.

    Attributes:
        revision, namespace, services, expected, runs, since, profiles, folder: see
            :func:`~otel_coverage.reporting.queries.select_revision`.
        baseline: what to compare with, by a name that :func:`~otel_coverage.reporting.changes.baseline.find_baseline`
            takes; None for nothing.
        history_length: how many revisions the history has at most.
        links: where the page leads to.
    """

    revision: str | None = None
    namespace: str = ""
    services: tuple[str, ...] = ()
    expected: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
    since: str = ""
    profiles: tuple[str, ...] = ()
    baseline: str | None = None
    history_length: int = LENGTH
    links: Links = NO_LINKS
    folder: Path = Path()

    def select(self, store: Store) -> RevisionQueries:
        """The queries about it.

        Raises:
            ConfigurationError: the store has no coverage of that revision.
            NoCoverageError: the store has no coverage of that service, run or profile.
            StoreError: the engine refuses.
        """
        return select_revision(
            store,
            revision=self.revision,
            namespace=self.namespace,
            services=self.services,
            expected=self.expected,
            runs=self.runs,
            since=self.since,
            profiles=self.profiles,
            folder=self.folder,
        )

    def select_baseline(self, queries: RevisionQueries) -> tuple[RevisionQueries | None, tuple[str, ...]]:
        """What these are compared with, and a sentence where there is nothing to compare them with yet."""
        if self.baseline is None:
            return None, ()
        try:
            found = find_baseline(queries, self.baseline, self.folder)
        except OtelCoverageError as error:
            return None, (f"Compared with nothing (--baseline {self.baseline}): {error}.",)
        if found is None:
            return None, ("Compared with nothing: no earlier revision has coverage.",)
        return found, ()
