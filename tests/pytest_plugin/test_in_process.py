"""A suite that calls its application by Flask's ``test_client()``: the example, without a server."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from otel_coverage.collecting import Collector
from otel_coverage.store import Store
from tests.pytest_plugin.project import ROOT, Project
from tests.support.commands import wait_until_sent

EXAMPLES = str(ROOT / "examples")

CONFTEST = """
import pytest
from shop.app import create_app
from shop.settings import Settings

@pytest.fixture(scope="session")
def app(tmp_path_factory):
    app = create_app(Settings.for_testing(str(tmp_path_factory.mktemp("shop"))))
    app.testing = False
    return app

@pytest.fixture(scope="session")
def run(app):
    assert app.test_client().post("/runs/run-1", json={}).status_code == 201
    return "run-1"

@pytest.fixture
def client(app, run):
    client = app.test_client()
    client.run = run
    return client
"""

SUITE = """
import pytest

def test_products(client):
    assert client.get(f"/runs/{client.run}/products").status_code == 200

def test_search(client):
    assert client.get(f"/runs/{client.run}/products?q=tea", follow_redirects=True).status_code == 200

def test_that_fails(client):
    client.get(f"/runs/{client.run}/products/none")
    assert False

@pytest.mark.xfail
def test_that_is_expected_to_fail(client):
    client.get(f"/runs/{client.run}/products/none")
    assert False

def test_without_a_request(client):
    pass

def test_that_is_skipped(client):
    pytest.skip("not here")

@pytest.mark.playback_profile("ordering")
class TestOrders:
    def test_order(self, client):
        order = client.post(f"/runs/{client.run}/orders", json={"items": {"tea": 1}})
        assert order.status_code == 201, order.data

    def test_refused(self, client):
        assert client.post(f"/runs/{client.run}/orders", json={"items": {"none": 1}}).status_code == 404
"""


def play(project: Project, collector: Collector, *options: str) -> str:
    project.write("conftest.py", CONFTEST)
    project.write("test_shop.py", SUITE)
    done = project.run(
        *("--playback", "--playback-run-id", "r1", *options),
        path=EXAMPLES,
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://{collector.endpoints['OTLP/gRPC']}",
        OTEL_COVERAGE_SOURCE="shop",
        OTEL_RESOURCE_ATTRIBUTES="vcs.ref.head.revision=abc",
    )
    assert "1 failed, 5 passed, 1 skipped, 1 xfailed" in done.stdout, done.stdout + done.stderr
    assert done.returncode == 1
    wait_until_sent()
    assert collector.receiver.wait() == 0
    return done.stdout


def functions(store: Store, profile: str) -> set[str]:
    rows = store.query("SELECT symbol FROM coverage_matrix WHERE profile = {profile:String}", {"profile": profile}).rows
    return {symbol.rpartition("@")[0] for (symbol,) in rows}


def runs(store: Store) -> Sequence[tuple[object, ...]]:
    # each of xdist's workers opens a run of the shop's
    columns = "profile, run, outcome, if(profile = 'fixture-run', min2(requests, 1), requests), complete"
    return store.query(f"SELECT {columns} FROM profile_runs ORDER BY profile").rows


@pytest.mark.parametrize("options", [(), ("-p", "xdist", "-n", "2")], ids=["in one process", "by xdist's workers"])
def test_each_test_or_group_is_a_profile_with_what_it_executes(
    options: tuple[str, ...], project: Project, collector: Collector, store: Store
) -> None:
    output = play(project, collector, *options)
    assert runs(store) == [
        ("fixture-run", "r1", "passed", 1, True),
        ("ordering", "r1", "passed", 2, True),
        ("test_shop.py-test_products", "r1", "passed", 1, True),
        ("test_shop.py-test_search", "r1", "passed", 1, True),
        ("test_shop.py-test_that_fails", "r1", "failed", 1, True),
        ("test_shop.py-test_that_is_expected_to_fail", "r1", "failed", 1, True),
    ]
    assert functions(store, "fixture-run") >= {"shop.views.front:open_run"}
    products = functions(store, "test_shop.py-test_products")
    assert "shop.views.catalogue:browse" in products
    assert not products & {"shop.views.front:open_run", "shop.views.orders:order"}
    assert store.query("SELECT count() FROM missing_coverage").rows == [(0,)]
    assert "run r1: 6 profiles, " in output
    assert "failed, so they are no evidence of what is not executed: test_shop.py-test_that_fails, " in output
