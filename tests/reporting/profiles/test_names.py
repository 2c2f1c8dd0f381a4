"""Names of profiles as names of files."""

from __future__ import annotations

import pytest

from otel_coverage.reporting.profiles.names import data_file_name, folder_name

NAMES = [
    "checkout",
    "a.b-c_d",
    "html",
    "all",
    "all.coverage",
    "matrix.json",
    "checkout.coverage",
    "index.html",
    "con",
    "aux.x",
    "trailing.",
    "",
    ".",
    "..",
    "../../evil",
    "a/b",
    "a\\b",
    "C:x",
    "Upper",
    "upper",
    "_html",
    "~2e",
    "a\nb",
    "\udce9",
    "é",
    "x" * 129,
    "x" * 130,
    "/" * 200,
]


def test_a_plain_slug_is_its_own_name() -> None:
    assert [folder_name(name) for name in ("checkout", "a.b-c_d")] == ["checkout", "a.b-c_d"]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_one_plain_component_of_a_path(name: str) -> None:
    found = folder_name(name)
    assert set(found) <= set("abcdefghijklmnopqrstuvwxyz0123456789._-~")
    assert found not in ("", ".", "..", "html", "all")
    assert not found.endswith(".")
    assert len(data_file_name(name)) < 200


def test_no_two_profiles_and_no_file_of_the_report_share_a_name() -> None:
    taken = {"html", "all", "all.coverage", "all.xml", "all.lcov", "all.md", "coveragerc", "index.html", "matrix.json"}
    names = [name for profile in NAMES for name in (folder_name(profile), data_file_name(profile))]
    assert len({name.casefold() for name in names} | taken) == len(names) + len(taken)
