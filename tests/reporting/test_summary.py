"""The page that people read first."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from otel_coverage.reporting.changes.comparison import compare
from otel_coverage.reporting.contents import Contents
from otel_coverage.reporting.queries import select_revision
from otel_coverage.reporting.report import write_report
from otel_coverage.reporting.summary import LINES, notes, summary
from otel_coverage.source import SourceTree
from otel_coverage.store import Store
from tests.reporting.project import PLACE, SPANS, fill
from tests.support.spans import TracedSpan, insert_catalog, insert_spans


def test_it_says_which_profile_covers_how_much_and_where_the_gaps_are(store: Store, tree: SourceTree) -> None:
    fill(store, tree)
    page = summary(select_revision(store)).splitlines()
    assert page[0] == "# Coverage of revision `abc`"
    assert "2 profiles together: 5 of 8 (62.5 %) functions, 7 of 12 (58.33 %) lines." in page
    assert "Services: `web`, `worker`. Newest span: 2026-01-01T00:00:03.000000Z." in page
    assert "| 1 | `checkout` | 5 | 62.5 % | 7 | 58.33 % | 1 | 1 | 1 | yes |" in page
    assert "| 2 | `browse` | 3 | 37.5 % | 4 | 33.33 % | 1 | 0 | 1 | yes |" in page
    assert "| `shop.jobs` | 2 | 1 | 3 | 25.0 % |" in page
    assert "| `shop.orders` | 1 | 0 | 5 | 75.0 % |" in page
    assert (
        "1 of these functions run at start only (`at_startup` in gaps.json); 2 ran neither in a profile nor at start."
        in page
    )
    assert not any("Incomplete" in line for line in page)


def test_incomplete_profiles_are_named_at_the_top(store: Store, tree: SourceTree) -> None:
    fill(
        store,
        tree,
        [
            *SPANS,
            TracedSpan(id="s8", trace="t8", profile="lost", functions=PLACE, complete=False, reason="a <b>thread</b>"),
            TracedSpan(id="r9", trace="t9", profile="failed", role="", outcome="failed", kind="Internal"),
            TracedSpan(id="s9", trace="t9", profile="failed", functions=PLACE),
        ],
    )
    page = summary(select_revision(store)).splitlines()
    assert page[2].startswith("> **Incomplete.**")
    certain = "**None of these is certain**: coverage of `failed`, `lost` is missing, so each may have been executed."
    assert page[page.index("## Largest gaps") + 2] == certain
    assert page[4:6] == ["> - `failed`: 1 of 1 runs failed", "> - `lost`: a &lt;b&gt;thread&lt;/b&gt;"]
    assert [line for line in page if line.endswith("| **no** |")] == [
        line for line in page if "| `lost` |" in line or "| `failed` |" in line
    ]


def test_jobs_that_wait_are_named(store: Store, tree: SourceTree) -> None:
    waits = TracedSpan(id="w", role="pending", name="schedule default", parent="elsewhere", kind="Producer")
    fill(store, tree, [*SPANS, waits.but(profile="browse"), waits.but(id="v", profile="browse")])
    queries = select_revision(store)
    assert (
        "Jobs that wait for their time or for another job, so that nothing of them has come yet: browse (2)."
        in notes(queries)
    )


def test_a_page_without_gaps_says_so(store: Store) -> None:
    insert_catalog(store, {"qualname": "f", "line": 1})
    insert_spans(store, TracedSpan(functions=["shop:f@1"]))
    assert "## Largest gaps\n\nNone.\n" in summary(select_revision(store))


def test_where_no_start_was_recorded_nothing_is_said_of_what_runs_at_start(store: Store, tree: SourceTree) -> None:
    fill(store, tree, SPANS[:-1])
    page = summary(select_revision(store)).splitlines()
    assert "| `shop.jobs` | 2 | – | 3 | 25.0 % |" in page
    assert (
        "Functions that only run when a process starts are among them; `OTEL_COVERAGE_STARTUP=1` tells them apart."
        in page
    )


def test_only_the_largest_gaps_are_listed(store: Store) -> None:
    insert_catalog(store, *({"module": f"m{number:02}", "qualname": "f", "line": 1} for number in range(13)))
    insert_spans(store, TracedSpan(functions=["elsewhere:f@1"]))
    page = summary(select_revision(store))
    assert "| `m09` |" in page
    assert "| `m10` |" not in page
    assert "3 more in gaps.json." in page


def test_gaps_are_listed_by_package_the_largest_first(store: Store) -> None:
    sizes = {"app": 1, "shop.small": 1, "shop.large": 3, "tools.x": 2}
    functions = [(module, line) for module, size in sizes.items() for line in range(1, size + 1)]
    insert_catalog(store, *({"module": module, "qualname": f"f{line}", "line": line} for module, line in functions))
    insert_spans(store, TracedSpan(functions=["shop.small:f1@1"]))
    page = summary(select_revision(store)).splitlines()
    first = page.index("## Largest gaps") + 4
    assert [line.split(" | ")[:4] for line in page[first : first + 5]] == [
        ["| **`shop`** and its modules", "3", "–", "4"],
        ["| `shop.large`", "3", "–", "3"],
        ["| **`tools`** and its modules", "2", "–", "2"],
        ["| `tools.x`", "2", "–", "2"],
        ["| `app`", "1", "–", "1"],
    ]


def test_lines_that_were_not_recorded_are_a_dash(store: Store) -> None:
    insert_spans(store, TracedSpan(functions=PLACE))
    assert "| 1 | `checkout` | 3 | – | – | – | 1 | 0 | 1 | yes |" in summary(select_revision(store)).splitlines()


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("<img src=x onerror=alert(1)>", "`<img src=x onerror=alert(1)>`"),
        ("a|b", "a\\|b"),
        ("`</code><script>`", "\\`&lt;/code&gt;&lt;script&gt;\\`"),
        ("two\nlines | [x](y)", "two\\\\nlines \\| \\[x\\](y)"),
        ("", ""),
        (" ", " "),
        ("ünïcode-☃", "`ünïcode-☃`"),
    ],
)
def test_names_are_escaped_in_tables_and_markup(store: Store, name: str, shown: str) -> None:
    insert_catalog(store, {"module": name, "qualname": "f", "line": 1}, revision=name)
    insert_spans(store, TracedSpan(profile=name, service=name, revision=name, functions=PLACE))
    page = summary(select_revision(store, revision=name or "unknown"))
    assert f"| 1 | {shown} |" in page
    assert f"Services: {shown}." in page
    assert page.startswith(f"# Coverage of revision {shown or '`unknown`'}\n")


def test_it_ends_up_in_the_folder_with_the_notes(store: Store, tree: SourceTree, tmp_path: Path) -> None:
    insert_spans(store, *SPANS)
    write_report(select_revision(store), tree, tmp_path / "out")
    page = (tmp_path / "out" / "summary.md").read_text(encoding="utf-8")
    assert "> No catalog was pushed for this revision" in page
    assert "Unknown without a catalog." in page


def test_it_has_at_most_a_hundred_lines_and_names_first_what_is_in_doubt(store: Store) -> None:
    lost = TracedSpan(functions=["shop.m0:f@1"], complete=False, reason="a <b>thread</b>")
    names = [f"profile-{number:03}" for number in range(120)]
    functions = [f"shop.m{number}:f@1" for number in range(40)]
    insert_spans(
        store,
        *(
            TracedSpan(id=name, trace=name, profile=name, functions=functions[: 40 - number % 40])
            for number, name in enumerate(names)
        ),
        *(lost.but(id=f"z{number}", trace=f"z{number}", profile=f"z{number}") for number in range(9)),
        *(TracedSpan(id=name, revision="old", run="old", profile=name, functions=functions) for name in ("z1", "gone")),
    )
    gaps = [f"package{number % 12}.m{number}" for number in range(80)]
    insert_catalog(store, *({"module": name, "qualname": "g", "line": 1, "executable_lines": [1]} for name in gaps))
    queries = select_revision(store, revision="abc")
    remarks = tuple(f"Note {number}." for number in range(30))
    compared = summary(
        queries, remarks, compare(queries, select_revision(store, revision="old")), Contents(html=True)
    ).splitlines()
    assert [line for line in compared if line.startswith(("- Played now only: ", "- Not played now: "))] == [
        "- Played now only: 'profile-000', 'profile-001', 'profile-002', 'profile-003', 'profile-004' and 123 more.",
        "- Not played now: 'gone'.",
    ]
    assert len(compared) <= LINES
    lines = summary(queries, remarks).splitlines()
    assert len(lines) <= LINES
    rows = [line for line in lines if re.match(r"\| \d+ \|", line)]
    assert [line for line in rows if "**no**" in line] == [line for line in rows if "`z" in line]
    assert 5 <= len(rows) < 129
    assert f"{129 - len(rows)} more in leaderboard.json." in lines
    assert "> - 3 more in leaderboard.json" in lines
    assert "> 25 more such notes in index.html." in lines
    assert lines[-1].startswith("- `<profile>.coverage`")
