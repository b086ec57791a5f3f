"""Settings → registry, processors, server: the one place that knows all rooms.

`instrument()` and `uninstrument()` are the public names; `boot()` and `pre_instrument()` are for `midspan run` and
`opentelemetry-instrument`, and never raise.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec

from midspan import settings as settings_module
from midspan.core import failures
from midspan.core.retention import Limits
from midspan.runtime import exporters, process
from midspan.runtime.forked_exporters import renew_exporters
from midspan.runtime.pulse import Pulse
from midspan.runtime.recording import Recording, wanted_content
from midspan.runtime.serving import Serving
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

    from midspan.runtime.examined import Examined
    from midspan.runtime.feed import Feed
    from midspan.runtime.watching import JobSnapshots


class Runtime:
    """Everything of midspan that is alive in this process."""

    def __init__(self, registry: ProgressRegistry) -> None:
        self.registry = registry
        self.settings = Settings()
        self.mirror = MirrorAttachment(registry)
        self.metering = Metering(registry)
        self.recording = Recording(registry)
        self.pulse = Pulse(registry, self._beat, self.recording.flush)
        self.exporting = process.FirstOperation(registry)
        self.first_operation = process.FirstOperation(registry)
        self.serving = Serving(registry, self.first_operation)
        self.feed: Feed | None = None
        self.patched = False

    # --- switching on -------------------------------------------------------------------------

    def export(self) -> None:
        """Exporters as the environment says, made as late as can be: a provider of the application's goes first."""
        # What an exporter needs in a forked child has to be done before its own threads begin there.
        process.see_forks()
        if exporters.are_chosen():
            exporters.preload()
            self.exporting.then(self._make_exporters)
            exporters.at_first_span(self.exporting.act)
            process.when_main_ends(self.exporting.act)

    def _make_exporters(self) -> None:
        exporters.configure_exporters()
        # Not left to the pulse: a process may be over before its next beat.
        self.metering.look()
        self.recording.look()

    def configure(self, settings: Settings) -> None:
        """Take the settings over; they hold for operations to come."""
        self.settings = self.serving.settings = settings
        limits = Limits(seconds=settings.retention_seconds, operations=settings.max_operations)
        self.registry.configure(limits=limits, stall_after=settings.stall_after, owner=process.owner())
        self.registry.capture = wanted_content(settings)

    def claim(self) -> None:
        """Where tokens are for the operations of one principal, each operation says whose it is."""
        token = self.serving.token()
        if token is None or "@" not in token:
            return
        from midspan.server.tokens import Tokens
        from midspan.telemetry.principal import current_principal

        if Tokens.parse(token).have_principals:
            self.registry.principal_of = current_principal

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
        self.recording.look()

    def patch(self) -> None:
        """Hooks on the providers' own modules, applied when (and if) the app imports them."""
        import midspan_instrumentation

        settings = self.settings
        midspan_instrumentation.apply(settings.wanted_providers, settings.unwanted_providers)
        self.patched = True

    def send_feed(self) -> None:
        """Tell `midspan run`, when that is our parent, what happens here."""
        from midspan.runtime.feed import Feed, inherited_pipe

        pipe = inherited_pipe(os.environ)
        if pipe is not None and self.feed is None:
            self.feed = Feed(self.registry, pipe)
            self.feed.start(self.serving.url)

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
        self.serving.stop()
        if self.feed is not None:
            self.feed.close()
            self.feed = None

    def close(self) -> None:
        """The process ends."""
        try:
            process.end_running(self.registry)
            imports = self.serving.is_importing
            self.stop()
            if imports:
                process.stay_interrupted()
        except Exception:
            failures.report("exit")

    def settle(self) -> None:
        """Before a fork: a child could never import what a thread of ours has half imported."""
        self.serving.settle()

    def forked(self) -> None:
        """In a forked child, where no thread has survived: they are started anew with the first operation, if any.

        The registry has seen to itself already.
        """
        self.serving.abandon()
        renew_exporters(self.recording.provider, self.metering.provider)
        if self.feed is not None:
            self.feed.abandon()
            self.feed = None
        self.registry.owner = process.owner()
        self.mirror.forked()
        self.metering.forked()
        self.recording.forked()
        self.pulse.forked()
        self.exporting.forked()
        self.first_operation.forked()
        self.first_operation.forget()
        self.first_operation.then(self._awake)

    def _awake(self) -> None:
        self.pulse.start()
        self.serving.start()
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
    switch_on(msgspec.structs.replace(settings, **parsed), tracer_provider, meter_provider)  # pyright: ignore[reportArgumentType]


def check(settings: Settings) -> None:
    """Raises SettingsError for what only shows when it is used: a provider nobody knows, an address without a token."""
    import midspan_instrumentation

    known = midspan_instrumentation.provider_names()
    unknown = sorted({name.removeprefix("-") for name in settings.providers} - {*known})
    if unknown:
        accepted = ", ".join(known)
        raise SettingsError(
            f"MIDSPAN_PROVIDERS={','.join(settings.providers)!r} is not valid: accepted is {accepted}, or -name"
        )
    _check_address(settings)
    _check_token(settings)


def _check_address(settings: Settings) -> None:
    address = settings.server
    if address is None or settings.token or settings.token_file:
        return
    from midspan.server.addresses import is_loopback

    if not is_loopback(address.host):
        raise SettingsError(
            f"MIDSPAN_SERVER={str(address)!r} is not valid without a token: set MIDSPAN_TOKEN, or bind 127.0.0.1"
        )


def examine_providers() -> Sequence[Examined]:
    """Every provider that is known, and whether its SDK is installed and fits. Imports the installed SDKs."""
    import midspan_instrumentation

    return midspan_instrumentation.examine_providers()


def _check_token(settings: Settings) -> None:
    if settings.token is None:
        return
    from midspan.server.tokens import Tokens

    try:
        Tokens.parse(settings.token)
    except ValueError as error:
        raise SettingsError(f"MIDSPAN_TOKEN is not valid: {error}") from None


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
        alive.claim()
        alive.record_spans(tracer_provider)
        alive.mirror_spans(tracer_provider)
        alive.metering.attach(meter_provider, genai=settings.genai_metrics)
        alive.patch()
        alive.live()
        alive.serving.start()


def uninstrument() -> None:
    """Take everything away that `instrument()` brought: patches, spans, threads, server."""
    with _lock:
        alive = runtime()
        process.forget_process()
        alive.unpatch()
        alive.stop()


def watch_job(job: object, client: object | None, kind: str | None, timeout: float | None) -> JobSnapshots:
    """Ask a provider for one of its jobs until that has ended; see `midspan.watch`."""
    from midspan_instrumentation.jobs import watching

    return watching.watch_job(job, client, kind, timeout)


def watch_job_by_name(provider: str, job_id: str, kind: str | None) -> JobSnapshots:
    """The same with a client that takes its settings from the environment.

    Raises LookupError for a provider whose jobs are not known, ValueError for an id of an unknown kind, and what the
    SDK raises where it is missing, or lacks a setting.
    """
    from midspan_instrumentation.jobs import watching

    return watching.watch_by_name(provider, job_id, kind)


def asgi() -> Starlette:
    """The API as an ASGI app, to mount into one of yours. It has no lifespan of its own to run."""
    alive = runtime()
    with _lock:
        if not alive.patched:
            alive.configure(settings_module.load())
            alive.claim()
        alive.live()
    return alive.serving.app()


def register_prometheus(registry: CollectorRegistry | None = None) -> None:
    """Show midspan's metrics in the `/metrics` that the app already has (prometheus-client's REGISTRY by default).

    Raises SettingsError for a setting that cannot be used.
    """
    from prometheus_client import REGISTRY

    from midspan.telemetry.prometheus import register

    alive = runtime()
    settings = alive.settings if alive.patched else settings_module.load()
    register(alive.registry, REGISTRY if registry is None else registry, settings.live_series)


def boot() -> None:
    """Under `midspan run`: switch on before the app's first line. Never raises."""
    try:
        settings = settings_module.load()
        if settings.enabled:
            # Before the recorder of spans: it needs the provider for the first of them.
            runtime().export()
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
    listed = os.environ.get(settings_module.DISABLED_INSTRUMENTATIONS, "").replace(" ", "").split(",")
    return bool({"*", "midspan"} & set(listed))


def _give_up(error: Exception) -> None:
    if isinstance(error, SettingsError):
        failures.logger.error("midspan is off: %s", error)
        return
    failures.report("start")
