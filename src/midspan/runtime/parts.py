"""The parts of midspan in one process: what is switched on, in which order, and what a fork and the exit do to it."""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Final

from midspan.core import failures
from midspan.core.retention import Limits
from midspan.runtime import process
from midspan.runtime.attaching import Hooks
from midspan.runtime.awaiting import Awaiting
from midspan.runtime.exporting import Exporting
from midspan.runtime.forked_exporters import renew_exporters
from midspan.runtime.pulse import Pulse
from midspan.runtime.recording import Recording, wanted_content
from midspan.runtime.serving import Serving
from midspan.settings import Settings
from midspan.sources.attachment import MirrorAttachment
from midspan.telemetry.metering import Metering
from midspan.tracking.clock import steady_clock
from midspan.tracking.tracker import ProgressRegistry

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

    from midspan.runtime.feed import Feed

_PROVIDER_NAMED: Final = "OTEL_PYTHON_TRACER_PROVIDER"


class Runtime:
    """Everything of midspan that is alive in this process: parts that see operations, and parts that tell of them."""

    def __init__(self, registry: ProgressRegistry) -> None:
        self.registry = registry
        self.settings = Settings()
        self.exporting = Exporting(registry, self._look_for_providers)
        self.tracing = Awaiting("opentelemetry.trace")
        self.recording = Recording(registry)
        self.mirror = MirrorAttachment(registry)
        self.metering = Metering(registry)
        self.hooks = Hooks()
        self.pulse = Pulse(registry, self._beat, self.recording.flush)
        self.first_operation = process.FirstOperation(registry)
        self.serving = Serving(registry, self.first_operation)
        self.feed: Feed | None = None

    @property
    def patched(self) -> bool:
        """True while midspan is switched on, and sees calls."""
        return self.hooks.are_on

    def switch_on(
        self, settings: Settings, tracer_provider: TracerProvider | None, meter_provider: MeterProvider | None
    ) -> None:
        """Start what the settings ask for; what is on already goes on as they say now."""
        self.configure(settings)
        self._trace(settings, tracer_provider)
        self.metering.attach(meter_provider, genai=settings.genai_metrics)
        self.hooks.attach(settings)
        self.live()
        self.serving.start()

    def _trace(self, settings: Settings, tracer_provider: TracerProvider | None) -> None:
        """Spans, and what other tools' spans tell: nobody can have a provider who has not imported the API.

        But the one that a variable names is made when it is asked for, and log lines need none.
        """
        if settings.log is not None or _PROVIDER_NAMED in os.environ:
            import_module("opentelemetry.trace")

        def begin() -> None:
            self.recording.start(settings, tracer_provider)
            self.mirror.attach(tracer_provider)

        self.tracing.then(begin)

    def switch_off(self) -> None:
        """Take away first what sees, in reverse, and then what tells: nothing begins meanwhile."""
        process.forget_process()
        self.hooks.detach()
        self.metering.detach()
        self.tracing.forget()
        self.mirror.detach()
        self.recording.stop()
        self.stop()

    def configure(self, settings: Settings) -> None:
        """Take the settings over; they hold for operations to come."""
        self.settings = self.serving.settings = settings
        limits = Limits(seconds=settings.retention_seconds, operations=settings.max_operations)
        self.registry.configure(limits=limits, stall_after=settings.stall_after, owner=process.owner())
        self.registry.capture = wanted_content(settings)
        self.claim()

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
        process.watch_process(self.serving.settle, self.forked, self.close)
        self.pulse.start()
        # By then the application has set up its telemetry: our end has to come before that of its tracer provider.
        self.first_operation.then(process.exit_first)

    def send_feed(self) -> None:
        """Tell `midspan run`, when that is our parent, what happens here."""
        from midspan.runtime.feed import Feed, inherited_pipe

        pipe = inherited_pipe(os.environ)
        if pipe is not None and self.feed is None:
            self.feed = Feed(self.registry, pipe)
            self.feed.start(self.serving.url)

    def _beat(self) -> None:
        steady_clock.correct()
        self.mirror.look()
        self._look_for_providers()

    def _look_for_providers(self) -> None:
        self.metering.look()
        self.recording.look()

    def stop(self) -> None:
        """End the threads and the server; the pulse first, whose last beat is for those who watch."""
        self.first_operation.forget()
        self.pulse.stop()
        if self.feed is not None:
            self.feed.close()
            self.feed = None
        self.serving.stop()

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
        for part in (self.tracing, self.mirror, self.metering, self.recording, self.pulse, self.exporting):
            part.forked()
        self.first_operation.forked()
        self.first_operation.forget()
        self.first_operation.then(self._awake)

    def _awake(self) -> None:
        self.pulse.start()
        self.serving.start()
        process.exit_first()
