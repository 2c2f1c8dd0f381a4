"""Checks as GitHub, Markdown and a terminal have them: nothing in a name is taken for a command or markup."""

from __future__ import annotations

from otel_coverage.gates.formats import as_annotations, as_markdown_text, as_tables
from otel_coverage.gates.outcome import FAILED, PASSED, UNDECIDED, Check, Finding

HOSTILE = "a%b\r\n::error file=x::c,d:e|`<b>\x1b[31m"


def test_annotations_name_file_and_line_and_are_escaped_as_github_reads_them() -> None:
    found = Finding(HOSTILE, "Not: executed, here", "shop/a,b:c%.py", 7, 9)
    lines = as_annotations([Check("changed code", FAILED, "1 of 2", (found,))]).splitlines()
    assert lines == [
        "::error title=Gate::changed code: 1 of 2",
        (
            "::error file=shop/a%2Cb%3Ac%25.py,line=7,endLine=9,title=Not%3A executed%2C here::"
            "a%25b\\r\\n::error file=x::c,d:e|`<b>\\x1b[31m"
        ),
    ]


def test_a_check_that_passed_is_no_annotation_but_its_warnings_are() -> None:
    check = Check("losses", PASSED, "nothing", (Finding("delete it", file="allowed.txt", line=3, level="warning"),))
    assert as_annotations([check]) == "passed: losses: nothing\n::warning file=allowed.txt,line=3::delete it\n"


def test_no_reason_can_begin_a_workflow_command() -> None:
    check = Check("x", PASSED, "fine\n::error::no")
    assert as_annotations([check]) == "passed: x: fine\\n::error::no\n"


def test_markdown_and_terminals_get_names_as_text() -> None:
    check = Check("name", UNDECIDED, HOSTILE, (Finding(HOSTILE, file="x|y.py", line=3),))
    shown = as_markdown_text([check])
    assert "\x1b" not in shown + as_tables([check], None)
    assert "<b>" not in shown
    assert all(line.startswith(("|", "**name**")) for line in shown.splitlines() if line)
    assert as_tables([check], None).startswith("CANNOT DECIDE: name: a%b")


def test_a_long_list_says_how_many_more_there_are() -> None:
    check = Check("name", FAILED, "many", tuple(Finding(f"number {number}") for number in range(60)))
    for shown in (as_annotations([check]), as_markdown_text([check]), as_tables([check], None)):
        assert "number 49" in shown
        assert "number 50" not in shown
        assert shown.endswith("10 more\n")
