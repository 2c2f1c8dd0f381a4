"""What this process reports of itself: the routes that it serves, and the functions that it queues as jobs.

Nobody waits for it: a thread that lives as long as that takes reads the URL maps, once when the first application is
served and, a moment later, when routes are added. What was reported is not reported again, in forked
children neither. A process that imports an application and serves no request reports no routes: those are of another
service.
"""

from __future__ import annotations

import _thread
import atexit
import json
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.trace import TracerProvider

from otel_coverage import __version__
from otel_coverage.instrumentation.patch import Patches
from otel_coverage.instrumentation.routes import starlette, werkzeug
from otel_coverage.instrumentation.routes.route import Route, symbol_of_view
from otel_coverage.instrumentation.span_makers import wrapped_by
from otel_coverage.source import encodable
from otel_coverage.tracing.context import with_playback, with_role
from otel_coverage.tracing.forks import in_child, is_uwsgi
from otel_coverage.tracing.log import log
from otel_coverage.tracing.playback import ROUTES, STARTUP
from otel_coverage.tracing.recorder import Recorder

ATTRIBUTE = "coverage.routes"

DELAY_SECONDS = 1.0  # after a route was added, until it is reported with those that follow it

_SPAN_BYTES = 64 * 1024
_LONGEST = 1_000  # characters of a rule or a name

Reported = tuple[str, str, str, str, str]  # kind, method, rule, endpoint, symbol


class Register:
    """The register of this process. Safe to use from any thread; no method raises.

    Args:
        recorder: names the views.
        provider: makes the spans that report.
        delay: seconds that an added route waits for others.
    """

    def __init__(self, recorder: Recorder, provider: TracerProvider, delay: float = DELAY_SECONDS) -> None:
        self._recorder = recorder
        self._provider = provider
        self._delay = delay
        self._apps: weakref.WeakSet[Any] = weakref.WeakSet()
        self._jobs: dict[str, Any] = {}  # functions that are not reported yet, by name
        self._queued: set[str] = set()
        self._reported: set[Reported] = set()
        self._due: float | None = None  # on the monotonic clock; None where all is reported
        self._is_running = False
        self._is_closed = False
        self._ends_at_exit = False
        self._lock = threading.Lock()  # never held while anything of the application's may run
        self._reporting = threading.RLock()
        in_child(self._after_fork)

    def serve(self, app: Any) -> None:
        """The process serves requests to an application of a known framework: report its routes."""
        try:
            if app not in self._apps:
                self._apps.add(app)
                self._schedule(0.0)
        except Exception as error:
            log.failed("reading the routes of an application", error)

    def changed(self) -> None:
        """A route was added, to some application."""
        try:
            if self._apps:
                self._schedule(self._delay)
        except Exception as error:
            log.failed("reading the routes of an application", error)

    def queued(self, name: str, function: Any = None, *, at_once: bool = False) -> None:
        """A function was queued as a job.

        Args:
            name: ``module:qualname``, or dotted where its module is not imported here.
            function: itself, where it is known.
            at_once: report it now, in this thread: the process is about to fork, and starts no thread.
        """
        if not name or name in self._queued:
            return
        try:
            self._queued.add(name)
            self._jobs[name] = function
            if at_once:
                self.report()
            elif self._apps:
                self._schedule(self._delay)
            else:
                self._end_at_exit()
        except Exception as error:
            log.failed("noting a function that is queued", error)

    def report(self) -> None:
        """Report now what is not reported yet."""
        try:
            with self._reporting:
                self._due = None
                if self._is_closed:
                    return
                new = [each for each in dict.fromkeys(self._found()) if each not in self._reported]  # in their order
                self._reported.update(new)
                self._send(new)
        except Exception as error:
            log.failed("reporting the routes of an application", error)

    def close(self) -> None:
        """Report nothing any more."""
        self._is_closed = True
        atexit.unregister(self._end)

    def _found(self) -> Iterator[Reported]:
        for app in list(self._apps):
            for _ in range(3):
                try:
                    routes = list(_routes_of(app))
                    break
                except RuntimeError as raised:  # routes are being added, in another thread
                    error = raised
                    time.sleep(0.01)
            else:
                log.failed("reading the routes of an application", error)
                continue
            for route in routes:
                symbol = "" if route.view is None else self._symbol(route.view)
                yield "request", route.method[:32], _text(route.rule), _text(route.endpoint), symbol
        for name in list(self._jobs):
            yield "job", "", _text(name), "", self._symbol(self._jobs.pop(name))

    def _symbol(self, view: Any) -> str:
        try:
            return symbol_of_view(view, self._recorder)
        except Exception as error:  # what a view is made of is the application's
            log.failed("naming a view", error)
            return ""

    def _send(self, found: Iterable[Reported]) -> None:
        context = with_role(with_playback(Context(), STARTUP, self._recorder.settings), ROUTES)
        tracer = self._provider.get_tracer("otel_coverage", __version__)
        for texts in _chunks([json.dumps(each, separators=(",", ":")) for each in found]):
            span = tracer.start_span(ROUTES, context, attributes={ATTRIBUTE: texts})
            kept = (getattr(span, "attributes", None) or {}).get(ATTRIBUTE)
            if kept is not None and tuple(kept) != tuple(texts):
                log.warn(
                    "cut_routes",
                    "coverage: the provider cuts attributes at a length, and with it routes that it reports: what no "
                    "profile asks for will lack some",
                )
            span.end()

    def _schedule(self, delay: float) -> None:
        with self._lock:
            if self._is_closed:
                return
            due = time.monotonic() + delay
            self._due = due if self._due is None else min(self._due, due)
            if self._is_running:
                return
            self._is_running = True
        if is_uwsgi():  # in which threads may never run, and exit handlers neither
            self._is_running = False
            self.report()
            return
        self._end_at_exit()
        token = otel_context.attach(Context())
        try:
            _thread.start_new_thread(self._run, ())
        except RuntimeError:  # no thread left: it is reported at exit
            self._is_running = False
        finally:
            otel_context.detach(token)

    def _run(self) -> None:
        while True:
            with self._lock:
                due = self._due
                if due is None or self._is_closed:
                    self._is_running = False
                    return
            pause = due - time.monotonic()
            if pause > 0:
                time.sleep(pause)
            self.report()

    def _end_at_exit(self) -> None:
        if not self._ends_at_exit:
            self._ends_at_exit = True
            atexit.register(self._end)  # the provider's shutdown was registered earlier, so it runs later

    def _end(self) -> None:
        if self._due is not None or self._jobs:
            self.report()

    def _after_fork(self) -> None:
        self._lock, self._reporting = threading.Lock(), threading.RLock()
        self._is_running = False
        self._jobs.clear()  # their parent reports them
        if self._due is not None:
            self._due = None
            self._apps = weakref.WeakSet()  # served anew, if at all
            served.last = None


class _Served:
    __slots__ = ("last",)

    def __init__(self) -> None:
        self.last: object = None


served = _Served()
"""The application that was asked last: all that a request pays is to compare it with its own."""

_register: Register | None = None


def install(recorder: Recorder, provider: TracerProvider) -> Callable[[], None]:
    """Make the register of this process, unless it has one. Returns what undoes that."""
    global _register
    if _register is None:
        _register = Register(recorder, provider)
        served.last = None
    return uninstall


def installed() -> Register | None:
    """The register of this process; None where nothing is recorded."""
    return _register


def uninstall() -> None:
    """Forget the register."""
    global _register
    register, _register = _register, None
    if register is not None:
        register.close()


def serve(app: object) -> None:
    """A request came to ``app``, or a server is about to serve it. Never raises."""
    served.last = app
    if _register is not None:
        _register.serve(app)


def serve_within(application: object) -> None:
    """A server is about to serve ``application``: report the routes of what it is wrapped around. Never raises."""
    if _register is None:
        return
    try:
        for app in wrapped_by(application, is_application):
            _register.serve(app)
    except Exception as error:
        log.failed("looking for the applications that are served", error)


def watch_routes(patches: Patches, owner: type) -> None:
    """Have routes reported that are made from now on.

    Args:
        patches: undo it.
        owner: a class of routes, or werkzeug's of URL maps.
    """
    patches.wrap(owner, "add" if owner.__name__ == "Map" else "__init__", _made)


def _made(make: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    result = make(*args, **kwargs)
    if _register is not None:
        _register.changed()
    return result


def queued(name: str, function: Any = None, *, at_once: bool = False) -> None:
    """See :meth:`Register.queued`."""
    if _register is not None:
        _register.queued(name, function, at_once=at_once)


def is_application(app: object) -> bool:
    """Whether it is an application whose routes can be read."""
    return werkzeug.is_application(app) or starlette.is_application(app)


def _routes_of(app: Any) -> Iterator[Route]:
    return werkzeug.routes_of(app) if werkzeug.is_application(app) else starlette.routes_of(app)


def _chunks(texts: list[str]) -> Iterator[list[str]]:
    chunk: list[str] = []
    size = 0
    for text in texts:
        if chunk and size + len(text) > _SPAN_BYTES:
            yield chunk
            chunk, size = [], 0
        chunk.append(text)
        size += len(text)
    if chunk:
        yield chunk


def _text(text: object) -> str:
    return encodable(str(text))[:_LONGEST]
