"""What profiles execute at one revision, or on one night, and not at another.

That a profile does not execute something any more is said only where all of its later coverage arrived and it did not
fail, that it executes something new only where all of its earlier coverage did. Other differences are unknown: what did
not arrive may show the contrary.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from otel_coverage.reporting.changes.code import (
    CHANGED,
    NEW,
    REMOVED,
    UNCHANGED,
    UNKNOWN,
    CodeChanges,
    Name,
    code_changes,
)
from otel_coverage.reporting.changes.lines import ExecutedLines, LineDifference, line_differences, members
from otel_coverage.reporting.queries import RevisionQueries, doubts

Row = Mapping[str, Any]

GAINED, LOST = "gained", "lost"
COMPARED, ADDED, ABSENT = "compared", "new", "not played"


@dataclass(frozen=True, slots=True)
class Difference:
    """How the profiles that execute something differ; each is in one list at most.

    Attributes:
        change: ``gained`` where some profile executes it and none did, ``lost`` the other way round; else empty.
        certain: whether that is so even if what may be missing is thought of.
        gained_by: profiles that execute it and did not.
        lost_by: profiles that do not execute it and did.
        unknown: profiles that differ, or seem to: coverage of theirs that may show the contrary is missing.
    """

    change: str
    certain: bool
    gained_by: tuple[str, ...]
    lost_by: tuple[str, ...]
    unknown: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FunctionChange:
    """A function that other profiles execute than before, or other lines of it.

    Attributes:
        symbol: as it is now; as it was where it is no longer executed and the catalog does not have it.
        module, qualname, line, file: of that symbol; the file is empty where no catalog has it.
        code: what became of its text: new, changed, unchanged, removed or unknown.
        difference: who executes it.
        lines_gained: lines that some profile executes and none did, where the text is unchanged; as they are now.
        lines_lost: lines that none executes any more.
        lines_unknown: lines that differ, or seem to.
    """

    symbol: str
    module: str
    qualname: str
    line: int
    file: str
    code: str
    difference: Difference
    lines_gained: tuple[int, ...] = ()
    lines_lost: tuple[int, ...] = ()
    lines_unknown: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class CodeChange:
    """A function that is new, or whose text changed.

    Attributes:
        symbol, module, qualname, line, end_line, file: as in the catalog.
        code: new or changed.
        run: whether some profile executes it.
        certain: whether that is so even if what may be missing is thought of; always where it is executed.
        at_startup: whether it ran when a process started, and only then.
        lines: its executable lines.
        lines_run: those of them that some profile executes; None where lines were not recorded.
    """

    symbol: str
    module: str
    qualname: str
    line: int
    end_line: int
    file: str
    code: str
    run: bool
    certain: bool
    at_startup: bool
    lines: int
    lines_run: int | None


@dataclass(frozen=True, slots=True)
class EntryPointChange:
    """A route, job or command that other profiles reach than before, or a new one that none reaches.

    Attributes:
        service, kind, entry_point: what it is.
        exists: whether the application still has it; None where no URL map says so.
        is_new: whether a URL map has it that the earlier one did not have; None where one of them is unknown.
        difference: who reaches it.
    """

    service: str
    kind: str
    entry_point: str
    exists: bool | None
    is_new: bool | None
    difference: Difference


@dataclass(frozen=True, slots=True)
class ProfileChange:
    """What one profile gained and lost.

    Figures are None where they are not known: gains where earlier coverage of the profile may be missing, losses where
    later coverage may, lines also where a catalog is missing or lines were not recorded. Lines are compared in
    functions whose text is unchanged.

    Attributes:
        profile: its name.
        status: ``compared``, ``new`` where only the later one has it, ``not played`` where only the earlier one has.
        functions, functions_before: how many it executes; None where it was not played.
        functions_gained, functions_lost: how many of them differ.
        lines_gained, lines_lost: the same of lines.
        entry_points_gained, entry_points_lost: the same of routes, jobs and commands.
        functions_unknown: how many functions differ in a way that missing coverage may explain.
        reason: why something is unknown; else empty.
    """

    profile: str
    status: str
    functions: int | None
    functions_before: int | None
    functions_gained: int | None
    functions_lost: int | None
    functions_unknown: int
    lines_gained: int | None
    lines_lost: int | None
    entry_points_gained: int | None
    entry_points_lost: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class _Side:
    """One of the two, with profiles as bits."""

    queries: RevisionQueries
    bits: Mapping[str, int]
    played: int
    whole: int  # profiles of which all coverage arrived, and that did not fail
    complete: bool  # all of them, and nothing else is missing
    has_lines: bool  # lines were recorded of all of them

    @classmethod
    def of(cls, queries: RevisionQueries, bits: Mapping[str, int]) -> _Side:
        played = sum(bits[row["profile"]] for row in queries.leaderboard)
        sound = 0 if queries.damage else sum(bits[row["profile"]] for row in queries.leaderboard if not doubts(row))
        has_lines = all(row["lines"] is not None for row in queries.leaderboard)
        return cls(queries, bits, played, sound, queries.complete, has_lines)

    def mask(self, profiles: Iterable[str]) -> int:
        found = 0
        for name in profiles:
            found |= self.bits.get(name, 0)
        return found


@dataclass(frozen=True)
class Comparison:
    """What changed from a baseline.

    Attributes:
        now: the later revision or night.
        base: what it is compared with.
        code: what became of the functions' texts.
        functions: those that other profiles execute, or of which other lines are executed, by module and name.
        code_changes: functions that are new or changed, by module and line.
        entry_points: those that other profiles reach, or new ones.
        profiles: all of both, by name.
        lines_known: whether lines could be compared at all.
    """

    now: RevisionQueries
    base: RevisionQueries
    code: CodeChanges
    functions: tuple[FunctionChange, ...]
    code_changes: tuple[CodeChange, ...]
    entry_points: tuple[EntryPointChange, ...]
    profiles: tuple[ProfileChange, ...]
    lines_known: bool
    states: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def counts(self) -> dict[str, int | None]:
        """How many functions, lines and entry points were gained and lost, and how much of the code is new or changed.

        None for what is not known: without both catalogs what became of the code and of lines. Lost functions that
        the later catalog does not have are also counted apart.
        """
        overall = Counter((each.difference.change, each.difference.certain) for each in self.functions)
        entries = Counter((each.difference.change, each.difference.certain) for each in self.entry_points)
        code = Counter((each.code, each.run) for each in self.code_changes)

        def known(value: int, is_known: bool) -> int | None:
            return value if is_known else None

        return {
            "functions_gained": overall[GAINED, True],
            "functions_lost": overall[LOST, True],
            "functions_lost_removed": known(
                sum(1 for each in self.functions if each.difference.change == LOST and each.code == REMOVED),
                self.code.known,
            ),
            "functions_unknown": overall[GAINED, False] + overall[LOST, False],
            "lines_gained": known(sum(len(each.lines_gained) for each in self.functions), self.lines_known),
            "lines_lost": known(sum(len(each.lines_lost) for each in self.functions), self.lines_known),
            "lines_unknown": known(sum(len(each.lines_unknown) for each in self.functions), self.lines_known),
            "entry_points_gained": entries[GAINED, True],
            "entry_points_lost": entries[LOST, True],
            "entry_points_unknown": entries[GAINED, False] + entries[LOST, False],
            "entry_points_new_not_reached": sum(
                1 for each in self.entry_points if each.is_new and not each.difference.change
            ),
            "new_run": known(code[NEW, True], self.code.known),
            "new_not_run": known(code[NEW, False], self.code.known),
            "changed_run": known(code[CHANGED, True], self.code.known),
            "changed_not_run": known(code[CHANGED, False], self.code.known),
            "removed": known(len(self.code.removed), self.code.known),
        }


def compare(now: RevisionQueries, base: RevisionQueries) -> Comparison:
    """Compare two revisions or nights.

    Args:
        now: the later one.
        base: the earlier one, of the same store.

    Raises:
        StoreError: the engine refuses.
    """
    names = sorted({row["profile"] for side in (now, base) for row in side.leaderboard})
    bits = {name: 1 << number for number, name in enumerate(names)}
    later, earlier = _Side.of(now, bits), _Side.of(base, bits)
    differ = _Differ(names, later, earlier)
    catalog, catalog_before = now.catalog, base.catalog
    code = code_changes(catalog, catalog_before)
    executed, executed_before = _Executed.of(later), _Executed.of(earlier)
    lines, lines_before = (
        ExecutedLines(side.ask("executed-ranges").rows, bits, rows)
        for side, rows in ((now, catalog), (base, catalog_before))
    )
    lines_known = code.known and lines.any and lines_before.any
    line_changes = _LineChanges(differ)
    if lines_known:
        for each in line_differences(code.pairs, lines, lines_before):
            line_changes.add(each)
    functions = tuple(_functions(differ, code, executed, executed_before, line_changes))
    entry_points = tuple(_entry_points(differ, later, earlier))
    return Comparison(
        now,
        base,
        code,
        functions,
        tuple(_code_changes(code, executed, lines, complete=later.complete)),
        entry_points,
        tuple(_profiles(differ, code, executed, executed_before, line_changes, entry_points, lines_known)),
        lines_known,
        code.states,
    )


class _Differ:
    """Tells what is known of a difference."""

    def __init__(self, names: list[str], now: _Side, base: _Side) -> None:
        self.names, self.now, self.base = names, now, base
        self.both = now.played & base.played

    def masks(self, now: int, base: int, code: str = UNKNOWN) -> tuple[int, int, int]:
        """Who gained, who lost and who is unknown, among the profiles of both.

        Args:
            now: who executes it.
            base: who executed it.
            code: what became of it; nobody executed what is new, and nobody executes what was removed.
        """
        gained, lost = now & ~base & self.both, base & ~now & self.both
        known_gained = gained if code == NEW else gained & self.base.whole
        known_lost = lost if code == REMOVED else lost & self.now.whole
        return known_gained, known_lost, (gained | lost) & ~(known_gained | known_lost)

    def change(self, now: int, base: int, code: str = UNKNOWN) -> tuple[str, bool]:
        """What changed for all profiles together, and whether that is certain."""
        if bool(now) == bool(base):
            return "", True
        if now:
            return GAINED, code == NEW or self.base.complete
        # what was executed by a profile that was not played is not lost
        return LOST, code == REMOVED or (self.now.complete and not base & ~self.now.played)

    def difference(self, now: int, base: int, code: str = UNKNOWN) -> Difference:
        gained, lost, unknown = self.masks(now, base, code)
        change, certain = self.change(now, base, code)
        if change and not certain:  # by profiles of one revision alone
            unknown |= (now | base) & ~self.both
        elif change == GAINED:
            gained |= now & ~self.both
        elif change == LOST:
            lost |= base & ~self.both
        return Difference(change, certain, self.named(gained), self.named(lost), self.named(unknown))

    def named(self, mask: int) -> tuple[str, ...]:
        return tuple(self.names[number] for number in members(mask))


@dataclass(frozen=True, slots=True)
class _Executed:
    """Executed functions: profiles by name, and which symbol stands for a name."""

    profiles: dict[Name, int]
    symbols: dict[Name, Row]  # the first of each name: its symbol and line
    every: frozenset[str]

    @classmethod
    def of(cls, side: _Side) -> _Executed:
        profiles: dict[Name, int] = {}
        symbols: dict[Name, Row] = {}
        executed = side.queries.executed
        bits = [side.bits[name] for name in executed.profiles]
        places = zip(*(executed.table[column].to_pylist() for column in ("module", "qualname", "line")), strict=True)
        for symbol, (module, qualname, line), numbers in zip(executed.symbols, places, executed.by_symbol, strict=True):
            name = module, qualname
            profiles[name] = profiles.get(name, 0) | sum(bits[number] for number in numbers)
            if name not in symbols:
                symbols[name] = {"symbol": symbol, "line": line}
        return cls(profiles, symbols, frozenset(executed.symbols))


class _LineChanges:
    """Lines of unchanged functions that other profiles execute."""

    def __init__(self, differ: _Differ) -> None:
        self._differ = differ
        self.by_name: dict[Name, tuple[list[int], list[int], list[int]]] = {}  # gained, lost, unknown
        self.masks: Counter[tuple[int, int, str]] = Counter()  # by who executes the line now and who did

    def add(self, found: LineDifference) -> None:
        """Take in a line that other profiles execute."""
        self.masks[found.executes, found.executed, UNCHANGED] += 1
        change, certain = self._differ.change(found.executes, found.executed)
        if change:
            other = self._differ.base if change == GAINED else self._differ.now
            lists = self.by_name.setdefault(found.name, ([], [], []))
            lists[2 if not (certain and other.has_lines) else 0 if change == GAINED else 1].append(found.line)


def _functions(
    differ: _Differ, code: CodeChanges, executed: _Executed, before: _Executed, line_changes: _LineChanges
) -> Iterator[FunctionChange]:
    catalog = {(row["module"], row["qualname"]): row for row in code.removed}
    for symbol in reversed(code.now.values()):
        catalog[symbol["module"], symbol["qualname"]] = symbol
    for name in sorted({*executed.profiles, *before.profiles, *line_changes.by_name}):
        now, base = executed.profiles.get(name, 0), before.profiles.get(name, 0)
        state = code.of(name, executed.symbols.get(name))
        difference = differ.difference(now, base, state)
        gained, lost, unknown = (tuple(sorted(each)) for each in line_changes.by_name.get(name, ((), (), ())))
        if not (
            difference.change or difference.gained_by or difference.lost_by or difference.unknown
            or gained or lost or unknown
        ):  # fmt: skip
            continue
        known = catalog.get(name)
        row = executed.symbols.get(name) or known or before.symbols[name]
        yield FunctionChange(
            row["symbol"],
            *name,
            row["line"],
            known["file"] if known is not None else "",
            state,
            difference,
            gained,
            lost,
            unknown,
        )


def _code_changes(
    code: CodeChanges, executed: _Executed, lines: ExecutedLines, *, complete: bool
) -> Iterator[CodeChange]:
    run: dict[str, int] = {}  # by file
    for symbol, row in code.now.items():
        state = code.states[symbol]
        if state not in (NEW, CHANGED):
            continue
        if row["file"] not in run:
            run[row["file"]] = lines.together(row["file"])
        of_file = run[row["file"]]
        is_run = symbol in executed.every
        yield CodeChange(
            symbol,
            row["module"],
            row["qualname"],
            row["line"],
            row["end_line"],
            row["file"],
            state,
            is_run,
            is_run or complete,
            bool(row["at_startup"]),
            len(row["executable_lines"]),
            sum(of_file >> line & 1 for line in row["executable_lines"]) if lines.any else None,
        )


def _entry_points(differ: _Differ, now: _Side, base: _Side) -> Iterator[EntryPointChange]:
    reached, reached_before = (
        {_entry_point(row): side.mask(row["profiles"]) for row in side.queries.entry_points} for side in (now, base)
    )
    missed, missed_before = ({_entry_point(row) for row in side.queries.entry_point_gaps} for side in (now, base))
    mapped, mapped_before = (set(side.queries.url_maps) for side in (now, base))
    for key in sorted({*reached, *reached_before, *missed}):
        service, kind, name = key
        difference = differ.difference(reached.get(key, 0), reached_before.get(key, 0))
        was_there = key in reached_before or key in missed_before
        is_route = kind == "request"
        is_new = False if was_there else True if is_route and service in mapped_before else None
        there = key in reached or key in missed
        exists = True if there else False if is_route and service in mapped else None
        if difference.change or difference.gained_by or difference.lost_by or difference.unknown or is_new:
            yield EntryPointChange(service, kind, name, exists, is_new, difference)


def _entry_point(row: Row) -> tuple[str, str, str]:
    return str(row["service"]), str(row["kind"]), str(row["entry_point"])


def _profiles(
    differ: _Differ,
    code: CodeChanges,
    executed: _Executed,
    before: _Executed,
    line_changes: _LineChanges,
    entry_points: Iterable[EntryPointChange],
    lines_known: bool,
) -> Iterator[ProfileChange]:
    names = {*executed.profiles, *before.profiles}
    pairs = Counter(
        (executed.profiles.get(name, 0), before.profiles.get(name, 0), code.of(name, executed.symbols.get(name)))
        for name in names
    )
    functions = _by_profile(differ, pairs)
    lines = _by_profile(differ, line_changes.masks)
    gained = Counter(name for each in entry_points for name in each.difference.gained_by)
    lost = Counter(name for each in entry_points for name in each.difference.lost_by)
    rows = {row["profile"]: row for row in differ.now.queries.leaderboard}
    rows_before = {row["profile"]: row for row in differ.base.queries.leaderboard}
    for number, name in enumerate(differ.names):
        row, was = rows.get(name), rows_before.get(name)
        bit = 1 << number
        status = ADDED if was is None else ABSENT if row is None else COMPARED
        is_compared = status == COMPARED
        knows_gains, knows_losses = (
            is_compared and bool(differ.base.whole & bit),
            is_compared and bool(differ.now.whole & bit),
        )
        has_lines = lines_known and all(each is not None and each["lines"] is not None for each in (row, was))
        reasons = (
            []
            if not is_compared
            else [
                f"{when}: {why}"
                for when, why in (("now", _reason(differ.now, row)), ("baseline", _reason(differ.base, was)))
                if why
            ]
        )
        yield ProfileChange(
            profile=name,
            status=status,
            functions=None if row is None else row["functions"],
            functions_before=None if was is None else was["functions"],
            functions_gained=functions[number][0] if knows_gains else None,
            functions_lost=functions[number][1] if knows_losses else None,
            functions_unknown=functions[number][2],
            lines_gained=lines[number][0] if knows_gains and has_lines else None,
            lines_lost=lines[number][1] if knows_losses and has_lines else None,
            entry_points_gained=gained[name] if knows_gains else None,
            entry_points_lost=lost[name] if knows_losses else None,
            reason="; ".join(reasons),
        )  # fmt: skip


def _reason(side: _Side, row: Row | None) -> str:
    return (doubts(row) if row is not None else "") or " ".join(side.queries.damage)


def _by_profile(differ: _Differ, pairs: Mapping[tuple[int, int, str], int]) -> list[tuple[int, int, int]]:
    """How often each profile gained, lost or may have, by its number."""
    found = [[0, 0, 0] for _ in differ.names]
    for (now, base, code), count in pairs.items():
        for place, mask in enumerate(differ.masks(now, base, code)):
            for number in members(mask):
                found[number][place] += count
    return [(gained, lost, unknown) for gained, lost, unknown in found]
