"""Which profiles are to be replayed for a change, and the reason of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from otel_coverage.errors import ConfigurationError
from otel_coverage.impact.differing import differing
from otel_coverage.impact.findings import Impact
from otel_coverage.impact.recorded import Recorded
from otel_coverage.impact.selection import Selector
from otel_coverage.impact.settings import ImpactSettings
from otel_coverage.source import SourceTree
from tests.impact.repository import Repository

FILES = {
    "shop/__init__.py": "",
    "shop/orders.py": """
        from functools import lru_cache

        from shop import rates

        LIMIT = 3


        class Order:
            def __init__(self, rows):
                self.rows = rows

            def total(self):
                return sum(self.rows) * rates.rate()


        class Special(Order):
            def describe(self):
                return ""


        class Failure(Exception, metaclass=type):
            pass


        def place(rows):
            return Order(rows[:LIMIT])


        def cancel(order):
            order.rows = []


        def setup():
            return place


        @lru_cache
        def known():
            return 1


        def nobody():
            return getattr(place, "name")
        """,
    "shop/rates.py": """
        def rate():
            return 2
        """,
    "shop/templates/order.html": "<p>",
    "pyproject.toml": "[project]\nname = 'shop'\n[tool.ruff]\nline-length = 100\n",
    "README.md": "the shop\n",
    "scripts/tool.py": "X = 1\n",
    "profiles/checkout/recording.jsonl": "{}\n",
    "profiles/gone/recording.jsonl": "{}\n",
}
PROFILES = ("browse", "checkout", "refund")
ALL = {*PROFILES}
RECORDED = Recorded(
    "abc",
    PROFILES,
    executed={
        ("shop.orders", "place"): frozenset({"checkout", "refund"}),
        ("shop.orders", "Order.__init__"): frozenset({"checkout", "refund"}),
        ("shop.orders", "Order.total"): frozenset({"checkout"}),
        ("shop.orders", "cancel"): frozenset({"refund"}),
        ("shop.orders", "known"): frozenset({"browse"}),
        ("shop.rates", "rate"): frozenset({"checkout"}),
    },
    at_start=frozenset({("shop.orders", "setup")}),
    entry_points={("shop.orders", "cancel"): frozenset({("web", "request", "POST /cancel")})},
)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "project")
    for name, text in FILES.items():
        made.write(name, text)
    made.commit()
    return made


def select(
    repository: Repository,
    recorded: Recorded = RECORDED,
    files: Mapping[str, Any] | None = None,
    played: tuple[str, ...] = (),
    **given: Any,
) -> Impact:
    settings = ImpactSettings(files=files or {})
    folder = repository.folder
    selector = Selector(recorded, SourceTree([str(folder / "shop")]), folder, settings, folder, played)
    return selector.select(differing(folder, "HEAD"), **given)


def edit(repository: Repository, old: str, new: str, name: str = "shop/orders.py") -> None:
    path = repository.folder / name
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


def codes(impact: Impact) -> set[str]:
    return {reason.code for reason in impact.reasons}


EDITS = {
    "a body": ("order.rows = []", "order.rows = None", {"refund"}, {"executes"}),
    "a function that only one profile executes": ("* rates", "+ rates", {"checkout"}, {"executes"}),
    "a function that no profile executes": ('"name"', '"other"', set(), set()),
    "a function that runs at start": ("    return place", "    return cancel", ALL, {"runs_at_start"}),
    "a function whose results are kept": ("return 1", "return 2", ALL, {"executes", "keeps_state"}),
    "a constant": ("LIMIT = 3", "LIMIT = 4", {"checkout", "refund"}, {"mentioned"}),
    "an import": ("import rates", "import rates as rates", ALL, {"module_level"}),
    "a new import": ("from shop import rates", "from shop import rates\nimport json", ALL, {"module_level"}),
    "a new function that nobody calls": ("def cancel", "def new():\n    pass\n\n\ndef cancel", set(), set()),
    "a new method of a name that is called": (
        "    def describe",
        "    def rate(self):\n        return 1\n\n    def describe",
        {"checkout"},
        {"mentioned"},
    ),
    "a new method that a base may call": (
        "class Failure(Exception, metaclass=type):\n    pass",
        "class Failure(Exception, metaclass=type):\n    def new(self):\n        pass\n    pass",
        ALL,
        {"special_name"},
    ),
    "a new special method": (
        "    def total",
        "    def __eq__(self, other):\n        return True\n\n    def total",
        ALL,
        {"special_name"},
    ),
    "a function that is gone, and at start is used": (
        "def place(rows):\n    return Order(rows[:LIMIT])\n",
        "",
        ALL,
        None,
    ),
    "a method that is gone, and that a base may require": (
        '    def describe(self):\n        return ""',
        "    pass",
        ALL,
        {"module_level", "special_name"},
    ),
    "a method that subclasses have to have": (
        "    def describe",
        "    @abstractmethod\n    def describe",
        ALL,
        {"module_level"},
    ),
    "what the interpreter cannot compile": ("LIMIT = 3", "LIMIT = = 3", ALL, {"unknown_code"}),
    "a comment": ("LIMIT = 3", "LIMIT = 3  # rows", set(), set()),
}


@pytest.mark.parametrize("what", EDITS)
def test_an_edit_selects_who_can_notice_it(repository: Repository, what: str) -> None:
    old, new, expected, reasons = EDITS[what]
    edit(repository, old, new)
    impact = select(repository)
    assert {*impact.selected} == expected
    assert reasons is None or codes(impact) == reasons
    assert all(reason.detail and reason.file for reason in impact.reasons)


def test_a_new_method_concerns_whoever_calls_something_of_its_name(repository: Repository) -> None:
    edit(repository, "    def total", "    def rate(self):\n        return 1\n\n    def total")
    impact = select(repository)
    assert {*impact.selected} == {"checkout"}
    (reason,) = impact.reasons
    assert (
        reason.detail
        == "shop.orders:Order.rate was added, and it executes shop.orders:Order.total, which mentions rate"
    )


def test_a_change_of_comments_selects_nobody_though_coverage_is_incomplete(repository: Repository) -> None:
    edit(repository, "LIMIT = 3", "LIMIT = 3  # rows")
    impact = select(repository, replace(RECORDED, doubts={"browse": "lost"}, damage=("Parts are lost.",)))
    assert not impact.selected
    assert impact.inert == ("shop/orders.py",)


def test_a_profile_whose_coverage_is_incomplete_or_absent_is_replayed(repository: Repository) -> None:
    edit(repository, "order.rows = []", "order.rows = None")
    impact = select(repository, replace(RECORDED, doubts={"browse": "a job is missing"}), played=("new", "refund"))
    assert {name: [reason.code for reason in reasons] for name, reasons in impact.selected.items()} == {
        "browse": ["incomplete_coverage"],
        "new": ["never_recorded"],
        "refund": ["executes"],
    }
    assert impact.spared == ["checkout"]
    everyone = select(repository, replace(RECORDED, damage=("Parts of tables are lost.",)))
    assert {*everyone.selected} == ALL


def test_coverage_older_than_the_base_selects_who_executed_what_changed_since(repository: Repository) -> None:
    old = repository.git("rev-parse", "HEAD")
    edit(repository, "* rates", "+ rates")
    base = repository.commit()
    edit(repository, "order.rows = []", "order.rows = None")
    impact = select(repository, stale={old: differing(repository.folder, old, base)})
    assert {name: [reason.code for reason in reasons] for name, reasons in impact.selected.items()} == {
        "checkout": ["stale_coverage"],
        "refund": ["executes"],
    }
    assert [each.symbol for each in impact.functions] == ["shop.orders:cancel"]
    assert {*select(repository, unknown="nobody knows").selected} == ALL


def test_without_a_recorded_start_every_function_may_run_then(repository: Repository) -> None:
    edit(repository, "order.rows = []", "order.rows = None")
    impact = select(repository, replace(RECORDED, start_unknown=("worker",)))
    assert {*impact.selected} == ALL
    assert any("no start of worker was recorded; set OTEL_COVERAGE_STARTUP=1" in each.detail for each in impact.reasons)


OTHER_FILES = {
    "a template": ("shop/templates/order.html", "undeclared_file", ALL),
    "documentation": ("README.md", "undeclared_file", ALL),
    "Python beside the source": ("scripts/tool.py", "unknown_code", ALL),
    "a lock file": ("poetry.lock", "dependency", ALL),
    "requirements": ("requirements-dev.txt", "dependency", ALL),
    "a playback recording": ("profiles/checkout/recording.jsonl", "recording_changed", {"checkout"}),
}


@pytest.mark.parametrize("what", OTHER_FILES)
def test_a_file_of_which_nothing_is_known_concerns_all(repository: Repository, what: str) -> None:
    name, code, expected = OTHER_FILES[what]
    repository.write(name, "CHANGED = 1\n")
    impact = select(repository)
    assert ({*impact.selected}, codes(impact)) == (expected, {code})


def test_a_recording_that_nobody_plays_any_more_concerns_nobody(repository: Repository) -> None:
    (repository.folder / "profiles/gone/recording.jsonl").unlink()
    assert not select(repository).selected


def test_globs_say_whom_a_file_concerns(repository: Repository) -> None:
    files = {"shop/templates/**": ("check*",), "*.md": "none", "scripts/": "all"}
    repository.write("shop/templates/order.html", "<b>")
    repository.write("README.md", "changed")
    impact = select(repository, files=files)
    assert ({*impact.selected}, impact.inert) == ({"checkout"}, ("README.md",))
    assert impact.reasons[0].detail == "shop/templates/order.html modified: it matches shop/templates/**"
    repository.write("scripts/tool.py", "X = 2\n")
    assert {*select(repository, files=files).selected} == ALL


def test_a_glob_takes_nothing_away_from_what_is_known_of_code(repository: Repository) -> None:
    edit(repository, "order.rows = []", "order.rows = None")
    assert {*select(repository, files={"shop/**": "none"}).selected} == {"refund"}
    assert {*select(repository, files={"shop/**": ("browse",)}).selected} == {"browse", "refund"}


def test_a_project_file_concerns_all_but_where_tools_alone_read_it(repository: Repository) -> None:
    edit(repository, "line-length = 100", "line-length = 120", "pyproject.toml")
    assert not select(repository).selected
    edit(repository, "[tool.ruff]", "[tool.otel_coverage.ci]\nsource = ['shop']\n[tool.ruff]", "pyproject.toml")
    repository.write("perf-baseline.json", "{}")  # of our own commands
    assert not select(repository).selected
    edit(repository, "name = 'shop'", "name = 'shop'\ndependencies = ['flask']", "pyproject.toml")
    assert codes(select(repository)) == {"dependency"}


def test_a_renamed_a_new_and_a_deleted_module_concern_all(repository: Repository) -> None:
    repository.git("mv", "shop/rates.py", "shop/prices.py")
    assert codes(select(repository)) == {"renamed"}
    repository.commit()
    repository.write("shop/new.py", "def f():\n    return 1\n")
    assert (codes(select(repository)), [each.symbol for each in select(repository).not_reached]) == (
        {"module_level"},
        ["shop.new:f"],
    )
    repository.commit()
    (repository.folder / "shop/new.py").unlink()
    assert codes(select(repository)) == {"module_level"}


def test_changed_functions_that_no_profile_reaches_and_routes_are_named(repository: Repository) -> None:
    edit(repository, '"name"', '"other"')
    edit(repository, "order.rows = []", "order.rows = None")
    impact = select(repository)
    assert [(each.symbol, each.change) for each in impact.not_reached] == [("shop.orders:nobody", "changed")]
    assert impact.entry_points == [("web", "request", "POST /cancel")]


def bad_settings() -> Iterator[tuple[str, str]]:
    table = "[tool.otel_coverage.impacted]\n"
    files = "[tool.otel_coverage.impacted.files]\n"
    yield f"{table}profile = 'x'", "no setting 'profile'; did you mean profiles?"
    yield f"{files}'*.sql' = 'al'", "'*.sql' is 'al', expected \"all\", \"none\" or a list of profiles"
    yield f"{files}'*.sql' = []", "'*.sql' is [], expected"
    yield f"{files}'/' = 'all'", "'/' is not a glob"
    yield f"{table}files = 3", "files is 3, expected a table"
    yield f"{table}files = ", "not valid TOML"
    yield "[tool.otel_coverage]\nimpacted = 3", "tool.otel_coverage.impacted is 3, expected a table"


@pytest.mark.parametrize(("text", "error"), list(bad_settings()))
def test_a_setting_that_is_not_valid_is_said_with_its_place(tmp_path: Path, text: str, error: str) -> None:
    path = tmp_path / "pyproject.toml"
    path.write_text(text)
    with pytest.raises(ConfigurationError) as raised:
        ImpactSettings.load(tmp_path)
    assert str(raised.value).startswith(str(path))
    assert error in str(raised.value)


def test_a_glob_that_names_a_profile_that_there_is_not_is_said(repository: Repository) -> None:
    with pytest.raises(ConfigurationError, match=r"'\*\.sql' names the profile 'chekout', .* did you mean checkout\?"):
        select(repository, files={"*.sql": ("chekout",)})


@pytest.mark.parametrize(
    ("glob", "matching", "others"),
    [
        ("*.sql", ["a.sql", "x/y/a.sql"], ["a.sqlx"]),
        ("queries/*.sql", ["queries/a.sql"], ["queries/x/a.sql", "x/queries/a.sql"]),
        ("queries/**", ["queries/a.sql", "queries/x/.hidden"], ["queries"]),
        ("**/templates/**/*.html", ["templates/a.html", "shop/templates/x/y/a.html"], ["templates.html"]),
        ("docs/", ["docs/a/b.md", "x/docs/a.md"], ["docs"]),
        ("a?[1].txt", ["ab[1].txt"], ["a/[1].txt", "ab1.txt"]),
    ],
)
def test_globs_are_those_of_gitignore(glob: str, matching: list[str], others: list[str]) -> None:
    settings = ImpactSettings(files={glob: "all"})
    assert [path for path in (*matching, *others) if settings.of(path)] == matching
