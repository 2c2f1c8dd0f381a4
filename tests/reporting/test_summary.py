"""The page that people read first."""

from __future__ import annotations

from pathlib import Path

import pytest

from otel_coverage.reporting.queries import select_revision
from otel_coverage.reporting.report import write_report
from otel_coverage.reporting.summary import summary
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
    assert "| `shop.jobs` | 2 | 3 | 25.0 % |" in page
    assert "| `shop.orders` | 1 | 5 | 75.0 % |" in page
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
    assert page[4:6] == ["> - `failed`: 1 of 1 runs failed", "> - `lost`: a &lt;b&gt;thread&lt;/b&gt;"]
    assert [line for line in page if line.endswith("| **no** |")] == [
        line for line in page if "| `lost` |" in line or "| `failed` |" in line
    ]


def test_a_page_without_gaps_says_so(store: Store) -> None:
    insert_catalog(store, {"qualname": "f", "line": 1})
    insert_spans(store, TracedSpan(functions=["shop:f@1"]))
    assert "## Largest gaps\n\nNone.\n" in summary(select_revision(store))


def test_only_the_largest_gaps_are_listed(store: Store) -> None:
    insert_catalog(store, *({"module": f"m{number:02}", "qualname": "f", "line": 1} for number in range(13)))
    insert_spans(store, TracedSpan(functions=["elsewhere:f@1"]))
    page = summary(select_revision(store))
    assert "| `m09` |" in page
    assert "| `m10` |" not in page
    assert "3 more in gaps.json." in page


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
    page = summary(select_revision(store, revision=name))
    assert f"| 1 | {shown} |" in page
    assert f"Services: {shown}." in page
    assert page.startswith(f"# Coverage of revision {shown or '`unknown`'}\n")


def test_it_ends_up_in_the_folder_with_the_notes(store: Store, tree: SourceTree, tmp_path: Path) -> None:
    insert_spans(store, *SPANS)
    write_report(select_revision(store), tree, tmp_path / "out")
    page = (tmp_path / "out" / "summary.md").read_text(encoding="utf-8")
    assert "> No catalog was pushed for this revision" in page
    assert "Unknown without a catalog." in page
