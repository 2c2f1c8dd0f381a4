"""What a step costs where requests take turns in an event loop: ``python -m benchmarks.recorder.steps [ENGINE]``.

CPU time, so that a busy machine matters less; the least of fifteen runs, in turns, of 2,000 steps that do nothing.
"""

from __future__ import annotations

import asyncio
import contextvars
import sys
import tempfile
import time
from collections.abc import Awaitable
from contextvars import ContextVar
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from otel_coverage.recording import CurrentRecording, open_engine
from otel_coverage.settings import EngineChoice
from otel_coverage.source import SourceTree

STEPS = 2_000
RUNS = 15
PROGRAM = "import asyncio\n\nasync def request(n):\n    for _ in range(n):\n        await asyncio.sleep(0)\n"


def main(choice: EngineChoice = "coverage") -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "steps_program.py")
        path.write_text(PROGRAM)
        program = ModuleType("steps_program")
        exec(compile(PROGRAM, path, "exec"), vars(program))
        best = asyncio.run(measure(choice, folder, program))
    print(f"engine {choice}, CPython {sys.version.split()[0]}, CPU time of a step:")
    for name, seconds in best.items():
        print(f"  {name:38} {seconds / STEPS * 1e6:6.2f} µs  {seconds / best['untraced']:6.2f}")


async def measure(choice: EngineChoice, folder: str, program: ModuleType) -> dict[str, float]:
    """Seconds of CPU time for all steps, by what was measured."""
    variable: ContextVar[Any] = ContextVar("recording", default=None)
    engine = open_engine(choice, "line", SourceTree([folder]), CurrentRecording(variable))

    async def traced(awaited: Awaitable[float] | None = None) -> float:
        recording = engine.begin()
        token = variable.set(recording)
        try:
            if awaited is None:
                return await timed(engine.drive(recording, program.request(STEPS)))
            await engine.drive(recording, asyncio.sleep(0))
            variable.reset(token)
            token = variable.set(None)
            return await awaited
        finally:
            variable.reset(token)
            engine.end(recording)

    best: dict[str, float] = {}
    for _ in range(RUNS):
        for name, measured in {
            "untraced": lambda: timed(program.request(STEPS)),
            "untraced, while a traced one is open": lambda: traced(timed(program.request(STEPS))),
            "traced": traced,
        }.items():
            task = contextvars.Context().run(asyncio.ensure_future, cast(Any, measured)())
            best[name] = min(best.get(name, 1e9), await task)
    engine.close()
    return best


async def timed(awaited: Awaitable[object]) -> float:
    """Seconds of CPU time until it is done."""
    started = time.thread_time()
    await awaited
    return time.thread_time() - started


if __name__ == "__main__":
    main(*cast("list[EngineChoice]", sys.argv[1:]))
