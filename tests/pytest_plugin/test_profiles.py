"""Which profile a request belongs to, and how the profile went: fixtures, groups, tests that run again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.pytest_plugin.echo import Echo, echoing
from tests.pytest_plugin.project import Project

CONFTEST = """
import os
from urllib.request import urlopen
import pytest
from _pytest.runner import runtestprotocol

def ask(path):
    urlopen(os.environ["APP"] + path).read()

@pytest.fixture(scope="session", autouse=True)
def database():
    ask("/database")
    yield
    ask("/database-end")

@pytest.fixture(scope="class")
def login():
    ask("/login")
    yield
    ask("/logout")

@pytest.fixture
def own():
    ask("/own")
    yield
    ask("/own-end")

def pytest_runtest_protocol(item, nextitem):
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    reports = runtestprotocol(item, nextitem=nextitem, log=False)
    if any(report.failed for report in reports):
        item._initrequest()
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    return True
"""

SUITE = """
import pytest
from conftest import ask

@pytest.mark.playback_profile("ordering")
class TestOrders:
    def test_one(self, login):
        ask("/one")

    def test_two(self, login):
        ask("/two")

class TestOthers:
    def test_three(self, login, own):
        ask("/three")

attempts = []

def test_that_passes_the_second_time():
    ask("/again")
    attempts.append(1)
    assert len(attempts) == 2

def test_that_never_does():
    ask("/never")
    assert False
"""


@pytest.fixture
def app() -> Iterator[Echo]:
    with echoing() as server:
        yield server


def test_what_several_tests_share_is_no_tests_and_the_last_attempt_counts(project: Project, app: Echo) -> None:
    project.write("conftest.py", CONFTEST)
    project.write("test_it.py", SUITE)
    done = project.run("--playback", "--playback-run-id", "r1", APP=app.url, OTEL_TRACES_EXPORTER="none")
    assert "1 failed, 4 passed" in done.stdout, done.stdout
    assert app.profiles() == {
        "/database": {"fixture-database"},
        "/database-end": {"fixture-database"},
        "/login": {"ordering", "fixture-login"},
        "/logout": {"ordering", "fixture-login"},
        "/one": {"ordering"},
        "/two": {"ordering"},
        "/own": {"test_it.py-testothers-test_three"},
        "/three": {"test_it.py-testothers-test_three"},
        "/own-end": {"test_it.py-testothers-test_three"},
        "/again": {"test_it.py-test_that_passes_the_second_time"},
        "/never": {"test_it.py-test_that_never_does"},
    }
    said = done.stdout.splitlines()
    assert "failed, so they are no evidence of what is not executed: test_it.py-test_that_never_does" in said
