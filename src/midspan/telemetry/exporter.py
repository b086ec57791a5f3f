"""Entry point `opentelemetry_traces_exporter: midspan`: finished GenAI spans of any tool, as ended operations.

`OTEL_TRACES_EXPORTER=otlp,midspan` shows them where nothing else of midspan is switched on.
"""

from __future__ import annotations

from collections.abc import Sequence

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from midspan import settings
from midspan.core import failures, genai
from midspan.core.genai import Description
from midspan.core.state import State
from midspan.tracking import recording
from midspan.tracking.tracker import ProgressRegistry, get_progress_registry


class OperationExporter(SpanExporter):
    """Records finished GenAI spans in `registry` (the process's own by default), with their own times.

    Spans of operations that are known already are left out. Parents are found among the spans of one export. Raises
    nothing, and always reports success.
    """

    def __init__(self, registry: ProgressRegistry | None = None) -> None:
        self._registry = get_progress_registry() if registry is None else registry
        self._enabled = _enabled()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Record those of the spans that are GenAI spans and new."""
        if self._enabled:
            try:
                self._record(spans)
            except Exception:
                failures.report("exporter")
        return SpanExportResult.SUCCESS

    def _record(self, spans: Sequence[ReadableSpan]) -> None:
        by_id = {_id(span): span for span in spans}
        begun: dict[int, State] = {}
        for span in sorted(spans, key=lambda span: span.start_time or 0):
            described = genai.describe(span.attributes or {}, span.name)
            if described is not None and self._registry.span_claims.claim(_id(span)):
                self._begin(span, described, by_id, begun)
        for span in sorted(spans, key=lambda span: span.end_time or 0):
            state = begun.get(_id(span))
            if state is not None:
                self._end(span, state)

    def _begin(
        self,
        span: ReadableSpan,
        described: Description,
        by_id: dict[int, ReadableSpan],
        begun: dict[int, State],
    ) -> None:
        parent = _above(span, by_id, begun)
        same = described.is_call and parent is not None and parent.operation_type == described.operation_type
        if not same:  # else it is a second tool's span of one call
            parent_id = None if parent is None else parent.operation_id
            begun[_id(span)] = recording.begin(self._registry, described, span, parent_id)

    def _end(self, span: ReadableSpan, state: State) -> None:
        attributes = span.attributes or {}
        if genai.is_call(attributes):
            recording.use(self._registry, state, attributes)
        recording.end(self._registry, state, span)


def _above(span: ReadableSpan, by_id: dict[int, ReadableSpan], begun: dict[int, State]) -> State | None:
    """The operation of the nearest span around this one that has one."""
    seen: set[int] = set()
    while span.parent is not None and span.parent.span_id not in seen:
        parent_id = span.parent.span_id
        if parent_id in begun:
            return begun[parent_id]
        if parent_id not in by_id:
            return None
        seen.add(parent_id)
        span = by_id[parent_id]
    return None


def _id(span: ReadableSpan) -> int:
    context = span.get_span_context()
    return 0 if context is None else context.span_id


def _enabled() -> bool:
    """False also for settings that cannot be used: whoever switches midspan on reports them."""
    try:
        return settings.load().enabled
    except settings.SettingsError:
        return False
