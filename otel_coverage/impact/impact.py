"""Finds what a change concerns: asks git what differs, the store who executes it, and applies the rules."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from otel_coverage.errors import ConfigurationError, StoreError
from otel_coverage.impact.differing import FileChange, WorkTree, differing
from otel_coverage.impact.findings import Impact
from otel_coverage.impact.recorded import Recorded
from otel_coverage.impact.selection import Selector
from otel_coverage.impact.settings import ImpactSettings
from otel_coverage.playback.folders import profiles_at
from otel_coverage.reporting.queries import select_revision
from otel_coverage.source import SourceTree
from otel_coverage.store.named_queries import named_query

if TYPE_CHECKING:
    from otel_coverage.store import Store

_COMMIT = re.compile("[0-9a-f]{40}|[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Found:
    """The outcome.

    Attributes:
        base: the commit that was named.
        merge_base: the commit that the work tree is compared with.
        head: the commit that is checked out.
        revision: the one whose coverage says who executes what; empty where the store has none.
        impact: what follows.
    """

    base: str
    merge_base: str
    head: str
    revision: str
    impact: Impact


def find(
    store: Store,
    base: str,
    tree: SourceTree,
    settings: ImpactSettings,
    *,
    folder: Path = Path(),
    revision: str | None = None,
    namespace: str = "",
) -> Found:
    """What the change from where the branch left `base` up to the work tree concerns.

    Args:
        store: an open store.
        base: a commit, tag or branch.
        tree: the source that is recorded.
        settings: what the project says of its files.
        folder: where these are from.
        revision: whose coverage to use; None for the nearest to the base that has some.
        namespace: the services that share the source tree.

    Raises:
        ConfigurationError: git does not know the base, or the settings name something that there is not.
        StoreError: the store has no coverage, and there are no playback recordings.
    """
    work_tree = WorkTree.at(Path(tree.roots[0].folder if Path(tree.roots[0].folder).is_dir() else folder))
    commit = work_tree.commit(base)
    merge_base = work_tree.merge_base(commit)
    changes = differing(work_tree.top, merge_base)
    folder = folder.resolve()
    played = _played(folder / settings.profiles)
    recorded, reason = _recorded(store, work_tree, merge_base, revision, namespace, bool(played))
    outside = [root.folder for root in tree.roots if not Path(root.folder).is_relative_to(work_tree.top.resolve())]
    if outside and not reason:
        reason = f"the source {outside[0]} is not in the repository {work_tree.top}: what changed there is not known"
    selector = Selector(recorded, tree, work_tree.top, settings, folder, played)
    stale: dict[str, list[FileChange]] = {}
    if not reason and recorded.revision != merge_base:
        stale[recorded.revision] = differing(work_tree.top, recorded.revision, merge_base)
    impact = selector.select(changes, stale, unknown=reason)
    return Found(commit, merge_base, work_tree.head, recorded.revision, impact)


def _played(folder: Path) -> tuple[str, ...]:
    """The profiles that there are playback recordings of; none where there is no such folder."""
    return profiles_at(folder) if folder.is_dir() and any(folder.iterdir()) else ()


def _recorded(
    store: Store, work_tree: WorkTree, merge_base: str, revision: str | None, namespace: str, is_played: bool
) -> tuple[Recorded, str]:
    """What is recorded, and why it says nothing of the base; empty where it does."""
    if revision is None:
        known = [
            str(row["revision"]) for row in named_query("revisions").ask(store, {"namespace": namespace}).records()
        ]
        revision = _nearest(known, work_tree, merge_base)
    try:
        queries = select_revision(store, revision=revision, namespace=namespace, folder=work_tree.top)
    except (StoreError, ConfigurationError):
        if not is_played or revision is not None:
            raise
        return Recorded(""), "the store has no coverage"
    recorded = Recorded.read(queries)
    if recorded.revision == merge_base or (_COMMIT.fullmatch(recorded.revision) and work_tree.has(recorded.revision)):
        return recorded, ""
    name = recorded.revision or "unknown"
    return recorded, f"the store has coverage of {name}, and git here cannot tell what changed since then"


def _nearest(known: Iterable[str], work_tree: WorkTree, commit: str) -> str | None:
    """The revision with coverage that is nearest to a commit: it, one before it, or the newest that is here."""
    revisions = list(known)
    for each in work_tree.ancestors(commit):
        if each in revisions:
            return each
    here = (each for each in revisions if _COMMIT.fullmatch(each) and work_tree.has(each))
    return next(here, None)
