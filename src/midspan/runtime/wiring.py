"""Settings → registry, processors, server: the one place that knows all rooms.

`instrument()` and `uninstrument()` are the public names; `boot()` and `pre_instrument()` are for `midspan run` and
`opentelemetry-instrument`, and never raise.
"""

from __future__ import annotations

import dataclasses
import os
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from midspan import settings as settings_module
from midspan.core import failures
from midspan.core.retention import Limits
from midspan.runtime import process
from midspan.runtime.exporters import configure_exporters
from midspan.runtime.feed import Feed, inherited_pipe
from midspan.runtime.pulse import Pulse
from midspan.runtime.recording import Recording
from midspan.settings import Settings, SettingsError
from midspan.sources.attachment import MirrorAttachment
from midspan.telemetry.metering import Metering
from midspan.tracking.clock import steady_clock
from midspan.tracking.tracker import ProgressRegistry, get_progress_registry

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider
    from prometheus_client import CollectorRegistry
    from starlette.applications import Starlette

    from midspan.server.embedded import EmbeddedServer


class Runtime:
    """Everything of midspan that is alive in this process."""

    def __init__(self, registry: ProgressRegistry) -> None:
        self.registry = registry
        self.settings = Settings()
        self.mirror = MirrorAttachment(registry)
        self.metering = Metering(registry)
        self.recording = Recording(registry)
        self.pulse = Pulse(registry, self._beat, self.recording.flush)
        self.first_operation = process.FirstOperation(registry)
        self.server: EmbeddedServer | None = None
        self.metrics_server: EmbeddedServer | None = None
        self.feed: Feed | None = None
        self.patched = False

    # --- switching on -------------------------------------------------------------------------

    def configure(self, settings: Settings) -> None:
        """Take the settings over; they hold for operations to come."""
        self.settings = settings
        limits = Limits(seconds=settings.retention_seconds, operations=settings.max_operations)
        self.registry.configure(limits=limits, stall_after=settings.stall_after, owner=process.owner())

    def live(self) -> None:
        """Start the pulse, and see to fork and exit."""
        process.watch_process(self.settle, self.forked, self.close)
        self.pulse.start()
        # By then the application has set up its telemetry: our end has to come before that of its tracer provider.
        self.first_operation.then(process.exit_first)

    def record_spans(self, tracer_provider: TracerProvider | None) -> None:
        """Spans and progress events, spans to the given provider or to the global one."""
        self.recording.start(self.settings, tracer_provider)

    def mirror_spans(self, tracer_provider: TracerProvider | None) -> None:
        """Other tools' spans become operations, those of the given provider too."""
        self.mirror.attach(tracer_provider)

    def _beat(self) -> None:
        steady_clock.correct()
        self.mirror.look()
        self.metering.look()

    def patch(self) -> None:
        """Hooks on the providers' own modules, applied when (and if) the app imports them."""
        import midspan_instrumentation

        settings = self.settings
        midspan_instrumentation.apply(settings.wanted_providers, settings.unwanted_providers)
        self.patched = True

    def serve(self) -> None:
        """What the settings ask to be served, unless another process of the same run serves already.

        Raises ValueError for an unsafe address.
        """
        if self.settings.server is None and self.settings.metrics is None:
            return
        if process.serving_process() is not None:
            self.first_operation.then(self._say_who_serves)
            return
        self._serve_api()
        self._serve_metrics()
        process.claim_serving(os.getpid())

    def _say_who_serves(self) -> None:
        failures.logger.warning(
            "midspan: process %s of this run serves the API; operations of process %s are not seen there",
            process.serving_process(),
            os.getpid(),
        )

    def _serve_api(self) -> None:
        address = self.settings.server
        if address is None or self.server is not None:
            return
        from midspan.server.embedded import EmbeddedServer

        self.server = EmbeddedServer(self.app, address.host, address.port, token=self.token())
        self.server.start()

    def _serve_metrics(self) -> None:
        """`/metrics` and the probes on an address of their own, for whoever may reach it."""
        address = self.settings.metrics
        if address is None or self.metrics_server is not None:
            return
        from midspan.server.embedded import EmbeddedServer

        self.metrics_server = EmbeddedServer(self.metrics_app, address.host, address.port, public=True)
        self.metrics_server.start()

    def metrics_app(self) -> Starlette:
        """The ASGI app of that address."""
        from midspan.server.app import create_metrics_app

        return create_metrics_app(self.metrics_page())

    def app(self) -> Starlette:
        """The ASGI app over this registry."""
        from midspan.server.app import create_app

        return create_app(
            self.registry,
            metrics=self.metrics_page(),
            allowed_hosts=self.allowed_hosts(),
            token=self.token(),
        )

    def allowed_hosts(self) -> tuple[str, ...]:
        """Names that the API answers to beside loopback: those set, and the one that it is bound to."""
        address = self.settings.server
        return self.settings.allowed_hosts if address is None else (*self.settings.allowed_hosts, address.host)

    def metrics_page(self) -> Any:
        """What /metrics shows."""
        from midspan.telemetry.prometheus import MetricsPage

        return MetricsPage(self.registry, live_series=self.settings.live_series)

    def token(self) -> str | None:
        """The bearer token of the API: from the setting, or the file that it names."""
        path = self.settings.token_file
        return path.read_text(encoding="utf-8").strip() if path is not None else self.settings.token

    def send_feed(self) -> None:
        """Tell `midspan run`, when that is our parent, what happens here."""
        pipe = inherited_pipe(os.environ)
        if pipe is not None and self.feed is None:
            self.feed = Feed(self.registry, pipe)
            self.feed.start(None if self.server is None else self.server.url)

    # --- switching off ------------------------------------------------------------------------

    def unpatch(self) -> None:
        """Take the hooks and the spans away; what runs is left to its end."""
        if self.patched:
            import midspan_instrumentation

            midspan_instrumentation.undo()
            self.patched = False
        self.recording.stop()
        self.mirror.detach()
        self.metering.detach()

    def stop(self) -> None:
        """End the threads and the server."""
        self.first_operation.forget()
        self.pulse.stop()
        if self.server is not None or self.metrics_server is not None:
            process.claim_serving(None)
        for server in (self.server, self.metrics_server):
            if server is not None:
                server.stop()
        self.server = self.metrics_server = None
        if self.feed is not None:
            self.feed.close()
            self.feed = None

    def close(self) -> None:
        """The process ends."""
        try:
            process.end_running(self.registry)
            self.stop()
        except Exception:
            failures.report("exit")

    def settle(self) -> None:
        """Before a fork: a child could never import what a thread of ours has half imported."""
        for server in (self.server, self.metrics_server):
            if server is not None:
                server.settle()

    def forked(self) -> None:
        """In a forked child, where no thread has survived: they are started anew with the first operation, if any.

        The registry has seen to itself already.
        """
        for inherited in (self.server, self.metrics_server, self.feed):
            if inherited is not None:
                inherited.abandon()
        self.feed = self.server = self.metrics_server = None
        self.registry.owner = process.owner()
        self.mirror.forked()
        self.metering.forked()
        self.recording.forked()
        self.pulse.forked()
        self.first_operation.forget()
        self.first_operation.then(self._awake)

    def _awake(self) -> None:
        self.pulse.start()
        self.serve()
        process.exit_first()


_lock = threading.RLock()
_runtime: Runtime | None = None


def _forked() -> None:
    """A thread that is not there in the child may have held the lock."""
    global _lock
    _lock = threading.RLock()


os.register_at_fork(after_in_child=_forked)


def runtime() -> Runtime:
    """The process's runtime, made when it is first asked for."""
    global _runtime
    with _lock:
        if _runtime is None:
            _runtime = Runtime(get_progress_registry())
        return _runtime


def instrument(
    *,
    providers: Iterable[str] | None = None,
    events: str | None = None,
    server: str | None = None,
    stall_after: str | None = None,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
) -> None:
    """See the LLM calls of this process from now on; a second call only changes the settings it names.

    `providers`: names, or `-name` to leave one out; `events`, `server` (host:port or off) and `stall_after` are written
    as in their variables, and win over them. Raises ValueError for a value that cannot be used.
    """
    given = {"events": events, "server": server, "stall_after": stall_after}
    parsed = {name: settings_module.parse(name, text) for name, text in given.items() if text is not None}
    if providers is not None:
        parsed["providers"] = tuple(providers)
    settings = settings_module.load()
    switch_on(dataclasses.replace(settings, **parsed), tracer_provider, meter_provider)  # pyright: ignore[reportArgumentType]


def check(settings: Settings) -> None:
    """Raises SettingsError for what only shows when it is used: a provider nobody knows, an address without a token."""
    import midspan_instrumentation
    from midspan.server.addresses import is_loopback

    known = midspan_instrumentation.provider_names()
    unknown = sorted({name.removeprefix("-") for name in settings.providers} - {*known})
    if unknown:
        accepted = ", ".join(known)
        raise SettingsError(
            f"MIDSPAN_PROVIDERS={','.join(settings.providers)!r} is not valid: accepted is {accepted}, or -name"
        )
    address = settings.server
    if address is not None and not is_loopback(address.host) and not (settings.token or settings.token_file):
        raise SettingsError(
            f"MIDSPAN_SERVER={str(address)!r} is not valid without a token: set MIDSPAN_TOKEN, or bind 127.0.0.1"
        )


def switch_on(
    settings: Settings,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
) -> None:
    """Start what the settings ask for; nothing when they are disabled."""
    if not settings.enabled:
        return
    check(settings)
    with _lock:
        alive = runtime()
        alive.configure(settings)
        alive.record_spans(tracer_provider)
        alive.mirror_spans(tracer_provider)
        alive.metering.attach(meter_provider, genai=settings.genai_metrics)
        alive.patch()
        alive.live()
        alive.serve()


def uninstrument() -> None:
    """Take everything away that `instrument()` brought: patches, spans, threads, server."""
    with _lock:
        alive = runtime()
        process.forget_process()
        alive.unpatch()
        alive.stop()


def ensure_pulse() -> None:
    """For readers of changes where nothing was instrumented."""
    with _lock:
        runtime().live()


def asgi() -> Starlette:
    """The API as an ASGI app, to mount into one of yours. It has no lifespan of its own to run."""
    alive = runtime()
    with _lock:
        if not alive.patched:
            alive.configure(settings_module.load())
        alive.live()
    return alive.app()


def register_prometheus(registry: CollectorRegistry | None = None) -> None:
    """Show midspan's metrics in the `/metrics` that the app already has (prometheus-client's REGISTRY by default)."""
    from prometheus_client import REGISTRY

    from midspan.telemetry.prometheus import register

    register(runtime().registry, REGISTRY if registry is None else registry)


def boot() -> None:
    """Under `midspan run`: switch on before the app's first line. Never raises."""
    try:
        settings = settings_module.load()
        if settings.enabled:
            configure_exporters()
            switch_on(settings)
            runtime().send_feed()
    except Exception as error:
        _give_up(error)


def pre_instrument() -> None:
    """Entry point `opentelemetry_pre_instrument`: our hooks stand before anybody else wraps. Never raises."""
    try:
        settings = settings_module.load()
        if not _disabled_by_opentelemetry() and runtime().patched is False:
            switch_on(settings)
    except Exception as error:
        _give_up(error)


def _disabled_by_opentelemetry() -> bool:
    listed = os.environ.get("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "").replace(" ", "").split(",")
    return bool({"*", "midspan"} & set(listed))


def _give_up(error: Exception) -> None:
    if isinstance(error, SettingsError):
        failures.logger.error("midspan is off: %s", error)
        return
    failures.report("start")
