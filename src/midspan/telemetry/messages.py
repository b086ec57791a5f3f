"""The content of calls, as the GenAI conventions have it: on spans as JSON, in an event as it is. Off by default.

`OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT` asks for it. Spans of other tools get none: those have a switch of
their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, cast

import msgspec

from midspan.core.content import Content, Json
from midspan.core.state import State

FINISH_REASONS: Final = "gen_ai.response.finish_reasons"


def structured(state: State, content: Content) -> Mapping[str, Sequence[Json]]:
    """The conventions' attributes: lists of messages, of parts, and of tools."""
    reasons = (state.learned or {}).get(FINISH_REASONS)
    return content.attributes(cast("Sequence[str]", reasons) if isinstance(reasons, (list, tuple)) else ())


def on_span(state: State, content: Content) -> dict[str, str]:
    """The same as JSON texts: an attribute of a span is no structure in Python."""
    return {name: msgspec.json.encode(values).decode() for name, values in structured(state, content).items()}
