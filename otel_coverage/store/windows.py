"""When clients that know only the header played a profile: what they say of it, and which run that is."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from otel_coverage.store.store import Store

TABLE = "coverage_run_windows"
COLUMNS = ("profile", "run", "kind", "at", "outcome", "host")

NIGHT = timedelta(hours=6)
"""How long after one of its windows a run that was named by its day takes further profiles."""

_DAY = re.compile(r"(?P<day>\d{4}-\d{2}-\d{2})(?:\.(?P<number>[1-9]\d{0,5}))?")

_WINDOWS = """
SELECT toString(profile), run, began, last_began, ended, begins, ends, is_open, outcome
FROM run_windows
WHERE greatest(last_began, ended) >= {since:DateTime64(6, 'UTC')} OR profile = {profile:String}
ORDER BY greatest(last_began, ended), run
"""


@dataclass(frozen=True, slots=True)
class Window:
    """The window of a profile in a run.

    Attributes:
        profile: its slug.
        run: the run id.
        began: its first begin; 1970 where there was none.
        last_began: its last one.
        ended: its last end; 1970 where there was none.
        begins: how many there were.
        ends: how many there were.
        is_open: whether it began, and has not ended since.
        outcome: ``passed``, ``failed``, or empty.
    """

    profile: str
    run: str
    began: datetime
    last_began: datetime
    ended: datetime
    begins: int
    ends: int
    is_open: bool
    outcome: str

    @property
    def last(self) -> datetime:
        """When something was last said of it."""
        return max(self.last_began, self.ended)


def windows_near(store: Store, profile: str, now: datetime) -> list[Window]:
    """The windows of a profile, and those of others in the hours before, the newest last.

    Raises:
        StoreError: no schema was applied, or the engine refuses.
        UnreachableError: the server does not answer.
    """
    rows = store.query(_WINDOWS, {"since": now - NIGHT, "profile": profile}).rows
    return [Window(*row) for row in rows]


def default_run(windows: list[Window], profile: str, now: datetime) -> str:
    """The run that a profile is part of which begins now, where nobody names one.

    Profiles that are played one after the other, by whatever jobs and machines, are one run: it is named by the day on
    which the first of them began, in UTC, and takes others until six hours have passed without any. A profile that is
    played once more in that time is in a run of its own, ``2026-11-26.2``: the profiles of a run are played once each.

    Args:
        windows: as :func:`windows_near` returns them.
        profile: its slug.
        now: the present.
    """
    named = [(found["day"], each) for each in windows if (found := _DAY.fullmatch(each.run)) is not None]
    recent = [day for day, each in named if now - NIGHT <= each.last]
    day = max(recent, default=f"{now.astimezone(timezone.utc):%Y-%m-%d}")
    taken = {each.run for _, each in named if each.profile == profile}
    number = 1
    while (run := day if number == 1 else f"{day}.{number}") in taken:
        number += 1
    return run


def say(store: Store, profile: str, run: str, kind: Literal["begin", "end"], at: datetime, outcome: str = "") -> None:
    """Write down that a window has begun or ended. Said twice, with the same time, it is there once.

    Raises:
        StoreError: no schema was applied, or the engine refuses.
        UnreachableError: the server does not answer.
    """
    micros = round((at - datetime(1970, 1, 1, tzinfo=timezone.utc)) / timedelta(microseconds=1))
    store.insert(TABLE, COLUMNS, [(profile, run, kind, micros, outcome, socket.gethostname())])


def clock_difference(store: Store) -> timedelta:
    """By how much this machine's clock is ahead of the store's; negative where it is behind.

    At least so much: what the question may have taken is not counted.

    Raises:
        StoreError: the engine refuses.
        UnreachableError: the server does not answer.
    """
    before = datetime.now(timezone.utc)
    (micros,) = store.query("SELECT toUnixTimestamp64Micro(now64(6))").rows[0]
    there = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(microseconds=int(micros))
    after = datetime.now(timezone.utc)
    return max(before - there, timedelta()) or min(after - there, timedelta())
