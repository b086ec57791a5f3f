"""The GenAI conventions' own metrics, for the calls whose span is our own: another tool's span comes with its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from opentelemetry.context import Context
from opentelemetry.metrics import Histogram
from opentelemetry.util.types import AttributeValue

from midspan.core import names
from midspan.core.state import State
from midspan.core.statistics import MAX_ERROR_TYPES, MAX_SERIES, Series
from midspan.core.text import MAX_NAME, clean

Attributes = dict[str, AttributeValue]
Make = Callable[[str, str, str, tuple[float, ...]], Histogram]

OTHER: Final = "_OTHER"
"""The conventions' own word for an error type that is not told."""
MAX_ERRORS: Final = 600
"""Sets of attributes with an error type; with `_OTHER` and without any they stay under the SDK's 2,000 points."""

SECONDS: Final = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
TOKENS: Final = tuple(float(4**power) for power in range(14))
ATTRIBUTES: Final = (
    names.GEN_AI_OPERATION,
    names.GEN_AI_PROVIDER,
    names.GEN_AI_MODEL,
    names.GEN_AI_RESPONSE_MODEL,
    names.SERVER_ADDRESS,
    names.SERVER_PORT,
)


@dataclass(frozen=True, slots=True)
class GenAiMetric:
    """One histogram of the conventions: its name, UCUM unit, description, buckets and attributes."""

    name: str
    unit: str
    help: str
    buckets: tuple[float, ...]
    labels: tuple[str, ...]


DURATION: Final = GenAiMetric(
    "gen_ai.client.operation.duration", "s", "GenAI operation duration.", SECONDS, (*ATTRIBUTES, names.ERROR_TYPE)
)
TOKEN_USAGE: Final = GenAiMetric(
    "gen_ai.client.token.usage",
    "{token}",
    "Number of input and output tokens used, as the server reported them.",
    TOKENS,
    (*ATTRIBUTES, names.GEN_AI_TOKEN_TYPE),
)
FIRST_CHUNK: Final = GenAiMetric(
    "gen_ai.client.operation.time_to_first_chunk",
    "s",
    "Time to receive the first chunk of a streamed answer.",
    SECONDS,
    (*ATTRIBUTES, names.ERROR_TYPE),
)
GENAI_METRICS: Final = (DURATION, TOKEN_USAGE, FIRST_CHUNK)


class GenAiHistograms:
    """The instruments, and the sets of attributes that they have got so far: at most twice 300, and 600 with errors."""

    def __init__(self, make: Make) -> None:
        self._duration, self._tokens, self._first_chunk = (
            make(row.name, row.unit, row.help, row.buckets) for row in GENAI_METRICS
        )
        self._known: dict[tuple[object, ...], Attributes] = {}
        self._error_types: set[str] = set()
        self._with_error: dict[tuple[object, ...], Attributes] = {}

    def record(self, state: State, series: Series, context: Context) -> None:
        """Record an ended call whose span is our own; anything else has no place in these metrics."""
        if not (state.span_deferred and state.span is not None and state.span.own):
            return
        key = _key(state, series)
        attributes = self._attributes(key, series)
        timed = attributes if state.error is None else self._failed(key, attributes, state.error.type, series)
        self._duration.record(state.duration, timed, context)
        if state.time_to_first_chunk is not None:
            self._first_chunk.record(max(0.0, state.time_to_first_chunk), timed, context)
        if state.tokens_reported:
            for kind, count in (("input", state.input_tokens), ("output", state.output_tokens)):
                if count is not None and count >= 0:
                    self._tokens.record(count, {**attributes, names.GEN_AI_TOKEN_TYPE: kind}, context)

    def _attributes(self, key: tuple[object, ...], series: Series) -> Attributes:
        """Operation, provider and model are bounded with our own metrics; the rest is told in the first 300 sets."""
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= MAX_SERIES:
                series.suppressed["gen_ai"] += 1
                return _told((*key[:3], None, None, None))
            known = self._known[key] = _told(key)
        return known

    def _failed(self, key: tuple[object, ...], attributes: Attributes, error_type: str, series: Series) -> Attributes:
        known = self._with_error.get((*key, error_type))
        if known is None:
            is_new = error_type not in self._error_types and len(self._error_types) >= MAX_ERROR_TYPES
            if is_new or len(self._with_error) >= MAX_ERRORS:
                series.suppressed["gen_ai"] += 1
                return {**attributes, names.ERROR_TYPE: OTHER}
            self._error_types.add(error_type)
            known = self._with_error[*key, error_type] = {**attributes, names.ERROR_TYPE: error_type}
        return known


def _key(state: State, series: Series) -> tuple[object, ...]:
    """The values of `ATTRIBUTES`."""
    given, told = state.attributes or {}, state.learned or {}
    rest = (told.get(names.GEN_AI_RESPONSE_MODEL), given.get(names.SERVER_ADDRESS), given.get(names.SERVER_PORT))
    return series.labels.name, series.labels.provider, series.labels.model, *rest


def _told(values: tuple[object, ...]) -> Attributes:
    """What has a value, and can be shown."""
    found: Attributes = {}
    for name, value in zip(ATTRIBUTES, values, strict=True):
        if isinstance(value, int):
            found[name] = value
        elif value:
            found[name] = clean(str(value), MAX_NAME)
    return found
