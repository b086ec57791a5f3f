"""Events as OpenTelemetry log records, which leave the process while their span is still open.

The Logs API may still change: no other module knows it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, TraceFlags

from midspan.core import names
from midspan.telemetry.event_queue import OutgoingEvent
from midspan.telemetry.scope import package_version
from midspan.telemetry.span_record import NANO

if TYPE_CHECKING:
    from opentelemetry import _logs


class LogRecords:
    """Emits events through `logger_provider`, or the global one, also when the application sets it later."""

    def __init__(self, logger_provider: _logs.LoggerProvider | None = None) -> None:
        self._provider = logger_provider
        self._found: _logs.Logger | None = None

    def wanted(self) -> bool:
        """False without a provider, and where the application has switched our logger off."""
        logger = self._logger()
        return logger is not None and _enabled(logger, None, True, None)

    def write(self, events: Sequence[OutgoingEvent]) -> None:
        """Emit each, with its own time, in the context of its operation's span."""
        logger = self._logger()
        if logger is not None:
            for event in events:
                _emit(logger, event)

    def _logger(self) -> _logs.Logger | None:
        # Whoever sets a provider has imported this, and nobody else needs it.
        if self._found is None and "opentelemetry._logs" in sys.modules:
            from opentelemetry import _logs

            self._found = _logs.get_logger(names.SCOPE, package_version(), self._provider)
        return self._found


def _emit(logger: _logs.Logger, event: OutgoingEvent) -> None:
    context = _context(event)
    if _enabled(logger, context, event.is_warning, event.name):
        severity = _severity(event.is_warning)
        logger.emit(
            timestamp=int(event.at * NANO),
            context=context,
            severity_number=severity,
            severity_text=severity.name,
            body=event.body,
            attributes=event.attributes,
            event_name=event.name,
        )


def _enabled(logger: _logs.Logger, context: Context | None, is_warning: bool, event_name: str | None) -> bool:
    # Loggers of the API 1.43, and those of others, cannot be asked.
    ask = cast("Callable[..., bool] | None", getattr(logger, "enabled", None))
    return ask is None or ask(context=context, severity_number=_severity(is_warning), event_name=event_name)


def _severity(is_warning: bool) -> _logs.SeverityNumber:
    from opentelemetry._logs import SeverityNumber

    return SeverityNumber.WARN if is_warning else SeverityNumber.INFO


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
