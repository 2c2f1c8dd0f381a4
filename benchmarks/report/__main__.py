"""``python -m benchmarks.report``: generates nights, writes their reports, prints time, memory and sizes.

Reports are written by the command that people run, in a process of its own: its memory is not the generator's. What is
about all profiles is written first, of the size that a report may have by default, then what changed since
an evening before. Where a Chromium is installed, also how fast the page is in it, slowed down four times.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.store.night import Night
from otel_coverage.errors import ConfigurationError
from otel_coverage.reporting.page.bundle import bundle
from otel_coverage.reporting.page.page import PAGE
from otel_coverage.store import open_store, schema

THROTTLE = 4  # times slower than this machine
SPANS = 40  # of each profile
# bytes of the page, seconds to its first paint, seconds until all of it answers, seconds of a search
BARS = {"20x5000": (1e6, 0.5, 1.5, 0.05), "200x20000": (5e6, 0.5, 1.5, 0.05)}
NIGHT = "night"  # of benchmarks.store: 2.4 million pairs of a profile and a function
NIGHT_BARS = "bars: 15 s, 1024 MiB, 30 MB of JSON"  # of the files across profiles
ACROSS = (
    *(f"{name}.*" for name in ("entry-points", "gaps", "history", "leaderboard", "matrix", "redundancy")),
    *("reverse-index.*", "symbols.*", "summary.md", "index.html"),
)
# milliseconds from each key that is typed into a view's filter until what it leaves is painted
FILTER = """async (view) => {
    const painted = () => new Promise((done) => {
        const {port1, port2} = new MessageChannel();
        port1.onmessage = done;
        requestAnimationFrame(() => port2.postMessage(0));
    });
    location.hash = view;
    for (let frames = 0; frames < 3; frames++) await painted();
    const filter = document.querySelector("input.filter");
    const taken = [];
    for (const text of ["h", "ha", "handle_1", "handle_12"]) {
        const began = performance.now();
        filter.value = text;
        filter.dispatchEvent(new InputEvent("input", {bubbles: true}));
        await painted();
        taken.push(performance.now() - began);
    }
    return taken;
}"""
BATCH = 2_000  # spans that are generated at a time

# the evening's functions are those of the night, the first of each module with another text
_EVENING_CATALOG = """
INSERT INTO code_symbols (revision, module, qualname, line, kind, file, end_line, executable_lines, digest, pushed_at)
SELECT 'evening', module, qualname, line, kind, file, end_line, executable_lines, if(line = 10, 'other', digest),
    pushed_at
FROM code_symbols
WHERE revision = 'night'
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a process took.

    Attributes:
        seconds: from its start to its end.
        cpu: seconds of all processors, in it and in its children.
        memory: MiB that it had at most, the engine's included.
    """

    seconds: float
    cpu: float
    memory: float

    def __str__(self) -> str:
        return f"{self.seconds:.1f} s, {self.cpu:.1f} s of CPU, peak memory {self.memory:.0f} MiB"


def main() -> None:
    """Print a line for each size."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__)
    parser.add_argument(
        "--sizes", nargs="+", default=list(BARS), metavar="PROFILESxSYMBOLS", help=f"or {NIGHT} (minutes to generate)"
    )
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="keep reports and stores there, and use them again")
    arguments = parser.parse_args()
    for size in arguments.sizes:
        with tempfile.TemporaryDirectory() as temporary:
            folder = (arguments.keep or Path(temporary)).absolute() / size
            night, dsn, out = night_of(size), f"chdb://{folder}/store", folder / "out"
            if not (folder / "store").exists():
                folder.mkdir(parents=True, exist_ok=True)
                # in a process of its own: those that this one starts count its peak memory as theirs
                imports = f"from {__package__}.__main__ import generate, night_of"
                program = f"{imports}; generate({dsn!r}, night_of({size!r}))"
                subprocess.run([sys.executable, "-c", program], check=True)
            only = [word for pattern in ACROSS for word in ("--only", pattern)]
            print(f"{size}: written in {report(dsn, night, out, only)}{f'; {NIGHT_BARS}' if size == NIGHT else ''}")
            print(f"    {sizes(out)}")
            changed = report(dsn, night, folder / "diff", ["--baseline", "evening", "--only", "diff.json"])
            print(f"    compared with the evening before in {changed}")
            history = report(dsn, night, folder / "history", ["--only", "history.json"])
            print(f"    history of two revisions in {history}")
            whole = report(dsn, night, folder / "whole", [])
            print(f"    with all that a report has for each profile in {whole}; {sizes(folder / 'whole')}")
            print(f"    page: {(out / PAGE).stat().st_size / 1e6:.2f} MB (bar: {BARS.get(size, (0,))[0] / 1e6:.0f})")
            for line in browse(out / PAGE):
                print(f"    {line}")


def night_of(size: str) -> Night:
    """What a night of that size is made of."""
    if size == NIGHT:
        return Night(200, 20_000, 200_000, together=8, functions=500, reach=12_000, lines=False)
    profiles, symbols = map(int, size.split("x"))
    # each profile runs some three fifths of the functions, as the benchmark night's do
    reach = symbols * 3 // 5
    return Night(profiles, symbols, profiles * SPANS, min(profiles, 20), max(reach // 20, 1), reach, lines=True)


def generate(dsn: str, night: Night) -> None:
    """Fill a store with a night, and the evening before."""
    with open_store(dsn, create=True) as store:
        schema.apply(store)
        night.prepare(store)
        for first in range(0, night.spans, BATCH):
            night.make(store, first, min(BATCH, night.spans - first))
            night.insert(store)
        store.command("DROP TABLE night")
        night.evening(store)
        store.command(_EVENING_CATALOG)


def report(dsn: str, night: Night, out: Path, options: Iterable[str]) -> Cost:
    """Write a report of a night."""
    if bundle() is None:
        raise ConfigurationError("the page is not built: make page")
    symbols = out.with_name("symbols.json")
    files = sorted({f"shop/package{number // 400}/module{number // 20}.py" for number in range(0, night.symbols, 20)})
    symbols.write_text(json.dumps({"symbols": [{"file": file} for file in files]}), encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "otel_coverage",
        "report",
        "--store",
        dsn,
        "--out",
        str(out),
        "--revision",
        "night",
    ]
    began = time.perf_counter()
    with subprocess.Popen([*command, "--symbols", str(symbols), *options], stdout=subprocess.DEVNULL) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Cost(time.perf_counter() - began, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)


def sizes(out: Path) -> str:
    """How large the files of a report are, by kind."""
    found: dict[str, int] = {}
    for path in out.rglob("*"):
        if path.is_file():
            found[path.suffix] = found.get(path.suffix, 0) + path.stat().st_size
    return ", ".join(f"{kind[1:] or 'other'} {size / 1e6:.1f} MB" for kind, size in sorted(found.items()))


def browse(page: Path) -> list[str]:
    """Sentences about how fast the page is."""
    chromium = shutil.which("chromium")
    if chromium is None:
        return ["no Chromium is installed: not tried in a browser"]
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 1440, "height": 900})
        tab.context.new_cdp_session(tab).send("Emulation.setCPUThrottlingRate", {"rate": THROTTLE})
        tab.goto(page.as_uri())
        tab.wait_for_selector("html[data-ready=yes]", state="attached", timeout=120_000)
        times: Any = tab.evaluate(
            """() => ({
                paint: performance.getEntriesByName("first-contentful-paint")[0]?.startTime,
                ready: performance.getEntriesByName("ready")[0]?.startTime,
            })"""
        )
        found = [f"first paint {times['paint'] / 1000:.2f} s, all usable {times['ready'] / 1000:.2f} s"]
        tab.keyboard.press("/")
        for text in ("handle_1", "handle_12", "servce12.handle"):
            tab.keyboard.insert_text(text)
            tab.wait_for_selector("[role=option]", timeout=60_000)
            tab.keyboard.press("Control+A")
        searches = tab.evaluate("performance.getEntriesByName('search').map(entry => entry.duration)")
        found.append(f"searches: {', '.join(f'{each:.0f} ms' for each in searches)}")
        for view in ("profiles", "code", "code?show=tree", "matrix", "gaps"):
            taken = tab.evaluate(
                """async (view) => {
                    const began = performance.now();
                    location.hash = `#/${view}`;
                    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
                    return performance.now() - began;
                }""",
                view,
            )
            found.append(f"{view} shown in {taken:.0f} ms")
        for view in ("profiles", "profile/profile-000", "gaps"):
            times = tab.evaluate(FILTER, f"#/{view}")
            found.append(f"{view} filtered in {', '.join(f'{each:.0f} ms' for each in times)}")
        browser.close()
    return found


if __name__ == "__main__":
    main()
