"""The HTTP clients whose requests name the profile of the test that makes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import ModuleType

import wrapt
from opentelemetry import context as otel_context

from otel_coverage.instrumentation.patch import Patches
from otel_coverage.pytest_plugin.plays import Play, Stage
from otel_coverage.pytest_plugin.targets import Origin, Targets

_SUPPRESSED = ("suppress_instrumentation", "suppress_http_instrumentation")  # as OpenTelemetry's own clients say


@dataclass(frozen=True)
class Clients:
    """What the hooks into clients need to know.

    Attributes:
        stage: which profile plays.
        targets: who may know of it.
        patches: of the hooks.
        in_process: makes an application of this process traced, and returns whether it is.
        notes: what the user has to know at the end.
    """

    stage: Stage
    targets: Targets
    patches: Patches
    in_process: Callable[[object], bool]
    notes: set[str] = field(default_factory=set)

    def play_for(self, origin: Origin | None) -> Play | None:
        """The profile that a request to that origin names; None for none."""
        play = self.stage.current
        if play is None or origin is None or not self.targets.allow(origin):
            return None
        return None if any(map(otel_context.get_value, _SUPPRESSED)) else play


def install(clients: Clients) -> None:
    """Hook into the clients that are imported, now or later."""
    from otel_coverage.pytest_plugin.clients import http_client

    http_client.install(clients)
    _when_imported("aiohttp", "aiohttp", clients)
    _when_imported("httpx", "httpx", clients)
    _when_imported("werkzeug.test", "werkzeug", clients)
    _when_imported("playwright.sync_api", "playwright", clients)
    _when_imported("playwright.async_api", "playwright", clients)


def _when_imported(package: str, file: str, clients: Clients) -> None:
    def hook(module: ModuleType) -> None:
        import importlib

        importlib.import_module(f"otel_coverage.pytest_plugin.clients.{file}").install(clients, module)

    wrapt.register_post_import_hook(hook, package)
