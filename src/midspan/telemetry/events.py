"""Events as OpenTelemetry log records, which leave the process while their span is still open.

The Logs API may still change: no other module knows it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, cast

from opentelemetry import _logs, trace
from opentelemetry._logs import SeverityNumber
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, TraceFlags

from midspan.core import names
from midspan.telemetry.event_queue import OutgoingEvent
from midspan.telemetry.scope import package_version
from midspan.telemetry.span_record import nanoseconds

_SEVERITIES: Final = {False: (SeverityNumber.INFO, "INFO"), True: (SeverityNumber.WARN, "WARN")}


class LogRecords:
    """Emits events through `logger_provider`, or the global one, also when the application sets it later."""

    def __init__(self, logger_provider: _logs.LoggerProvider | None = None) -> None:
        self._logger = _logs.get_logger(names.SCOPE, package_version(), logger_provider)

    def wanted(self) -> bool:
        """False without a provider, and where the application has switched our logger off."""
        return self._enabled(None, SeverityNumber.WARN, None)

    def write(self, events: Sequence[OutgoingEvent]) -> None:
        """Emit each, with its own time, in the context of its operation's span."""
        for event in events:
            self._emit(event)

    def _emit(self, event: OutgoingEvent) -> None:
        context = _context(event)
        number, text = _SEVERITIES[event.is_warning]
        if self._enabled(context, number, event.name):
            self._logger.emit(
                timestamp=nanoseconds(event.at),
                context=context,
                severity_number=number,
                severity_text=text,
                body=event.body,
                attributes=event.attributes,
                event_name=event.name,
            )

    def _enabled(self, context: Context | None, severity: SeverityNumber, event_name: str | None) -> bool:
        # Loggers of the API 1.43, and those of others, cannot be asked.
        ask = cast("Callable[..., bool] | None", getattr(self._logger, "enabled", None))
        return ask is None or ask(context=context, severity_number=severity, event_name=event_name)


def _context(event: OutgoingEvent) -> Context:
    """Of the operation's span alone: what is current in the pulse's thread is nobody's."""
    span = event.span or _remembered(event)
    return Context() if span is None else trace.set_span_in_context(span, Context())


def _remembered(event: OutgoingEvent) -> Span | None:
    """A stand-in for a span of which only the ids are known."""
    if event.trace_id is None or event.span_id is None:
        return None
    flags = TraceFlags(TraceFlags.SAMPLED if event.sampled else TraceFlags.DEFAULT)
    ids = SpanContext(int(event.trace_id, 16), int(event.span_id, 16), is_remote=False, trace_flags=flags)
    return NonRecordingSpan(ids)
