"""In front of PYTHONPATH below ``otel-coverage run``, so that every Python begins here.

Also those of any version that have nothing of ours installed, for which this does nothing: hence the old syntax.
"""

import sys


def begin():  # type: () -> None
    """Have this process instrumented, where it can be."""
    try:
        from otel_coverage.instrumentation.start import begin
    except (ImportError, SyntaxError):
        return
    begin()


def hand_on():  # type: () -> None
    """Execute the sitecustomize that this one hides: the interpreter's own, or another tool's."""
    try:
        from importlib.machinery import PathFinder
        from importlib.util import module_from_spec
    except ImportError:
        return
    here = __file__.replace("\\", "/").rpartition("/")[0]
    hidden = PathFinder.find_spec("sitecustomize", [path for path in sys.path if path.replace("\\", "/") != here])
    if hidden is not None and hidden.loader is not None:
        hidden.loader.exec_module(module_from_spec(hidden))


begin()
hand_on()
