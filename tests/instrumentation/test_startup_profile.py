"""A command whose environment names a profile: what it executes, from its first line to its exit, is that profile's."""

from __future__ import annotations

import signal
from pathlib import Path

import httpx
import pytest

from tests.support.collector import Collector, ReceivedSpan
from tests.support.commands import PATIENCE, RUN, call, running, wait_for_answer, wait_until_sent
from tests.support.ports import free_port
from tests.support.servers import get_until_closed
from tests.support.traced import STORE_FRONT

APP = {f"store_front.web:{name}" for name in ("create_app", "Middleware.__init__")}
GOODS = "store_front.goods:"
TORN_DOWN = {"store_front.web:torn_down", GOODS + "put_back"}
UNTRACED = {f"store_front.web:{name}" for name in ("Middleware.__call__", "before")} | TORN_DOWN

SCRIPTS = {
    "script": "from store_front import goods\ngoods.price('pear')\n",
    "sys.exit": "import sys\nfrom store_front import goods\ngoods.price('pear')\nsys.exit(3)\n",
    "exception": "from store_front import goods\ngoods.price('pear')\nraise ValueError('no pears')\n",
    "SystemExit with a message": "from store_front import goods\ngoods.price('pear')\nraise SystemExit('no pears')\n",
}
CODES = {"script": 0, "sys.exit": 3, "exception": 1, "SystemExit with a message": 1}
FORKING = """
import os
from store_front import goods

goods.price("pear")
child = os.fork()
if child == 0:
    goods.names()
    raise SystemExit
os.waitpid(child, 0)
"""


def settings(collector: Collector, **environment: str) -> dict[str, str]:
    return {
        "OTEL_COVERAGE_ENABLED": "1",
        "OTEL_COVERAGE_SOURCE": STORE_FRONT,
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
        "BAGGAGE": "playback.profile=start,playback.run_id=r1",
        **environment,
    }


def of_process(collector: Collector) -> ReceivedSpan:
    (process,) = collector.wait_for_roles("process")
    assert (process.attributes["playback.profile"], process.attributes["playback.run_id"]) == ("start", "r1")
    return process


@pytest.mark.row("process as a profile")
@pytest.mark.parametrize("program", [pytest.param(name, id=name) for name in SCRIPTS])
def test_a_script_is_recorded_whichever_way_it_ends(program: str, collector: Collector, tmp_path: Path) -> None:
    script = tmp_path / "check.py"
    script.write_text(SCRIPTS[program])
    done = call([*RUN, "python", str(script)], **settings(collector))
    assert done.returncode == CODES[program]
    assert ("no pears" in done.stderr) is (CODES[program] == 1)
    process = of_process(collector)
    assert process.functions == {GOODS + "price"}
    assert process.attributes["coverage.complete"] is True


@pytest.mark.row("process as a profile", "python -m")
def test_a_package_that_is_run_is_recorded_by_its_own_name(collector: Collector, tmp_path: Path) -> None:
    (tmp_path / "nightly").mkdir()
    (tmp_path / "nightly" / "__init__.py").touch()
    (tmp_path / "nightly" / "__main__.py").write_text("def main():\n    pass\n\nmain()\n")
    source = {"OTEL_COVERAGE_SOURCE": str(tmp_path / "nightly"), "PYTHONPATH": str(tmp_path)}
    done = call([*RUN, "python", "-m", "nightly"], **settings(collector, **source))
    assert (done.returncode, done.stderr) == (0, "")
    assert of_process(collector).functions == {"nightly.__main__:main"}


@pytest.mark.row("process as a profile", "command of Flask's")
def test_a_command_of_flasks_is_recorded_with_the_factory_that_it_calls(collector: Collector, tmp_path: Path) -> None:
    (tmp_path / "commanding.py").write_text(
        "from store_front import create_app, goods\n\napp = create_app()\n\n"
        "@app.cli.command('prices')\ndef prices():\n    print(goods.price('apple'))\n"
    )
    source = {"OTEL_COVERAGE_SOURCE": f"{STORE_FRONT},{tmp_path / 'commanding.py'}", "PYTHONPATH": f"{tmp_path}"}
    source["PYTHONPATH"] += f":{Path(STORE_FRONT).parent}"
    done = call([*RUN, "flask", "--app", "commanding", "prices"], **settings(collector, **source))
    assert (done.returncode, done.stdout) == (0, "3\n"), done.stderr
    # Flask pushes a context for it, whose teardown is the application's, too
    assert of_process(collector).functions == APP | TORN_DOWN | {GOODS + "price", "commanding:prices"}


@pytest.mark.row("process as a profile", "script that forks")
def test_a_script_that_forks_says_that_its_child_was_not_recorded(collector: Collector, tmp_path: Path) -> None:
    (tmp_path / "forking.py").write_text(FORKING)
    done = call([*RUN, "python", str(tmp_path / "forking.py")], **settings(collector))
    assert done.returncode == 0, done.stderr
    process = of_process(collector)
    assert process.functions == {GOODS + "price"}
    assert process.attributes["coverage.incomplete_reason"] == "fork"


@pytest.mark.row("process as a profile", "flask run")
def test_a_server_that_is_a_profile_has_executed_what_no_request_claims(collector: Collector) -> None:
    port = free_port()
    command = [*RUN, "flask", "--app", "wsgi", "run", "--port", str(port)]
    with (
        running(command, **settings(collector)) as server,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE) as client,
    ):
        wait_for_answer(client, server)
        get_until_closed(client, "/no-such-page")  # a request that names no profile, with its teardown
        get_until_closed(client, "/goods", {"X-Profile-Trace": "browse"})
        server.send_signal(signal.SIGINT)
        server.wait(PATIENCE)
    (request,) = collector.wait_for_roles("server")
    assert request.attributes["playback.profile"] == "browse"
    assert request.functions == UNTRACED | {GOODS + "names", "store_front.web:list_goods"}
    wait_until_sent()
    of_process(collector)
    of_start = [span for span in collector.spans if span.attributes.get("playback.profile") == "start"]
    assert {name for span in of_start for name in span.functions} == APP | UNTRACED
