"""Steps of a chain that are seen while they run, though their spans say only at their end what they were.

OpenInference's spans of LangChain and LlamaIndex have a name and a scope at their start, and their kind at their end.
A step with a step of another class inside of it is no call of a model: it is around such calls. A retriever is one by
its name. What a step without any inside was, a call or a tool, is told at its end.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Final

from opentelemetry.sdk.trace import ReadableSpan

from midspan.core.genai import Description
from midspan.core.operation import OperationType
from midspan.core.text import MAX_NAME, clean
from midspan.sources.seen_span import SeenSpan

_SCOPES: Final = "openinference.instrumentation."

last_step: ContextVar[SeenSpan | None] = ContextVar("midspan_last_step", default=None)
"""The step that has started last in this context: LangChain's are never the current span."""


def is_step(span: ReadableSpan) -> bool:
    """True for a span of OpenInference's."""
    scope = span.instrumentation_scope
    return scope is not None and scope.name.startswith(_SCOPES)


def class_of(name: str) -> str:
    """The class in a step's name, which is that alone, or has a method: `RetrieverQueryEngine.query`."""
    return name.partition(".")[0]


def describe(step: ReadableSpan, inner: ReadableSpan | None = None) -> Description | None:
    """What a running step is, by its own name and by that of a step inside of it; None while nobody can know."""
    if class_of(step.name).endswith("Retriever"):
        operation_type = OperationType.RETRIEVAL
    elif inner is None or not _is_another(step, inner):
        return None
    else:
        # As OpenInference itself tells them apart.
        operation_type = OperationType.AGENT if "agent" in step.name.lower() else OperationType.WORKFLOW
    return Description(operation_type, clean(step.name, MAX_NAME), None, None, False)


def _is_another(step: ReadableSpan, inner: ReadableSpan) -> bool:
    """Not that of an SDK below, which another instrumentation makes of the same call."""
    scopes = {span.instrumentation_scope.name for span in (step, inner) if span.instrumentation_scope is not None}
    return len(scopes) == 1 and class_of(step.name) != class_of(inner.name)
