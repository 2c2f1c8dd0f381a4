"""Proof that the recorder's tests bite: each rule taken out of the recorder has to make them fail.

``python -m tests.recording.mutations`` copies the package and the tests, takes out one rule at a time, runs the tests
of ``tests/recording`` on the copy, and says which rules nobody would miss. ``--list`` names the rules; names given as
arguments choose some.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Mutation:
    """A rule, and how to take it out of the source.

    Attributes:
        since: the first CPython on which the rule does anything.
    """

    name: str
    file: str
    old: str
    new: str
    since: tuple[int, int] = (3, 12)

    def apply(self, root: Path) -> None:
        """Take the rule out of the copy at ``root``."""
        path = root / "otel_coverage" / "recording" / self.file
        text = path.read_text(encoding="utf-8")
        assert text.count(self.old) == 1, f"{self.name}: {self.file} holds {text.count(self.old)} of {self.old!r}"
        path.write_text(text.replace(self.old, self.new), encoding="utf-8")


MUTATIONS: tuple[Mutation, ...] = (
    Mutation(
        "dirty code is armed anew on a recording's first entry",
        "callbacks.py",
        "while mark.bit & ~watched.entered and watched.dirty == self._epoch:",
        "while False:",
    ),
    Mutation(
        "code with a line switched off is dirty",
        "callbacks.py",
        "        watched.dirty = self._epoch\n        return _DISABLE",
        "        return _DISABLE",
    ),
    Mutation(
        "arming anew is one step",
        "callbacks.py",
        "    deque(starmap(call, calls), maxlen=0)",
        "    for function, *arguments in calls:\n"
        "        deque(map(id, range(100)), maxlen=0)\n"
        "        function(*arguments)",
    ),
    Mutation(
        "a recording has entered code only once it is armed",
        "callbacks.py",
        "        while mark.bit & ~watched.entered and watched.dirty == self._epoch:\n",
        "        if mark.bit & ~watched.entered and watched.dirty == self._epoch:\n"
        "            watched.entered |= mark.bit\n"
        "            mark.entered[identity] = code\n"
        "            deque(map(id, range(100)), maxlen=0)\n"
        "            self._rearm(watched, code)\n"
        "        while False:\n",
    ),
    Mutation(
        "an epoch ends with the restart, not before",
        "callbacks.py",
        "                _at_once(((sys.monitoring.restart_events,),",
        '                _at_once(((setattr, self, "_epoch", self._epoch + 1),))\n'
        "                deque(map(id, range(100)), maxlen=0)\n"
        "                _at_once(((sys.monitoring.restart_events,),",
    ),
    Mutation(
        "a recording begins by arming what is off",
        "callbacks.py",
        "            self._arm_all()\n",
        "            pass\n",
    ),
    Mutation(
        "a recording is active before what is off is armed",
        "callbacks.py",
        "        self._active |= bit\n",
        "        self._arm_all()\n        self._active |= bit\n        self._off.clear()\n",
    ),
    Mutation(
        "starts are switched off only when every active recording has entered",
        "callbacks.py",
        "        if self._active & ~seen:\n",
        "        if bit & ~seen:\n",
    ),
    Mutation(
        "starts are switched off only when every active recording has seen the line that they stand for",
        "callbacks.py",
        "            seen &= ran\n",
        "",
    ),
    Mutation(
        "lines are switched off only when every active recording that entered has seen them",
        "callbacks.py",
        "        if self._active & entered & ~ran:\n",
        "        if mark.bit & entered & ~ran:\n",
    ),
    Mutation(
        "lines belong to recordings that entered their code",
        "callbacks.py",
        "        if mark.bit & entered & ~ran:\n            lines[line]",
        "        if mark.bit & ~ran:\n            lines[line]",
    ),
    Mutation(
        "discovery counts as an entry",
        "callbacks.py",
        "        if self._discover(code):\n            self.on_start(code, offset)\n        return _DISABLE",
        "        self._discover(code)\n        return _DISABLE",
    ),
    Mutation(
        "discovery looks whether the code is dirty",
        "callbacks.py",
        "        if self._discover(code):\n            self.on_start(code, offset)\n        return _DISABLE",
        "        if self._discover(code):\n"
        "            recording = self._get(None)\n"
        "            if recording is not None and recording.mark.bit:\n"
        "                self._watched[id(code)].entered |= recording.mark.bit\n"
        "                recording.mark.entered[id(code)] = code\n"
        "        return _DISABLE",
    ),
    Mutation(
        "code is known only once it is armed",
        "callbacks.py",
        "        if identity not in self._watched:\n            try:\n",
        "        if identity not in self._watched:\n"
        "            self._watched.setdefault(identity, Watched(code, partial(self._forget, identity)))\n"
        "            deque(map(id, range(100)), maxlen=0)\n"
        "            try:\n",
    ),
    Mutation(
        "bodies on the def line count as their line",
        "callbacks.py",
        "line = line if _line_at(code, body) == line else 0",
        "line = 0",
    ),
    Mutation(
        "resuming counts as the line that is resumed",
        "callbacks.py",
        "    if instructions[offset] == RESUME and not instructions[offset + 1] & _RESUME_PLACE:",
        "    if instructions[offset + 1] & _RESUME_PLACE:\n        line = 0\n    elif instructions[offset] == RESUME:",
    ),
    Mutation(
        "an exception that nothing can catch resumes nothing",
        "callbacks.py",
        "if _runs_when_thrown_into(code, offset) else _NOTHING_RUNS",
        "if True else _NOTHING_RUNS",
    ),
    Mutation(
        "handlers that only tidy up run nothing",
        "callbacks.py",
        "        if instructions[target] in _HANDLERS:\n",
        "        if True:\n",
    ),
    Mutation(
        "local starts", "monitoring.py", "events=(0 if alone else starts)", "events=(0 if alone else events.PY_RESUME)"
    ),
    Mutation(
        "local resumptions",
        "monitoring.py",
        "events=(0 if alone else starts)",
        "events=(0 if alone else events.PY_START)",
    ),
    Mutation(
        "starts discover",
        "monitoring.py",
        "starts | events.PY_THROW)",
        "(starts if alone else events.PY_RESUME) | events.PY_THROW)",
    ),
    Mutation(
        "resumptions discover",
        "monitoring.py",
        "starts | events.PY_THROW)",
        "(starts if alone else events.PY_START) | events.PY_THROW)",
    ),
    Mutation("exceptions thrown in resume", "monitoring.py", "starts | events.PY_THROW)", "starts)"),
    Mutation(
        "compiled code is left alone", "callbacks.py", "if not wanted or not is_interpreted(code):", "if not wanted:"
    ),
    Mutation("an ended recording leaves no bits", "callbacks.py", "lines[line] = ran & ~bit", "lines[line] = ran"),
    Mutation("an ended recording has entered nothing", "callbacks.py", "            watched.entered &= ~bit\n", ""),
    Mutation(
        "a forked child starts clean",
        "monitoring.py",
        "            self._callbacks.reset(recording.mark for recording in opened)",
        "            pass",
    ),
    Mutation(
        "code that is gone is forgotten",
        "callbacks.py",
        "        self._off.pop(identity, None)\n        self._watched.pop(identity, None)",
        "        pass",
    ),
)

# What is true of branches alone; they are seen, and switched off, by the rules for lines.
MUTATIONS += tuple(
    Mutation(name, file, old, new, (3, 14))
    for name, file, old, new in (
        ("ways are local events", "monitoring.py", "(sum(_WAYS) if self.branch else 0)", "0"),
        ("left and right are two ways", "callbacks.py", "way(offset, RIGHT)", "way(offset, LEFT)"),
        ("returns are ways", "callbacks.py", "return self.on_line(code, way(offset, OUT))", "return _DISABLE"),
        (
            "ways are switched off only when every active recording that entered has taken them",
            "callbacks.py",
            "return self.on_line(code, way(offset, LEFT))",
            "self.on_line(code, way(offset, LEFT))\n        return _DISABLE",
        ),
        (
            "code with a way switched off is dirty",
            "callbacks.py",
            "        watched.dirty = self._epoch\n        return _DISABLE",
            "        watched.dirty = self._epoch if line > 0 else watched.dirty\n        return _DISABLE",
        ),
        ("ways are no lines", "resolving.py", "for number in ran if number >= 0]", "for number in ran]"),
        (
            "a trail ends at the next branch",
            "ways.py",
            "                        return None\n                    offset = ",
            "                        offset += 2\n                        continue\n                    offset = ",
        ),
        ("a trail ends where an exception is raised again", "ways.py", "if opcode == _RAISE_AGAIN:", "if False:"),
        ("a trail ends with the code", "ways.py", "if opcode == _RETURN:", "if False:"),
        ("a trail follows jumps", "ways.py", " + 2 * argument * _DIRECTION[opcode]", ""),
        ("long jumps have long arguments", "ways.py", "argument << 8 | ", ""),
        ("a line on which other code begins goes on too", "ways.py", "_onward(code, trails))", "())"),
        ("what goes on has come to the next line", "ways.py", "if ran.issuperset(arc))", "if arc[0] in ran)"),
    )
)

# The same rules in C; the differential test, which would notice each, is left out of the proof.
MUTATIONS += tuple(
    Mutation(f"in C: {name}", "_callbacks.c", old, new)
    for name, old, new in (
        (
            "dirty code is armed anew on a recording's first entry",
            "(watched->dirty == self->epoch && rearm(self, watched) < 0) || ",
            "",
        ),
        ("code with a line switched off is dirty", "    watched->dirty = self->epoch;\n", ""),
        ("a start stays on until all have entered", "self->active[word] & ~(entered[word] & ran[word])", "0"),
        ("a start stays on until all have seen its line", "~(entered[word] & ran[word])", "~entered[word]"),
        ("a line stays on until all have seen it", "self->active[word] & entered[word] & ~ran[word]", "0"),
        ("lines count only in code that was entered", "entered[word] & BIT_OF(mark->slot);", "BIT_OF(mark->slot);"),
        ("what is switched off is armed anew", "    if (link_is_alone(&watched->off)) {", "    if (0) {"),
        (
            "bodies on the def line count as their line",
            "line = line_at(ranges, body) == line ? line : 0;",
            "line = 0;",
        ),
        ("an ended recording leaves no bits", "mask_of(watched, row)[word] &= ~BIT_OF(mark->slot);", ";"),
        (
            "marks of ended recordings are none",
            "own != NULL && Py_IS_TYPE(own, &Mark_Type) && own->owner == self ? own : NULL",
            "own",
        ),
        ("another mapping is looked into", "->wr_object == found", "->wr_object != NULL"),
        ("a start that stays on counts as its line", "masks[watched->first_entry.row] |= bit;", "dirty |= 0;"),
        ("compiled code is left alone", "PyBytes_AS_STRING(instructions)[0] != CACHE", "true"),
        ("masks grow with the crowd", "return set_words(self, 2 * self->words);", "return *slot = 0;"),
        ("code keeps its bits when masks grow", "mask_of(watched, row), kept * sizeof(Word)", "masks, 0"),
        ("code that is gone is forgotten", "setting_extra ? NULL : extra", "NULL"),
        (
            "what a recording entered is released",
            "    mark_release(mark);\n    Py_DECREF(mark);\n}",
            "    Py_DECREF(mark);\n    mark->entered = NULL;\n}",
        ),
    )
)

MUTATIONS += tuple(
    Mutation(f"in C: {name}", "_callbacks.c", old, new, (3, 14))
    for name, old, new in (
        ("left and right are two ways", "WAY(offset, RIGHT));", "WAY(offset, LEFT));"),
        (
            "ways are switched off only when every active recording that entered has taken them",
            "return read_event(arguments, count, 3, &offset) < 0 ? NULL : see(self, arguments[0], WAY(offset, LEFT));",
            (
                "if (read_event(arguments, count, 3, &offset) < 0) return NULL;\n"
                "    Py_XDECREF(see(self, arguments[0], WAY(offset, LEFT)));\n"
                "    return Py_NewRef(disable);"
            ),
        ),
        (
            "code with a way switched off is dirty",
            "    watched->dirty = self->epoch;\n",
            "    if (number > 0) watched->dirty = self->epoch;\n",
        ),
        ("branches have rows", "        ways[(*count)++] = WAY(offset, RIGHT);\n", ""),
        ("returns have rows", "            ways[(*count)++] = WAY((int)offset, OUT);\n", "            ;\n"),
    )
)

# These see by the text of the source, or by what is built, that something was taken out: that proves nothing.
_LEFT_OUT = ("test_mutations.py", "test_c_build.py", "test_c_decisions.py")


def survives(mutation: Mutation | None) -> bool:
    """Whether the tests pass without the rule."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        ignore = shutil.ignore_patterns("__pycache__", "*.so", "*.pyd")  # the rules in Python, not their twins in C
        for name in ("otel_coverage", "tests", "queries", "examples"):
            shutil.copytree(ROOT / name, root / name, ignore=ignore)
        for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, root)
        command = [sys.executable, "-m", "pytest", "tests/recording", "-x", "-q", "-p", "no:cacheprovider"]
        command += ["-p", "no:ddtrace", *(f"--ignore=tests/recording/{name}" for name in _LEFT_OUT)]
        if mutation is not None:
            mutation.apply(root)
        if mutation is None or mutation.file.endswith(".c"):
            build = [sys.executable, "setup.py", "-q", "build_ext", "--inplace"]
            subprocess.run(build, cwd=root, capture_output=True, check=True)
        if mutation is not None and mutation.file.endswith(".c"):
            command += ["-k", "not python"]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
        if done.returncode not in (0, 1) and done.returncode > 0:  # a rule in C may end the process
            name = "nothing taken out" if mutation is None else mutation.name
            raise SystemExit(f"{name}: pytest ended with {done.returncode}\n{done.stdout}{done.stderr}")
        return done.returncode == 0


def main() -> None:
    """Run the mutations named on the command line, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="rules to take out; all by default")
    parser.add_argument("--list", action="store_true", help="only name the rules")
    options = parser.parse_args()
    chosen = [mutation for mutation in MUTATIONS if not options.names or mutation.name in options.names]
    chosen = [mutation for mutation in chosen if sys.version_info >= mutation.since]
    survivors = []
    if not options.list and not survives(None):
        raise SystemExit("the tests fail with every rule in place")
    for mutation in chosen:
        if options.list:
            print(mutation.name)
        elif survives(mutation):
            survivors.append(mutation.name)
            print(f"NOT MISSED  {mutation.name}", flush=True)
        else:
            print(f"missed      {mutation.name}", flush=True)
    if survivors:
        raise SystemExit(f"{len(survivors)} of {len(chosen)} rules could be taken out unnoticed")


if __name__ == "__main__":
    main()
