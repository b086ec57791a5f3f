"""Where the mirror hangs: at the tracer providers that are there, and at the one that the application sets later.

Imports the API when it is attached, and the SDK only where the application has: its providers alone have processors.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, cast
from weakref import ref

from midspan.core import failures
from midspan.tracking.tracker import ProgressRegistry

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

    from midspan.sources.otel_spans import SpanMirror


class _TakesProcessors(Protocol):
    def add_span_processor(self, span_processor: SpanMirror) -> None: ...


class MirrorAttachment:
    """Keeps one mirror at the global tracer provider, whenever that is set, and at any given one."""

    def __init__(self, registry: ProgressRegistry) -> None:
        self._registry = registry
        self._mirror: SpanMirror | None = None
        # Compared by identity: Logfire's provider cannot be hashed.
        self._providers: list[ref[object]] = []
        self._replaced: Callable[[TracerProvider], None] | None = None
        self._hook: Callable[[TracerProvider], None] | None = None
        self._on = False
        self._lock = threading.Lock()

    def attach(self, tracer_provider: TracerProvider | None = None) -> None:
        """Mirror the spans of the global provider, and of `tracer_provider`; a second time changes nothing.

        Raises nothing.
        """
        self._on = True
        if self._mirror is not None:
            self._switch(self._mirror, True)
        self._hook_in()
        self.look(tracer_provider)

    def detach(self) -> None:
        """Begin no operation any more; what runs ends with its span."""
        self._on = False
        if self._mirror is not None:
            self._switch(self._mirror, False)
        if self._hook is None or self._replaced is None:
            return
        from opentelemetry import trace

        if trace.set_tracer_provider is self._hook:
            trace.set_tracer_provider = self._replaced
            self._hook = None

    def look(self, given: TracerProvider | None = None) -> None:
        """See whether there is a global provider by now, and what the spans have become. Raises nothing."""
        try:
            if self._on:
                from opentelemetry import trace

                self._add_to(given)
                # Asked for by its function, the one that a variable names would be made before the application's own.
                self._add_to(getattr(trace, "_TRACER_PROVIDER", None))
            if self._mirror is not None:
                self._mirror.look()
        except Exception:
            failures.report("otel_spans")

    def forked(self) -> None:
        """In a forked child, where another thread may have held the lock."""
        self._lock = threading.Lock()
        if self._mirror is not None:
            self._mirror.forked()

    def _switch(self, mirror: SpanMirror, on: bool) -> None:
        mirror.enabled = on
        self._registry.foreign = mirror if on else None

    def _add_to(self, provider: object) -> None:
        if hasattr(provider, "add_span_processor") and self._is_new(provider):
            cast("_TakesProcessors", provider).add_span_processor(self._made())

    def _is_new(self, provider: object) -> bool:
        with self._lock:
            self._providers = [known for known in self._providers if known() is not None]
            if any(known() is provider for known in self._providers):
                return False
            self._providers.append(ref(provider))
            return True

    def _made(self) -> SpanMirror:
        if self._mirror is None:
            from midspan.sources.otel_spans import SpanMirror

            self._mirror = SpanMirror(self._registry)
            self._switch(self._mirror, self._on)
        return self._mirror

    def _hook_in(self) -> None:
        if self._hook is not None:
            return
        from opentelemetry import trace

        replaced = trace.set_tracer_provider

        @functools.wraps(replaced)
        def set_tracer_provider(tracer_provider: TracerProvider) -> None:
            replaced(tracer_provider)
            self.look()

        self._replaced, self._hook = replaced, set_tracer_provider
        trace.set_tracer_provider = set_tracer_provider
