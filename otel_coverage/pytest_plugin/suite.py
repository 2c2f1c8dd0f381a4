"""The hooks of a session whose tests are profiles: which one plays when, how it went, and what is said at the end."""

from __future__ import annotations

import gc
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from opentelemetry.trace import Tracer

from otel_coverage.errors import OtelCoverageError
from otel_coverage.instrumentation.patch import Patches
from otel_coverage.playback.runner import PlaybackTelemetry, new_run_id
from otel_coverage.pytest_plugin import MARKER, PlaybackProfile, clients
from otel_coverage.pytest_plugin.in_process import Applications
from otel_coverage.pytest_plugin.plays import Play, Run, Stage
from otel_coverage.pytest_plugin.results import Results
from otel_coverage.pytest_plugin.slugs import slug_of, slugs
from otel_coverage.pytest_plugin.targets import Targets
from otel_coverage.settings import Settings
from otel_coverage.slug import SLUG_RULE, check_slug, is_slug, shown
from otel_coverage.spool import service

_RUN, _RESULTS = "otel_coverage_run", "otel_coverage_results"  # what xdist carries to a worker, and from it


class Suite:
    """A test session that plays profiles: in one process, in a worker of xdist, or in the process that leads those.

    Args:
        config: pytest's.
        run: what its profiles have in common.
        telemetry: sends their spans.
        targets: who may know of them.
    """

    def __init__(self, config: pytest.Config, run: Run, telemetry: PlaybackTelemetry, targets: Targets) -> None:
        self._config = config
        self._run = run
        self._telemetry = telemetry
        self._stage = Stage()
        self._results = Results(is_named=run.named)
        self._slugs: dict[str, str] = {}
        self._plays: dict[str, Play] = {}  # that go on after a test: of groups and fixtures
        self._failed = False  # whether the test that runs has failed so far
        self._is_worker = hasattr(config, "workerinput")
        self._patches = Patches()
        self._applications = Applications(config, run.settings)
        self._clients = clients.Clients(self._stage, targets, self._patches, self._applications.make_traced)
        clients.install(self._clients)

    @classmethod
    def of(cls, config: pytest.Config) -> Suite:
        """The suite of a session, as its options have it.

        Raises:
            pytest.UsageError: one of them cannot be used.
        """
        try:
            settings = Settings.load(folder=config.rootpath)
            given = getattr(config, "workerinput", {}).get(_RUN)
            named = given or config.getoption("playback_run_id") or settings.run_id or new_run_id()
            run_id = check_slug("the run id", named)
            names: Sequence[str] = config.getoption("playback_targets") or config.getini("playback_targets")
            targets = Targets.parse(names)
            telemetry = PlaybackTelemetry.open(settings, may_fork=True)
        except OtelCoverageError as error:
            raise pytest.UsageError(f"otel-coverage: {error}") from error
        tracer: Tracer = telemetry.provider.get_tracer("otel_coverage.pytest_plugin")
        return cls(config, Run(run_id, settings, tracer, named=bool(names)), telemetry, targets)

    def profile_of(self, item: pytest.Item) -> PlaybackProfile:
        """The profile that a test is, with the headers that name it."""
        slug = self._slug(item)
        if slug is None:
            return PlaybackProfile()
        play = self._stage.current
        return PlaybackProfile(slug, self._run.run_id, {} if play is None else play.give_headers())

    # which profile plays

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Name the tests: by what was collected, so that each worker of xdist names them alike."""
        marked = {slug for item in items if (slug := _marked(item)) is not None}
        self._slugs = slugs((item.nodeid for item in items), marked)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Play the test's profile while it runs, with its fixtures."""
        slug = self._slug(item)
        if slug is None:
            with self._playing(None):
                return (yield)
        is_own = _marked(item) is None
        play = Play(self._run, slug) if is_own else self._lasting(slug)
        self._failed = False
        with self._playing(play):
            result = yield
        play.failed = play.failed or self._failed
        if is_own:
            self._finish(play)
        return result

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(
        self, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Note how it went; where it runs again (pytest-rerunfailures), how that went."""
        report = yield
        play = self._stage.current
        if call.when == "setup":
            self._failed = False
        is_cut_short = report.skipped and (call.when != "setup" or (play is not None and play.has_called))
        if report.failed or is_cut_short:  # an expected failure is reported as skipped
            self._failed = True
        return report

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
    ) -> Generator[None, object, object]:
        """What a fixture of several tests does belongs to none of them: which one comes first, is chance."""
        if fixturedef.scope == "function":
            return (yield)
        marked = _marked(request.node)
        slug = marked or slug_of(f"fixture-{fixturedef.baseid}::{fixturedef.argname}")
        play = self._lasting(slug)
        fixturedef.addfinalizer(self._stage.leave)  # the last that runs: they run in reverse
        try:
            with self._playing(play):
                result = yield
        except BaseException as error:
            play.failed = play.failed or not isinstance(error, pytest.skip.Exception)
            raise
        finally:
            fixturedef.addfinalizer(lambda: self._stage.enter(play))
        return result

    # xdist

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """All workers have one run."""
        node.workerinput[_RUN] = self._run.run_id

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """A worker has ended; one that crashed has left nothing."""
        found = getattr(node, "workeroutput", {}).get(_RESULTS)
        if found is not None:
            self._results.add(Results.from_json(found))

    # the end

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Generator[None, object, object]:
        """Say how groups went, and wait until it is known what has arrived."""
        result = yield  # the last fixtures end in it, and xdist's workers
        is_cut_short = session.exitstatus == pytest.ExitCode.INTERRUPTED or bool(session.shouldstop)
        for play in self._plays.values():
            play.failed = play.failed or is_cut_short
            self._finish(play)
        self._patches.undo()
        if self._applications.are_traced:
            gc.collect()  # a response that nobody closed ends its request when it goes
        wait: float = self._config.getoption("playback_wait")
        self._deliver(0.0 if is_cut_short else wait)
        self._results.notes |= self._clients.notes | self._applications.notes
        self._results.untraced |= {str(origin): number for origin, number in self._run.untraced.items()}
        if self._is_worker:
            self._config.workeroutput[_RESULTS] = self._results.as_json()  # type: ignore[attr-defined]
            return result
        if not is_cut_short:
            self._results.look_into_store(self._config.getoption("playback_store"), self._run.run_id, wait)
        is_strict = self._config.getoption("playback_strict") and list(self._results.problems(self._run.run_id))
        if is_strict and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
        return result

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Print the run, what is known to be missing, and what to call next."""
        if self._config.option.collectonly:
            return
        terminalreporter.section("playback")
        for line in self._results.lines(self._run.run_id, self._config.getoption("playback_store")):
            terminalreporter.line(line)

    @pytest.hookimpl(trylast=True)
    def pytest_unconfigure(self) -> None:
        """Leave nothing hooked."""
        self._patches.undo()
        self._applications.release()

    def _deliver(self, timeout: float) -> None:
        """Leave what ended to the spool, and wait until it is acknowledged."""
        deadline = time.monotonic() + timeout
        self._applications.flush(timeout)
        self._results.undelivered += self._telemetry.close(max(deadline - time.monotonic(), 1.0))
        spool = service.installed()
        if spool is not None and self._results.profiles and not spool.wait(max(deadline - time.monotonic(), 0.0)):
            self._results.waiting_bytes = max(self._results.waiting_bytes, spool.spool.unsent_bytes())

    def _slug(self, node: Any) -> str | None:
        for mark in node.iter_markers(MARKER):
            return _checked(node, mark)
        return self._slugs.get(node.nodeid) or slug_of(node.nodeid)

    def _lasting(self, slug: str) -> Play:
        play = self._plays.get(slug)
        if play is None:
            play = self._plays[slug] = Play(self._run, slug)
        return play

    def _finish(self, play: Play) -> None:
        play.finish()
        self._results.note(play)

    @contextmanager
    def _playing(self, play: Play | None) -> Generator[None, None, None]:
        self._stage.enter(play)
        try:
            yield
        finally:
            self._stage.leave()


def _marked(node: Any) -> str | None:
    """The profile that the closest marker names; None where there is none, or it says that the test is not any."""
    mark = node.get_closest_marker(MARKER)
    return None if mark is None else _checked(node, mark)


def _checked(node: Any, mark: pytest.Mark) -> str | None:
    slug = mark.args[0] if len(mark.args) == 1 and not mark.kwargs else mark.kwargs.get("slug", "")
    if slug is None:
        return None
    if not isinstance(slug, str) or not is_slug(slug):
        what = shown(slug) if isinstance(slug, str) else repr(slug)
        raise pytest.UsageError(f"otel-coverage: {node.nodeid}: the marker {MARKER} names {what}; use {SLUG_RULE}")
    return slug
