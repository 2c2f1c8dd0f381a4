"""Which runs and profiles a report is about, where it is not about all of a revision."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from otel_coverage.errors import ConfigurationError, NoCoverageError
from otel_coverage.suggestions import suggestion

if TYPE_CHECKING:
    from otel_coverage.store import Store

_AGO = re.compile(r"(?P<count>\d{1,6})(?P<unit>[mhdw])")
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}

# a run id is one run's, whatever namespaces and revisions its spans are from
_RUNS = """
SELECT run, min(r.first_seen) AS began, max(r.last_seen) AS ended,
    max(namespace = {namespace:String} AND (recorded OR covered)) AS has_coverage
FROM coverage_runs AS r
GROUP BY run
ORDER BY ended DESC, run
"""
_PROFILES = """
SELECT toString(profile) AS profile, max(namespace = {namespace:String} AND (recorded OR covered)) AS has_coverage
FROM coverage_runs
GROUP BY profile
ORDER BY profile
"""


@dataclass(frozen=True, slots=True)
class Selection:
    """The runs and profiles of a report.

    Attributes:
        runs: their ids, sorted; empty for all runs.
        profiles: their names, sorted; empty for all profiles.
        since: when the runs began at the earliest, as the user wrote it; empty where that was not asked.
        straddling: runs that began before that and ended after it, so that they are left out.
        named: what was named one by one, without a pattern: ``run`` or ``profile``, and the name.
        absent: those of them that have no coverage at the revision of the report.
    """

    runs: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()
    since: str = ""
    straddling: tuple[str, ...] = ()
    named: tuple[tuple[str, str], ...] = ()
    absent: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.runs or self.profiles)

    @property
    def parameters(self) -> dict[str, Sequence[str]]:
        """The parameters of named queries that narrow them to it."""
        chosen: dict[str, Sequence[str]] = {"runs": self.runs, "profiles": self.profiles}
        return {name: list(names) for name, names in chosen.items() if names}

    @property
    def document(self) -> dict[str, Any]:
        """As the JSON files have it: null for what was not selected by."""
        return {"runs": list(self.runs) or None, "since": self.since or None, "profiles": list(self.profiles) or None}


def select(
    store: Store,
    *,
    runs: Sequence[str] = (),
    since: str = "",
    profiles: Sequence[str] = (),
    namespace: str = "",
    now: datetime | None = None,
) -> Selection:
    """Find the runs and profiles that are meant.

    Args:
        store: an open store.
        runs: ids of runs, or patterns such as ``night-*``; empty for all runs.
        since: only runs that began then or later; see :func:`moment`.
        profiles: names, or patterns; empty for all profiles.
        namespace: the services that share one source tree.
        now: what `since` counts back from; None for the present.

    Raises:
        ConfigurationError: `since` is not a time.
        NoCoverageError: nothing of what is named has coverage.
    """
    chosen, straddling = _runs(store, runs, since, namespace, now) if runs or since else ((), ())
    played: tuple[str, ...] = ()
    if profiles:
        found = store.query(_PROFILES, {"namespace": namespace}).records()
        played = _matching("profile", profiles, {row["profile"]: bool(row["has_coverage"]) for row in found}, store)
    named = [("run", name) for name in runs if name in chosen]
    named += [("profile", name) for name in profiles if name in played]
    return Selection(chosen, played, since, straddling, tuple(named))


def moment(text: str, now: datetime | None = None) -> datetime:
    """A time as a user writes it: ``30m``, ``24h``, ``7d``, ``2w`` ago, or ISO 8601, in UTC where it names no zone.

    Raises:
        ConfigurationError: it is neither.
    """
    ago = _AGO.fullmatch(text)
    try:
        if ago is not None:
            return (now or datetime.now(timezone.utc)) - int(ago["count"]) * _UNITS[ago["unit"]]
        found = datetime.fromisoformat(re.sub("[Zz]$", "+00:00", text))  # which 3.10 cannot read
        return (found if found.tzinfo is not None else found.replace(tzinfo=timezone.utc)).astimezone(timezone.utc)
    except (ValueError, OverflowError):
        raise ConfigurationError(
            f"--since {text!r}: not a time; write 24h, 7d or 2w, or a date such as 2026-11-25 or 2026-11-25T22:00Z"
        ) from None


def _runs(
    store: Store, names: Sequence[str], since: str, namespace: str, now: datetime | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The runs that are meant; those that were going on at `since`."""
    found = store.query(_RUNS, {"namespace": namespace}).records()
    straddling: tuple[str, ...] = ()
    if names:
        chosen = _matching("run", names, {row["run"]: bool(row["has_coverage"]) for row in found}, store)
        found = [row for row in found if row["run"] in chosen]
    else:
        found = [row for row in found if row["has_coverage"]]
    if since:
        earliest = moment(since, now)
        straddling = tuple(sorted(row["run"] for row in found if row["began"] < earliest <= row["ended"]))
        begun = [row for row in found if row["began"] >= earliest]
        if not begun:
            newest = max(found, key=lambda row: row["began"], default=None)
            last = f"; the last, {newest['run']!r}, began at {newest['began']:%Y-%m-%dT%H:%M:%SZ}" if newest else ""
            raise NoCoverageError(f"{store.dsn}: no run with coverage began since {earliest:%Y-%m-%dT%H:%M:%SZ}{last}")
        found = begun
    return tuple(sorted(row["run"] for row in found)), straddling


def _matching(what: str, names: Iterable[str], known: Mapping[str, bool], store: Store) -> tuple[str, ...]:
    """The known names that are among the names or match one of them.

    Args:
        what: what they name.
        names: names and patterns.
        known: whether each name has coverage.
        store: where they are from.
    """
    chosen: set[str] = set()
    for name in names:
        found = {name} & known.keys() or {each for each in known if fnmatchcase(each, name)}
        if not found:
            covered = (each for each, has_coverage in known.items() if has_coverage)
            raise NoCoverageError(f"{store.dsn}: no {what} {name!r}; {suggestion(name, covered)}")
        chosen |= found
    if not any(known[each] for each in chosen):
        first = min(chosen)
        raise NoCoverageError(
            f"{store.dsn}: {what} {first!r} was played, but no coverage of it arrived; "
            "`otel-coverage doctor` says what is traced in the application's environment"
        )
    return tuple(sorted(chosen))
