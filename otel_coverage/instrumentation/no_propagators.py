"""``OTEL_PROPAGATORS=none``, so that an application can be instrumented with it."""

from __future__ import annotations

from functools import partial

from opentelemetry import propagate
from opentelemetry.context import Context
from opentelemetry.propagators.textmap import (
    CarrierT,
    Getter,
    Setter,
    TextMapPropagator,
    default_getter,
    default_setter,
)

from otel_coverage.instrumentation.patch import Patches


class NoPropagator(TextMapPropagator):
    """Reads and writes no headers."""

    def extract(
        self, carrier: CarrierT, context: Context | None = None, getter: Getter[CarrierT] = default_getter
    ) -> Context:
        """The context as it is; a new one where none is given."""
        return Context() if context is None else context

    def inject(
        self, carrier: CarrierT, context: Context | None = None, setter: Setter[CarrierT] = default_setter
    ) -> None:
        """Nothing."""

    @property
    def fields(self) -> set[str]:
        """Of the headers that it writes: none."""
        return set()


def use_no_propagator(patches: Patches) -> None:
    """Put it in the place of OpenTelemetry's own, which answers None for a context that is not given.

    OpenTelemetry's instrumentation of Flask makes that None the current context, and each request fails.
    """
    configured = propagate.get_global_textmap()
    if configured.extract({}) is None:
        ours = NoPropagator()
        propagate.set_global_textmap(ours)
        patches.on_undo(partial(_put_back, configured, ours))


def _put_back(configured: TextMapPropagator, ours: TextMapPropagator) -> None:
    if propagate.get_global_textmap() is ours:  # else somebody has set another one since
        propagate.set_global_textmap(configured)
