"""What the interpreter calls, and what the calls decide: the heart of engine ``monitoring``, in Python.

Nothing but this file knows which events are switched off. Its two classes are all that an implementation in C has to
replace; tool ids, locks, forks and names are handled by :mod:`otel_coverage.recording.monitoring`.

The rules:

- A start (or resumption) of code in a recording: the recording has entered the code. If that is news, and the code is
  *dirty* (some line of it was switched off since it was last armed), it is armed anew first. The event is switched off
  only when every active recording has entered the code, and seen the line that the start stands for, if any.
- A line of code in a recording that has entered the code: seen. The event is switched off only when every active
  recording that has entered the code has seen the line; the code is dirty then.
- A way out of an instruction (a branch to the left or right, a return), where those are wanted: as a line.
- A recording begins: it joins the active ones, then all code whose start was switched off is armed anew.

A decision and the DISABLE that follows from it must be one step as seen by other threads. The interpreter lets another
thread in only at calls and at backward jumps: from the last check to the return there is neither, only loads, stores,
integer arithmetic and lookups of integers in dicts. Several calls become one step when one C function makes them all:
that is what ``_at_once`` is for.

A signal handler or a garbage collection that the interpreter starts from inside one of these callbacks runs unseen,
because events are off there. Callbacks in C do not have that gap.
"""

# ruff: noqa: SIM401  (dict.get is a call, and so lets other threads in)

from __future__ import annotations

import sys
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from functools import partial
from itertools import batched, starmap
from opcode import opmap
from operator import call
from types import CodeType
from typing import Any

from otel_coverage.recording.bytecode import RESUME, is_interpreted, offset_after
from otel_coverage.recording.mark import NO_MARK, Mark
from otel_coverage.recording.ways import LEFT, OUT, RIGHT, way

_CLEAN = -1
_DISABLE = sys.monitoring.DISABLE
_RESUME_PLACE = 3  # the bits of RESUME's argument that say where it stands; 0: at the start
_HANDLERS = (opmap["PUSH_EXC_INFO"], opmap["CLEANUP_THROW"])
_NOTHING_RUNS = -1


class Watched:
    """One code object of the application.

    Attributes:
        reference: the code object, which is free to go away when nobody runs it any more.
        entered: bits of the recordings that entered the code.
        lines: for each line, bits of the recordings that ran it; for each way out of an instruction, of those that
            took it.
        dirty: the epoch in which a line was switched off; the code is dirty while that epoch lasts.
        entry_lines: for each offset at which the code starts or resumes, the line that this stands for, 0 for none; for
            each offset at which an exception was thrown in, the same under the offset's complement.
    """

    __slots__ = ("dirty", "entered", "entry_lines", "lines", "reference")

    def __init__(self, code: CodeType, forget: Callable[[weakref.ref[CodeType]], object]) -> None:
        self.reference = weakref.ref(code, forget)
        self.entered = 0
        self.lines: dict[int, int] = {}
        self.dirty = _CLEAN
        self.entry_lines: dict[int, int] = {}


class Callbacks:
    """Which recording runs what, and which events are still needed to know it.

    Args:
        tool: id of the tool with local events on the application's code.
        events: those events.
        variable: holds the recording that runs, or a mapping with the recording under ``key``.
        key: the recording's key in that mapping.
        is_wanted: whether the file of that name belongs to the application.
        restart_above: arm by a restart where more than this share of the code that the process runs is to be armed.
        alone: the tool discovers too, by global start events: local events cannot arm starts anew, restarts have to.
    """

    def __init__(
        self,
        *,
        tool: int,
        events: int,
        variable: ContextVar[Any],
        key: str | None,
        is_wanted: Callable[[str], bool],
        restart_above: float,
        alone: bool = False,
    ) -> None:
        self._tool = tool
        self._events = events
        self._by_line = bool(events & sys.monitoring.events.LINE)
        self._get = variable.get
        self._key = key
        self._is_wanted = is_wanted
        self._restart_above = restart_above
        self._alone = alone
        self._wanted: dict[str, bool] = {}
        self._watched: dict[int, Watched] = {}
        self._off: dict[int, Watched] = {}  # code with a start that is switched off
        self._active = 0
        self._taken = 0  # bits of the active recordings and of those whose traces are still being removed
        self._epoch = 0
        self._started = 0  # global start events since the last restart: how much code the process runs
        self._started_before = 0
        self._can_restart = True

    # --- what the interpreter calls

    def on_start(self, code: CodeType, place: int) -> object:
        """PY_START and PY_RESUME: local, or, where one tool does everything, global.

        Args:
            code: what starts or resumes.
            place: the offset of the instruction that it starts at; or, from :meth:`on_throw`, an offset's complement.
        """
        identity = id(code)
        if identity not in self._watched and not self._discover(code):
            return _DISABLE
        if identity not in self._watched:
            return None  # the engine was closed meanwhile
        watched = self._watched[identity]
        line = 0
        if self._by_line:
            known = watched.entry_lines
            line = known[place] if place in known else _find_entry_line(known, code, place)
        found = self._get(None)
        key = self._key
        if key is not None and found is not None:
            found = found[key] if key in found else None
        mark = NO_MARK if found is None else found.mark
        while mark.bit & ~watched.entered and watched.dirty == self._epoch:
            self._rearm(watched, code)
        # one step from here on
        bit = mark.bit
        seen = watched.entered
        if bit & ~seen:
            watched.entered = seen = seen | bit
            mark.entered[identity] = code
        if line:
            lines = watched.lines
            ran = lines[line] if line in lines else 0
            if bit & ~ran:
                lines[line] = ran = ran | bit
            seen &= ran
        if self._active & ~seen:
            return None
        self._off[identity] = watched
        return _DISABLE

    def on_line(self, code: CodeType, line: int) -> object:
        """Local LINE."""
        found = self._get(None)
        key = self._key
        if key is not None and found is not None:
            found = found[key] if key in found else None
        mark = NO_MARK if found is None else found.mark
        identity = id(code)
        if identity not in self._watched:
            return None
        watched = self._watched[identity]
        # one step from here on
        entered = watched.entered
        lines = watched.lines
        ran = lines[line] if line in lines else 0
        if mark.bit & entered & ~ran:
            lines[line] = ran = ran | mark.bit
        if self._active & entered & ~ran:
            return None
        watched.dirty = self._epoch
        return _DISABLE

    # A call of a Python function is no let-in on its way back: what on_line answers is still one step with its reasons.

    def on_left(self, code: CodeType, offset: int, _target: int) -> object:
        """Local BRANCH_LEFT."""
        return self.on_line(code, way(offset, LEFT))

    def on_right(self, code: CodeType, offset: int, _target: int) -> object:
        """Local BRANCH_RIGHT."""
        return self.on_line(code, way(offset, RIGHT))

    def on_return(self, code: CodeType, offset: int, _value: object) -> object:
        """Local PY_RETURN."""
        return self.on_line(code, way(offset, OUT))

    def on_discovery(self, code: CodeType, offset: int) -> object:
        """Global PY_START and PY_RESUME of the discovering tool: once for each place where code starts."""
        self._started += 1
        if self._discover(code):
            self.on_start(code, offset)
        return _DISABLE

    def on_throw(self, code: CodeType, offset: int, exception: BaseException) -> None:
        """Global PY_THROW: a resumption by an exception. Up to 3.14 it must not answer DISABLE."""
        identity = id(code)
        if self._discover(code) and identity in self._watched:
            known = self._watched[identity].entry_lines
            line = known[~offset] if ~offset in known else _find_thrown_line(known, code, offset)
            if line != _NOTHING_RUNS:
                self.on_start(code, ~offset)

    # --- what the engine calls, under its lock

    def join(self) -> Mark:
        """A new active recording. When this returns, whatever it starts will be seen.

        Raises:
            OverflowError: only a restart could arm what it starts, and the interpreter has made all it can.
        """
        mark = Mark()
        taken = self._taken  # one step from here on
        bit = ~taken & (taken + 1)
        mark.bit = bit
        self._taken = taken | bit
        self._active |= bit
        # From here on no start is switched off before the new recording has entered the code.
        try:
            self._arm_all()
        except BaseException:
            self.leave(mark)
            raise
        return mark

    def read(self, mark: Mark) -> list[tuple[CodeType, list[int]]]:
        """The code that an active recording entered, with the lines that it ran and the ways that it took."""
        bit = mark.bit
        return [
            (code, [line for line, ran in list(self._watched[identity].lines.items()) if ran & bit])
            for identity, code in list(mark.entered.items())
        ]

    def leave(self, mark: Mark) -> list[tuple[CodeType, list[int]]]:
        """End a recording: its last :meth:`read`; nothing of it stays here."""
        bit = mark.bit  # one step from here on
        if not bit:
            return []
        self._active &= ~bit
        mark.bit = 0
        left = []
        for identity, code in mark.entered.items():
            watched = self._watched[identity]
            watched.entered &= ~bit
            lines = watched.lines
            mine = []
            for line in list(lines):
                ran = lines[line]
                if ran & bit:
                    lines[line] = ran & ~bit
                    mine.append(line)
            left.append((code, mine))
        mark.entered = {}
        self._taken &= ~bit
        return left

    def reset(self, marks: Iterable[Mark]) -> None:
        """Forget every recording, as a forked child has to; what is switched on and off stays as it is."""
        self._active = self._taken = 0
        for mark in marks:
            mark.bit = 0
            mark.entered = {}
        for watched in self._watched.values():
            watched.entered = 0
            watched.lines = {}

    def disarm(self) -> None:
        """Take every local event off."""
        for watched in list(self._watched.values()):
            code = watched.reference()
            if code is not None:
                sys.monitoring.set_local_events(self._tool, code, 0)
        self._watched.clear()
        self._off.clear()

    # --- arming

    def _discover(self, code: CodeType) -> bool:
        """Switch the local events of the application's code on; False for everybody else's."""
        filename = code.co_filename
        wanted = self._wanted[filename] if filename in self._wanted else self._look_up(filename)
        if not wanted or not is_interpreted(code):
            return False
        identity = id(code)
        if identity not in self._watched:
            try:
                sys.monitoring.set_local_events(self._tool, code, self._events)
            except (ValueError, SystemError):
                return False  # code that is not to be instrumented, whoever compiled it
            self._watched.setdefault(identity, Watched(code, partial(self._forget, identity)))
        return True

    def _look_up(self, filename: str) -> bool:
        wanted = self._wanted[filename] = self._is_wanted(filename)
        return wanted

    def _forget(self, identity: int, _reference: weakref.ref[CodeType]) -> None:
        """The code object is being freed, and its ``id()`` with it."""
        self._off.pop(identity, None)
        self._watched.pop(identity, None)

    def _rearm(self, watched: Watched, code: CodeType) -> None:
        """The local events to 0 and back, and the dirty mark off."""
        set_local_events = sys.monitoring.set_local_events
        _at_once(
            (
                (set_local_events, self._tool, code, 0),
                (set_local_events, self._tool, code, self._events),
                (setattr, watched, "dirty", _CLEAN),
            )
        )

    def _arm_all(self) -> None:
        """Arm all code whose start is switched off, the cheaper way."""
        off = self._off
        if not off:
            return
        running = max(self._started, self._started_before)
        if self._alone or (self._can_restart and len(off) > running * self._restart_above):
            try:
                _at_once(((sys.monitoring.restart_events,), (setattr, self, "_epoch", self._epoch + 1), (off.clear,)))
            except OverflowError:
                if self._alone:
                    raise
                self._can_restart = False
            else:
                self._started_before, self._started = running, 0
                return
        for identity, watched in list(off.items()):
            code = watched.reference()
            if code is not None:
                self._rearm(watched, code)
            off.pop(identity, None)


def _find_entry_line(known: dict[int, int], code: CodeType, offset: int) -> int:
    """The line that starting or resuming at ``offset`` runs, where no LINE event has to tell of it.

    A body on the ``def`` line has no LINE event of its own on 3.13 and later, and what follows a ``yield`` on its line
    has none anywhere.
    """
    line = _line_at(code, offset)
    instructions = code.co_code
    if instructions[offset] == RESUME and not instructions[offset + 1] & _RESUME_PLACE:
        body = offset_after(instructions, offset)
        line = line if _line_at(code, body) == line else 0
    known[offset] = line
    return line


def _find_thrown_line(known: dict[int, int], code: CodeType, offset: int) -> int:
    """The line at which an exception thrown in at ``offset`` is met, if anything of the code then runs."""
    line = known[~offset] = _line_at(code, offset) if _runs_when_thrown_into(code, offset) else _NOTHING_RUNS
    return line


def _runs_when_thrown_into(code: CodeType, offset: int) -> bool:
    """Whether the exception is handled by what somebody wrote: ``except``, ``finally``, ``with`` or ``await``.

    Other handlers only tidy up and raise it again, for the next one to handle: those of ``except`` blocks, and the one
    that every generator has for its whole body and StopIteration.
    """
    ranges = list(exception_ranges(code))
    instructions = code.co_code
    if instructions[offset] == RESUME:
        offset -= 2  # from 3.13 on events name the RESUME, while it is the YIELD_VALUE before it that raises
    passed = set()
    while offset not in passed:
        passed.add(offset)
        target = next((target for start, end, target in ranges if start <= offset < end), None)
        if target is None:
            return False
        if instructions[target] in _HANDLERS:
            return True
        offset = target
    return False


def _line_at(code: CodeType, offset: int) -> int:
    """The line of the instruction at ``offset``, 0 for none."""
    return next((line or 0 for start, end, line in code.co_lines() if start <= offset < end), 0)


def exception_ranges(code: CodeType) -> Iterator[tuple[int, int, int]]:
    """Start and end of each range of offsets that has an exception handler, and the handler's offset.

    The table holds for each range start, length, handler and depth, counted in instructions, as numbers of six bits a
    byte, highest first, all bytes but a number's last with bit 6 set.
    """
    numbers: list[int] = []
    number = 0
    for byte in code.co_exceptiontable:
        number = number << 6 | byte & 0x3F
        if not byte & 0x40:
            numbers.append(number)
            number = 0
    for start, length, target, _depth in batched(numbers, 4):
        yield start * 2, (start + length) * 2, target * 2


def _at_once(calls: Iterable[tuple[Any, ...]]) -> None:
    """Make these calls of C functions, with no other thread in between."""
    deque(starmap(call, calls), maxlen=0)
