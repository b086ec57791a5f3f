"""The conventions' event with the content of a call, for those who keep content apart from traces. Off by default."""

from __future__ import annotations

from typing import cast

from midspan.core import names
from midspan.core.content import Content
from midspan.core.state import State
from midspan.telemetry import messages, span_attributes
from midspan.telemetry.event_queue import OutgoingEvent
from midspan.telemetry.events import LogRecords
from midspan.telemetry.span_attributes import Attributes
from midspan.telemetry.span_record import SpanRecord


class ContentEvents:
    """The processor that emits one `gen_ai.client.inference.operation.details` for each call that has ended.

    It comes after the one that writes spans: a call whose span is another tool's is that tool's to tell.
    """

    def __init__(self, records: LogRecords) -> None:
        self._records = records

    def on_start(self, state: State) -> None:
        """Processor: nothing yet."""

    def on_update(self, state: State) -> None:
        """Processor: nothing yet."""

    def on_end(self, state: State) -> None:
        """Emit the event, if the call's content is kept for it."""
        content, record = state.content, state.span
        if content is None or not content.capture.event or not isinstance(record, SpanRecord) or not record.own:
            return
        if self._records.wanted():
            self._records.write([_event(state, content)])


def _event(state: State, content: Content) -> OutgoingEvent:
    known = span_attributes.at_creation(state) | span_attributes.final(state, own=True)
    told = {name: value for name, value in known.items() if not name.startswith("midspan.")}
    return OutgoingEvent(
        name=names.GEN_AI_DETAILS,
        at=state.ended_at or state.updated_at,
        is_warning=False,
        body=span_attributes.span_name(state),
        attributes=cast(
            "Attributes", {**told, **messages.structured(state, content), names.OPERATION_ID: state.operation_id}
        ),
        trace_id=state.trace_id,
        span_id=state.span_id,
        sampled=state.sampled,
        span=None,
    )
