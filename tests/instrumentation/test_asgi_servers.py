"""Every ASGI server that can be installed, with two profiles that take turns inside of the same helper."""

from __future__ import annotations

from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.collector import Collector
from tests.support.commands import RUN, running
from tests.support.servers import ASGI_SERVERS, serving_asgi
from tests.support.traced import STORE_FRONT

ASGI, JOBS, MEETING, GOODS = "store_front.asgi:", "store_front.jobs:", "store_front.meeting:", "store_front.goods:"
MET = {MEETING + "arrive", ASGI + "meet", ASGI + "await_all", ASGI + "do_later"}
MET_IN_JOB = {MEETING + name for name in ("meet", "arrive", "await_all")}
OF = {
    "looking": {GOODS + "names"},
    "asking": {GOODS + "price"},
}
VIEWS = {"FastAPI": "", "Starlette": "store_front.asgi.with_starlette:", "Quart": "store_front.asgi.with_quart:"}
AROUND = {"none": "store_front.asgi.plain:app"}  # where there is no middleware
ANSWERS = {"looking": ("/look", "apple, pear"), "asking": ("/ask", "3")}


def expected(framework: str) -> dict[tuple[str, str], set[str]]:
    found: dict[tuple[str, str], set[str]] = {}
    for profile, (path, _) in ANSWERS.items():
        name = path[1:]
        views = {ASGI + name} | ({VIEWS[framework] + name} if VIEWS.get(framework) else set())
        found[profile, "server"] = {AROUND.get(framework, ASGI + "Middleware.__call__"), *MET, *OF[profile], *views}
        found[profile, "consumer"] = {*MET_IN_JOB, *OF[profile], MEETING + name, JOBS + name}
    return found


@pytest.mark.row("ASGI server")
@pytest.mark.parametrize(
    ("server", "framework"),
    [
        *(pytest.param(server, "FastAPI", id=server) for server in ASGI_SERVERS),
        *(pytest.param("uvicorn", framework, id=f"uvicorn {framework}") for framework in ("Starlette", "Quart")),
        *(pytest.param("hypercorn", framework, id=f"hypercorn {framework}") for framework in ("Starlette", "Quart")),
        pytest.param("hypercorn, HTTP/2", "FastAPI", id="hypercorn, HTTP/2"),
        *(
            pytest.param(server, framework, id=server, marks=pytest.mark.until(3, 14))  # they have no wheels for others
            for server, framework in (("uvicorn, uvloop and httptools", "FastAPI"), ("granian", "none"))
        ),
    ],
)
def test_two_profiles_that_take_turns_on_one_thread_are_recorded_apart(
    server: str, framework: str, collector: Collector, redis_url: str, tmp_path: Path
) -> None:
    (tmp_path / "web").mkdir()
    (tmp_path / "jobs").mkdir()
    environment = {
        "OTEL_COVERAGE_ENABLED": "1",
        "OTEL_COVERAGE_SOURCE": STORE_FRONT,
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
        "REDIS_URL": redis_url,
    }
    serves = serving_asgi(server, framework, MEETING=str(tmp_path / "web"), **environment)
    workers = [*RUN, "rq", "worker-pool", "--num-workers", "2", "--url", redis_url]
    with serves as client, running(workers, MEETING=str(tmp_path / "jobs"), **environment):

        def play(profile: str) -> str:
            response = client.get(ANSWERS[profile][0], headers={"X-Profile-Trace": profile})
            assert response.headers["X-Profile-Traced"] == profile
            return response.text

        with ThreadPoolExecutor(2) as players:
            assert list(players.map(play, ANSWERS)) == [answer for _, answer in ANSWERS.values()]
        spans = collector.wait_for(
            lambda spans: all([span.role for span in spans].count(role) == 2 for role in ("server", "consumer"))
        )
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    traces: dict[str, set[str]] = defaultdict(set)
    for span in spans:
        if span.role in ("server", "consumer"):
            found[span.attributes["playback.profile"], span.role] |= span.functions
            traces[span.attributes["playback.profile"]].add(span.trace_id)
            assert span.attributes["coverage.complete"] is True, span.attributes
        if span.role == "server":
            assert span.attributes.get("http.route", "") == span.name.partition(" ")[2]
    assert [len(ids) for ids in traces.values()] == [1, 1]
    assert found == expected(framework)
