"""The services of ``docker-compose.yml`` as processes of this machine: its commands, environment and health checks.

What a container has and this machine may lack is in a folder of small programs: ``redis-server`` is the one of the test
extra, ``redis-cli`` and ``wget`` do what health checks ask of them, ``rotel-agent`` is in a wheel. In the place of
ClickHouse's server stands the endpoint of ``otel-coverage collect``. Names of hosts become ports of the loopback
interface, and volumes folders.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from otel_coverage.demo.redis import find_redis
from tests.support import compose
from tests.support.commands import BIN, call, running, wait_until
from tests.support.ports import free_port
from tests.support.rotel import agent

PORTS = ("4317", "4318", "6379", "8000", "8123")
VARIABLES = {
    **{name: name.lower().replace("_", "-") for name in compose.required("docker-compose.yml")},
    "REVISION": "c" * 40,
}

_ADDRESS = re.compile(
    r"\b(?:clickhouse|collector|redis|web|127\.0\.0\.1|0\.0\.0\.0)(?P<between>:|', )(?P<port>\d{4})\b"
)
_FOLDER = re.compile(r"(?<![\w/.])/(app/examples|data|state|artifacts|tmp)\b")
_PROGRAM = """\
#!/bin/sh
{environment}exec {command} "$@"
"""
_PING = """\
import os, sys
from redis import Redis
assert sys.argv[1:] == ["ping"]
Redis(port={port}, password=os.environ["REDISCLI_AUTH"]).ping()
"""
_GET = """\
import sys, urllib.request
*options, url = sys.argv[1:]
assert options == ["-q", "-O", "-"]
urllib.request.urlopen(url).read()
"""


@dataclass
class Deployment:
    """The services, in a folder.

    Attributes:
        folder: of programs, volumes and what the services write.
        services: as the Compose file describes them.
        ports: a container's port → one of the loopback interface.
    """

    folder: Path
    services: Mapping[str, Any]
    ports: Mapping[str, int]
    _running: ExitStack

    def make_programs(self) -> None:
        """Write what a container has."""
        ping, get = self.folder / "ping.py", self.folder / "get.py"
        ping.write_text(_PING.format(port=self.ports["6379"]))
        get.write_text(_GET)
        self._write("redis-cli", f"{sys.executable} {ping}")
        self._write("wget", f"{sys.executable} {get}")
        self._write("redis-server", f"{find_redis()} --port {self.ports['6379']} --dir {self.folder}")
        self._write("rotel-agent", str(agent()), LD_LIBRARY_PATH=str(sysconfig.get_config_var("LIBDIR")))

    def _write(self, name: str, command: str, **environment: str) -> None:
        file = self.folder / "bin" / name
        lines = "".join(f"export {key}={value}\n" for key, value in environment.items())
        file.write_text(_PROGRAM.format(environment=lines, command=command))
        file.chmod(0o700)

    def start(self, name: str, instead: str = "", **more: str) -> None:
        """Start a service, or another command in its place, and wait until its health check passes."""
        service = self.services[name]
        environment = {**self.environment(name), **more}
        command = self._here(shlex.split(instead) or compose.command(service))
        process = self._running.enter_context(running(command, **environment))
        check = self._here(compose.health_check(service))

        def is_healthy() -> bool:
            assert process.poll() is None, f"{name} has ended"
            return call(check, self.folder, **environment).returncode == 0

        wait_until(is_healthy)

    def run(self, name: str) -> subprocess.CompletedProcess[str]:
        """Run a service that ends by itself."""
        return call(self._here(compose.command(self.services[name])), self.folder, **self.environment(name))

    def environment(self, name: str) -> dict[str, str]:
        """What the service finds in its environment."""
        service = self.services[name]
        variables = {key: self._local(value) for key, value in compose.environment(service).items()}
        path = os.pathsep.join([str(self.folder / "bin"), str(BIN), os.environ.get("PATH", os.defpath)])
        return {**variables, "PATH": path, "PYTHONPATH": self._local(service.get("working_dir", "/app/examples"))}

    def _here(self, arguments: list[str]) -> list[str]:
        return [self._local(argument) for argument in arguments]

    def _local(self, text: str) -> str:
        """Hosts with their ports, and the folders of the image and of volumes, as they are here."""
        text = _ADDRESS.sub(lambda found: f"127.0.0.1{found['between']}{self.ports[found['port']]}", text)
        return _FOLDER.sub(
            lambda found: str(compose.ROOT / "examples" if found[1] == "app/examples" else self.folder / found[1]), text
        )


@contextmanager
def deployment_in(folder: Path) -> Iterator[Deployment]:
    """A deployment without a service yet. All services end with it; where it fails, what they have printed is shown."""
    for name in ("bin", "data", "state", "tmp"):
        (folder / name).mkdir(mode=0o700)
    services: Mapping[str, Any] = compose.read("docker-compose.yml", VARIABLES)["services"]
    with ExitStack() as running_services:
        deployment = Deployment(folder, services, {port: free_port() for port in PORTS}, running_services)
        deployment.make_programs()
        yield deployment
