"""Settings → what writes spans and progress events; imported without the SDK, made without it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from midspan.core.content import NO_CAPTURE, Capture
from midspan.settings import Settings
from midspan.tracking.tracker import ProgressRegistry, no_span

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

    from midspan.telemetry.content_events import ContentEvents
    from midspan.telemetry.event_queue import EventQueue, Outlet
    from midspan.telemetry.spans import SpanRecorder


class Recording:
    """Spans, and events on spans, as log records and as log lines, of one registry's operations."""

    def __init__(self, registry: ProgressRegistry) -> None:
        self._registry = registry
        self._recorder: SpanRecorder | None = None
        self._queue: EventQueue | None = None
        self._content: ContentEvents | None = None
        self.provider: TracerProvider | None = None
        """That of an application which has given one."""
        self._made_for: object = None

    def start(self, settings: Settings, tracer_provider: TracerProvider | None) -> None:
        """Begin, or go on as the settings say now; spans go to the given provider or to the global one."""
        provider = tracer_provider or self.provider
        made_for = (settings.events, settings.log, settings.message_content, provider)
        if self._recorder is not None and made_for == self._made_for:
            return
        self.stop()
        from midspan.telemetry.spans import SpanRecorder

        self._made_for, self.provider = made_for, provider
        self._queue = _queue(self._registry, settings)
        events = "span" in settings.events
        self._recorder = SpanRecorder(self._registry, tracer_provider=provider, events=events, queue=self._queue)
        self._registry.add_processor(self._recorder)
        self._registry.attach = self._recorder.attach
        if "event" in settings.message_content:
            self._content = _content_events()
            self._registry.add_processor(self._content)

    def stop(self) -> None:
        """Write no more; what waits goes out."""
        self.flush()
        if self._recorder is not None:
            self._registry.remove_processor(self._recorder)
        if self._content is not None:
            self._registry.remove_processor(self._content)
        self._recorder = self._content = self._queue = self.provider = None
        self._registry.attach = no_span

    def flush(self) -> None:
        """Hand on the events that wait for the pulse."""
        if self._queue is not None:
            self._queue.flush()

    def look(self) -> None:
        """See whether anybody wants the events by now: an application may set up its telemetry at any time."""
        if self._queue is not None:
            self._queue.look()

    def forked(self) -> None:
        """In a forked child: what waits is the parent's."""
        if self._queue is not None:
            self._queue.forked()


def wanted_content(settings: Settings) -> Capture:
    """Where the content of calls goes."""
    where = settings.message_content
    wanted = Capture(settings.capture_content, span="span" in where, event="event" in where)
    return NO_CAPTURE if wanted == NO_CAPTURE else wanted


def _content_events() -> ContentEvents:
    from midspan.telemetry.content_events import ContentEvents
    from midspan.telemetry.events import LogRecords

    return ContentEvents(LogRecords())


def _queue(registry: ProgressRegistry, settings: Settings) -> EventQueue | None:
    from midspan.telemetry.event_queue import EventQueue

    outlets: list[Outlet] = []
    if "log" in settings.events:
        from midspan.telemetry.events import LogRecords

        outlets.append(LogRecords())
    if settings.log is not None:
        from midspan.telemetry.log_lines import LogLines

        outlets.append(LogLines())
    return EventQueue(registry, outlets) if outlets else None
