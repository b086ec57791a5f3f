"""What another tool's span says about an operation: its type and names, its token usage, how it ended.

Pure readings of span attributes, by the GenAI semantic conventions and by OpenInference. Nothing here reads content.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec
from msgspec import Struct

from midspan.core import names
from midspan.core.operation import ErrorInfo, OperationType, Status
from midspan.core.text import MAX_NAME, clean

Attributes = Mapping[str, object]

# Spans that stand around LLM calls: the progress of one of the calls inside does not belong on them.
AROUND_CALLS: Final = frozenset(
    {"create_agent", "invoke_agent", "invoke_workflow", "execute_tool", "plan", "retrieval"}
)
OPENINFERENCE_CALLS: Final = frozenset({"LLM", "EMBEDDING"})

# Logfire's record of a stream that was read, after the span of its request, and its note that a span has started.
_RECORDS: Final = frozenset({"log", "pending_span"})

_TYPES: Final[dict[str, str]] = {
    "chat": OperationType.LLM_REQUEST,
    "generate_content": OperationType.LLM_REQUEST,
    "text_completion": OperationType.LLM_REQUEST,
    "embeddings": OperationType.EMBEDDING,
    "retrieval": OperationType.RETRIEVAL,
    "rerank": OperationType.RETRIEVAL,
    "execute_tool": OperationType.TOOL,
    "create_agent": OperationType.AGENT,
    "invoke_agent": OperationType.AGENT,
    "plan": OperationType.AGENT,
    "invoke_workflow": OperationType.WORKFLOW,
}
_OPERATIONS: Final[dict[str, str]] = {
    "LLM": "chat",
    "EMBEDDING": "embeddings",
    "RETRIEVER": "retrieval",
    "TOOL": "execute_tool",
    "AGENT": "invoke_agent",
    "CHAIN": "invoke_workflow",
    "RERANKER": "rerank",
    "PROMPT": "prompt",
    "GUARDRAIL": "guardrail",
    "EVALUATOR": "evaluate",
}
_PROVIDERS: Final = (names.GEN_AI_PROVIDER, "gen_ai.system", "llm.provider", "llm.system")
_MODELS: Final = (
    "gen_ai.response.model",
    "llm.model_name",
    "embedding.model_name",
)
_NAMES: Final = (
    "gen_ai.tool.name",
    "gen_ai.agent.name",
    "gen_ai.workflow.name",
    "tool.name",
    "agent.name",
)
_INPUT: Final = (names.GEN_AI_INPUT_TOKENS, "gen_ai.usage.prompt_tokens", "llm.token_count.prompt")
_OUTPUT: Final = (names.GEN_AI_OUTPUT_TOKENS, "gen_ai.usage.completion_tokens", "llm.token_count.completion")
_REASONING: Final = (names.GEN_AI_REASONING_TOKENS, "llm.token_count.completion_details.reasoning")
_CACHED: Final = (names.GEN_AI_CACHED_TOKENS, "llm.token_count.prompt_details.cache_read")

_CANCELLATIONS: Final = {
    "CancelledError": "task cancelled",
    "GeneratorExit": "closed early",
    "KeyboardInterrupt": "interrupted",
}


class _Parameters(Struct):
    model: str | None = None


class Description(Struct, frozen=True):
    """Which operation a span stands for. `is_call`: one request to a model, not something around such requests."""

    operation_type: str
    name: str
    provider: str | None
    model: str | None
    is_call: bool


class Usage(NamedTuple):
    """Token counts that a span carries; None is "not told"."""

    input: int | None
    output: int | None
    reasoning: int | None
    cached: int | None


class Ending(Struct, frozen=True):
    """How a span says that its operation ended."""

    status: Status
    reason: str | None = None
    error: ErrorInfo | None = None


def is_call(attributes: Attributes, inside: str | None = None) -> bool:
    """True for the attributes of a span that some tool has made for one LLM call, and nobody has taken yet.

    `inside` is the operation of the call in which the span was made: one of the same operation is of that very call.
    """
    if names.OPERATION_ID in attributes:
        return False
    operation = attributes.get(names.GEN_AI_OPERATION)
    if operation is not None:
        return operation not in AROUND_CALLS or operation == inside
    return str(attributes.get(names.OPENINFERENCE_KIND)).upper() in OPENINFERENCE_CALLS


def describe(attributes: Attributes, span_name: str, inside: str | None = None) -> Description | None:
    """The operation of a span, or None for a span that is no GenAI span, or is that of an operation of ours already.

    `inside` is as in `is_call`.
    """
    # In this order: most spans are none of GenAI, and each look-up in a span's attributes costs.
    operation = _operation(attributes)
    if operation is None or names.OPERATION_ID in attributes or attributes.get("logfire.span_type") in _RECORDS:
        return None
    call = is_call(attributes, inside)
    return Description(
        _TYPES.get(operation, OperationType.GENERAL),
        operation if call else _text(attributes, _NAMES) or clean(span_name, MAX_NAME),
        provider_of(attributes),
        model_of(attributes),
        call,
    )


def _operation(attributes: Attributes) -> str | None:
    """The span's `gen_ai.operation.name`, or the nearest one to its OpenInference kind."""
    operation = attributes.get(names.GEN_AI_OPERATION)
    if isinstance(operation, str) and operation:
        return clean(operation, MAX_NAME)
    kind = attributes.get(names.OPENINFERENCE_KIND)
    return None if kind is None else _OPERATIONS.get(str(kind).upper())


def provider_of(attributes: Attributes) -> str | None:
    """The provider that the span names."""
    provider = _text(attributes, _PROVIDERS)
    return None if provider is None else provider.lower()


def model_of(attributes: Attributes) -> str | None:
    """The model that the span names, asked for or answering."""
    asked = attributes.get(names.GEN_AI_MODEL) or _asked_for(attributes.get("llm.invocation_parameters"))
    return clean(asked, MAX_NAME) if isinstance(asked, str) else _text(attributes, _MODELS)


def _asked_for(parameters: object) -> str | None:
    """OpenInference keeps the model asked for in the call's parameters alone, which are JSON."""
    try:
        found = msgspec.json.decode(parameters, type=_Parameters) if isinstance(parameters, str) else None
    except msgspec.MsgspecError:
        return None
    return None if found is None else found.model


def usage_of(attributes: Attributes) -> Usage | None:
    """The token usage on a span, or None when there is none."""
    found = Usage(*(_count(attributes, keys) for keys in (_INPUT, _OUTPUT, _REASONING, _CACHED)))
    return None if found == (None, None, None, None) else found


def ending_of(attributes: Attributes, failed: bool, exception: str | None, description: str | None) -> Ending:
    """How it ended: `failed` is the span's status, `exception` the type it recorded, `description` of its status."""
    kind = _text(attributes, (names.ERROR_TYPE,)) or exception
    if not failed and kind is None:
        return Ending(Status.COMPLETED)
    reason = _CANCELLATIONS.get((kind or "").rpartition(".")[2])
    if reason is not None:
        return Ending(Status.CANCELLED, reason)
    message = description.partition("\n")[0] if description else None
    error = ErrorInfo(type=clean(kind or "error", MAX_NAME), message=clean(message) if message else None)
    return Ending(Status.FAILED, None, error)


def _text(attributes: Attributes, keys: tuple[str, ...]) -> str | None:
    for key in keys:
        value = attributes.get(key)
        if isinstance(value, str) and value:
            return clean(value, MAX_NAME)
    return None


def _count(attributes: Attributes, keys: tuple[str, ...]) -> int | None:
    for key in keys:
        value = attributes.get(key)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    return None
