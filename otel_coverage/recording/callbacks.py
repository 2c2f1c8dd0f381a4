"""The callbacks of engine ``monitoring``, in Python: what ran in which recording, and which events are still needed.

Tool ids, locks and names are left to :mod:`otel_coverage.recording.monitoring`; ``csrc/`` has the same class in C.

The rules:

- Code starts (or resumes) in a recording: the recording has entered the code. If this is its first entry, and the code
  is *dirty* (the event of some line was disabled since the code was last armed), the code is rearmed first. The start
  event is disabled only when every active recording has entered the code and has run the line that the start stands
  for, if any.
- A line of code runs in a recording that has entered the code: it is recorded. Its event is disabled only when every
  active recording that has entered the code has run the line; the code is then dirty.
- A recording begins: it becomes active, then all code whose start event is disabled is rearmed.

A decision and the DISABLE that follows from it must be one step as seen by other threads. The interpreter switches
threads only at calls and at backward jumps: from the last check to the return there is neither, only loads, stores,
integer arithmetic and lookups of integers in dicts. Several calls become one step when one C function makes them all:
see ``_at_once``.

A signal handler or a garbage collection that the interpreter starts inside one of these callbacks is not recorded,
because events are off there. The callbacks in C do not have that gap.

Lines marked with ``# rule:`` are changed by ``tests/recording/mutations.py``, to prove that the tests notice.
"""

# ruff: noqa: SIM401  (dict.get is a call, at which other threads may run)

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
from typing import Any, ClassVar

from otel_coverage.recording.branch_edges import EdgeCallbacks
from otel_coverage.recording.bytecode import RESUME, is_interpreted, offset_after
from otel_coverage.recording.executed import Executed
from otel_coverage.recording.known_sets import FilesRead
from otel_coverage.recording.recording import NO_SLOT, RecordingSlot

_CLEAN = -1
_DISABLE = sys.monitoring.DISABLE
_RESUME_KIND = 3  # the bits of RESUME's argument that say where it stands; 0: at the start
_HANDLERS = (opmap["PUSH_EXC_INFO"], opmap["CLEANUP_THROW"])
_NOTHING_RUNS = -1


class CodeState:
    """What is known of one code object of the application.

    Attributes:
        reference: the code object, which may be freed when nobody runs it any more.
        entered: bits of the recordings that entered the code.
        lines: for each line (or branch edge, by its id), bits of the recordings that ran it.
        dirty: the epoch in which the event of a line was disabled; the code is dirty while that epoch lasts.
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


class Callbacks(EdgeCallbacks):
    """What ran in which recording, and which events are still needed.

    Args:
        tool: id of the tool with local events on the application's code.
        events: those events.
        variable: holds the recording that runs, or a mapping with the recording under ``key``.
        key: the recording's key in that mapping.
        should_trace: whether the file of that name belongs to the application.
        single_tool: the tool discovers code too, by global start events. Setting local events cannot rearm these; only
            ``restart_events()`` can.

    Attributes:
        restart_above: rearm by ``restart_events()`` where more than this share of the code that the process runs is to
            be rearmed. To rearm one code object takes about 2 µs; a restart 0.5 µs for each one that the process runs,
            libraries' too. The callbacks in C never restart for speed: there, rearming one takes less than 1 µs.
    """

    restart_above: ClassVar[float] = 0.4

    def __init__(
        self,
        *,
        tool: int,
        events: int,
        variable: ContextVar[Any],
        key: str | None,
        should_trace: Callable[[str], bool],
        single_tool: bool = False,
    ) -> None:
        self._tool = tool
        self._events = events
        self._by_line = bool(events & sys.monitoring.events.LINE)
        self._get = variable.get
        self._key = key
        self._should_trace = should_trace
        self._single_tool = single_tool
        self._traced_files: dict[str, bool] = {}
        self._states: dict[int, CodeState] = {}
        self._disabled: dict[int, CodeState] = {}  # code with a start event that is disabled
        self._active = 0
        self._taken = 0  # bits of the active recordings, and of ended ones until nothing has their bit any more
        self._epoch = 0
        self._started = 0  # global start events since the last restart: how much code the process runs
        self._started_before = 0
        self._can_restart = True

    # --- what the interpreter calls

    def on_start(self, code: CodeType, offset: int) -> object:
        """PY_START and PY_RESUME: local, or global where there is a single tool.

        Args:
            code: what starts or resumes.
            offset: that of the instruction that it starts at; from :meth:`on_throw`, an offset's complement.
        """
        identity = id(code)
        if identity not in self._states and not self._discover(code):
            return _DISABLE
        if identity not in self._states:
            return None  # the engine was closed by another thread
        state = self._states[identity]
        line = 0
        if self._by_line:
            known = state.entry_lines
            line = known[offset] if offset in known else _find_entry_line(known, code, offset)
        found = self._get(None)
        key = self._key
        if key is not None and found is not None:
            found = found[key] if key in found else None
        slot = NO_SLOT if found is None else found.slot
        while slot.bit & ~state.entered and state.dirty == self._epoch:  # rule: rearm-on-entry, rearm-before-entry
            self._rearm(state, code)
        # one step from here on
        bit = slot.bit  # rule: rearm-before-entry/from
        seen = state.entered
        if bit & ~seen:  # rule: rearm-before-entry/to
            state.entered = seen = seen | bit
            slot.entered[identity] = code
        if line:
            lines = state.lines
            ran = lines[line] if line in lines else 0
            if bit & ~ran:
                lines[line] = ran = ran | bit
            seen &= ran  # rule: start-needs-its-line
        if self._active & ~seen:  # rule: start-needs-all-active
            return None
        self._disabled[identity] = state
        return _DISABLE

    def on_line(self, code: CodeType, line: int) -> object:
        """Local LINE."""
        found = self._get(None)
        key = self._key
        if key is not None and found is not None:
            found = found[key] if key in found else None
        slot = NO_SLOT if found is None else found.slot
        identity = id(code)
        if identity not in self._states:
            return None
        state = self._states[identity]
        # one step from here on
        entered = state.entered
        lines = state.lines
        ran = lines[line] if line in lines else 0
        if slot.bit & entered & ~ran:  # rule: lines-need-entry
            lines[line] = ran = ran | slot.bit
        if self._active & entered & ~ran:  # rule: line-needs-all-active
            return None
        state.dirty = self._epoch  # rule: disabled-line-is-dirty, disabled-edge-is-dirty
        return _DISABLE

    def on_discovery(self, code: CodeType, offset: int) -> object:
        """Global PY_START and PY_RESUME of the discovering tool: once for each offset at which code starts."""
        self._started += 1
        if self._discover(code):
            self.on_start(code, offset)  # rule: discovery-is-entry, discovery-rearms
        return _DISABLE

    def on_throw(self, code: CodeType, offset: int, exception: BaseException) -> None:
        """Global PY_THROW: a resumption by an exception. Up to 3.14 it must not answer DISABLE."""
        identity = id(code)
        if self._discover(code) and identity in self._states:
            known = self._states[identity].entry_lines
            line = known[~offset] if ~offset in known else _find_thrown_line(known, code, offset)
            if line != _NOTHING_RUNS:
                self.on_start(code, ~offset)

    # --- what the engine calls, under its lock

    def begin(self) -> RecordingSlot:
        """Open the slot of a new active recording. When this returns, all code that it runs will be recorded.

        Raises:
            OverflowError: there is a single tool, and the interpreter has made all the restarts that it can.
        """
        slot = RecordingSlot()
        taken = self._taken  # one step from here on
        bit = ~taken & (taken + 1)
        slot.bit = bit
        self._taken = taken | bit
        self._active |= bit  # rule: active-before-rearm/activate
        # From here on no start event is disabled before the new recording has entered the code.
        try:
            self._rearm_all()  # rule: begin-rearms, active-before-rearm
        except BaseException:
            self.end(slot)
            raise
        return slot

    def read(self, slot: RecordingSlot) -> list[tuple[CodeType, list[int]]]:
        """The code objects that an active recording entered, each with the lines that it ran."""
        bit = slot.bit
        return [
            (code, [line for line, ran in list(self._states[identity].lines.items()) if ran & bit])
            for identity, code in list(slot.entered.items())
        ]

    def end(self, slot: RecordingSlot) -> list[tuple[CodeType, list[int]]]:
        """Close a recording's slot and return its last :meth:`read`; nothing of it is kept here."""
        bit = slot.bit  # one step from here on
        if not bit:
            return []
        self._active &= ~bit
        slot.bit = 0
        entered = []
        for identity, code in slot.entered.items():
            state = self._states[identity]
            state.entered &= ~bit  # rule: end-clears-entered
            lines = state.lines
            ran_here = []
            for line in list(lines):
                ran = lines[line]
                if ran & bit:
                    lines[line] = ran & ~bit  # rule: end-clears-lines
                    ran_here.append(line)
            entered.append((code, ran_here))
        slot.entered = {}
        self._taken &= ~bit
        return entered

    def read_by_file(self, slot: RecordingSlot, _known: dict[bytes, Executed]) -> FilesRead:
        """As :meth:`read`; the callbacks in C answer file by file, with what ``_known`` has where it has it."""
        return _without_key(self.read(slot))

    def end_by_file(self, slot: RecordingSlot, _known: dict[bytes, Executed]) -> FilesRead:
        """As :meth:`end`, in the form of :meth:`read_by_file`."""
        return _without_key(self.end(slot))

    def reset(self, slots: Iterable[RecordingSlot]) -> None:
        """Close all slots, as a forked child has to; events stay enabled or disabled as they are."""
        if not self._taken:
            return  # nothing has a bit
        self._active = self._taken = 0
        for slot in slots:
            slot.bit = 0
            slot.entered = {}
        for state in self._states.values():
            state.entered = 0
            state.lines = {}

    def disarm(self) -> None:
        """Set every code object's local events to 0."""
        for state in list(self._states.values()):
            code = state.reference()
            if code is not None:
                sys.monitoring.set_local_events(self._tool, code, 0)
        self._states.clear()
        self._disabled.clear()

    # --- discovery and rearming

    def _discover(self, code: CodeType) -> bool:
        """Set the local events of the application's code; False for all other code."""
        filename = code.co_filename
        traced = self._traced_files[filename] if filename in self._traced_files else self._look_up(filename)
        if not traced or not is_interpreted(code):  # rule: compiled-code-is-ignored
            return False
        identity = id(code)
        if identity not in self._states:
            try:  # rule: armed-before-known
                sys.monitoring.set_local_events(self._tool, code, self._events)
            except (ValueError, SystemError):
                return False  # the interpreter refuses to instrument it, whoever compiled it
            self._states.setdefault(  # rule: armed-before-known/known
                identity, CodeState(code, partial(self._forget, identity))
            )
        return True

    def _look_up(self, filename: str) -> bool:
        traced = self._traced_files[filename] = self._should_trace(filename)
        return traced

    def _forget(self, identity: int, _reference: weakref.ref[CodeType]) -> None:
        """The code object is being freed, and its ``id()`` with it."""
        self._disabled.pop(identity, None)  # rule: freed-code-is-forgotten
        self._states.pop(identity, None)  # rule: freed-code-is-forgotten

    def _rearm(self, state: CodeState, code: CodeType) -> None:
        """Set the local events to 0 and back, which enables those that were disabled; the code is then not dirty."""
        set_local_events = sys.monitoring.set_local_events
        _at_once(
            (
                (set_local_events, self._tool, code, 0),
                (set_local_events, self._tool, code, self._events),
                (setattr, state, "dirty", _CLEAN),
            )
        )

    def _rearm_all(self) -> None:
        """Rearm all code whose start event is disabled, the cheaper way."""
        disabled = self._disabled
        if not disabled:
            return
        running = max(self._started, self._started_before)
        if self._single_tool or (self._can_restart and len(disabled) > running * self.restart_above):
            try:
                _at_once(
                    (
                        (sys.monitoring.restart_events,),
                        (setattr, self, "_epoch", self._epoch + 1),  # rule: epoch-ends-with-restart
                        (disabled.clear,),
                    )
                )
            except OverflowError:
                if self._single_tool:
                    raise
                self._can_restart = False
            else:
                self._started_before, self._started = running, 0
                return
        for identity, state in list(disabled.items()):
            code = state.reference()
            if code is not None:
                self._rearm(state, code)
            disabled.pop(identity, None)


def _without_key(entered: list[tuple[CodeType, list[int]]]) -> FilesRead:
    return [(b"", [code for code, _ in entered], [lines for _, lines in entered])]


def _find_entry_line(known: dict[int, int], code: CodeType, offset: int) -> int:
    """The line that starting or resuming at ``offset`` runs, where it may have no LINE event; 0 for none.

    A body on the ``def`` line has no LINE event of its own on 3.13 and later, and what follows a ``yield`` on its line
    has none anywhere.
    """
    line = _line_at(code, offset)
    instructions = code.co_code
    if instructions[offset] == RESUME and not instructions[offset + 1] & _RESUME_KIND:  # rule: resuming-runs-its-line
        body = offset_after(instructions, offset)
        line = line if _line_at(code, body) == line else 0  # rule: one-line-body-runs-its-line
    known[offset] = line
    return line


def _find_thrown_line(known: dict[int, int], code: CodeType, offset: int) -> int:
    """The line that an exception thrown in at ``offset`` runs, if anything of the code then runs."""
    is_handled = _runs_when_thrown_into(code, offset)
    line = known[~offset] = _line_at(code, offset) if is_handled else _NOTHING_RUNS  # rule: uncaught-throw-runs-nothing
    return line


def _runs_when_thrown_into(code: CodeType, offset: int) -> bool:
    """Whether the source handles the exception: by ``except``, ``finally``, ``with`` or ``await``.

    Other handlers only clean up and raise it again, for the next one to handle: those of ``except`` blocks, and the one
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
        if instructions[target] in _HANDLERS:  # rule: cleanup-runs-nothing
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
    deque(starmap(call, calls), maxlen=0)  # rule: rearming-is-one-step
