"""Reading Cohere's answers and events, of both versions of its API."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sized
from typing import Any, TypeVar

from midspan_instrumentation.provider import Failure, Reading, Request, Server, Usage, replace
from midspan_instrumentation.providers._addresses import server_at
from midspan_instrumentation.providers._fields import (
    Readers,
    field,
    given_of,
    items,
    number,
    output_type,
    own,
    seconds,
    text,
    texts,
    whole,
)

Read = TypeVar("Read")

BATCH = 96
"""Texts that the SDK sends in one request."""
_FAILED = ("ERROR", "TIMEOUT")

_ASKED: Readers = {
    "temperature": ("gen_ai.request.temperature", number),
    "p": ("gen_ai.request.top_p", number),
    "k": ("gen_ai.request.top_k", whole),
    "seed": ("gen_ai.request.seed", whole),
    "stop_sequences": ("gen_ai.request.stop_sequences", texts),
    "frequency_penalty": ("gen_ai.request.frequency_penalty", number),
    "presence_penalty": ("gen_ai.request.presence_penalty", number),
    "num_generations": ("gen_ai.request.choice.count", whole),
    "response_format": ("gen_ai.output.type", output_type),
    "conversation_id": ("gen_ai.conversation.id", text),
    "output_dimension": ("gen_ai.embeddings.dimension.count", whole),
    "embedding_types": ("gen_ai.request.encoding_formats", texts),
}


def read_client(instance: object) -> Any:
    """What a client and the `v2` of it have in common."""
    return own(instance, "_client_wrapper") or own(own(instance, "_raw_client"), "_client_wrapper")


def read_server(instance: object) -> Server:
    """The server that the client was made for. Where a client for another's cloud sends its requests, it does not
    tell."""
    wrapper = read_client(instance)
    if wrapper is None:
        return Server()
    cloud = _cloud_behind(wrapper)
    if cloud is not None:
        return Server(provider=cloud)
    return server_at(wrapper.get_base_url(), seconds(wrapper.get_timeout()))


def _cloud_behind(wrapper: Any) -> str | None:
    """The SDK's clients for others' clouds rewrite each request in a hook of their HTTP client."""
    for hook in getattr(wrapper.httpx_client.httpx_client, "event_hooks", {}).get("request", ()):
        module = getattr(hook, "__module__", None)
        if module == "cohere.oci_client":
            return "oci"
        if module == "cohere.aws_client":
            return f"aws.{inspect.getclosurevars(hook).nonlocals['service']}"
    return None


def read_request(
    *_: object,
    model: object = None,
    max_tokens: object = None,
    request_options: object = None,
    **asked: object,
) -> Request:
    """Every method: they have the same words for the same things."""
    limit = field(request_options, "timeout") or field(request_options, "timeout_in_seconds")
    return Request(
        model=text(model),
        max_tokens=whole(max_tokens),
        timeout=seconds(limit),
        attributes=given_of(asked, _ASKED),
    )


def read_embed_request(*_: object, texts: object = None, batching: object = True, **asked: object) -> Request:
    """`embed` of a client, which sends long lists in batches; those with images it does not."""
    count = len(items(texts)) if batching is not False and items(asked.get("images")) == () else 0
    return replace(read_request(**asked), parts=-(-count // BATCH))


def read_embed_stream_request(*_: object, texts: object = None, batch_size: int = BATCH, **asked: object) -> Request:
    """`embed_stream`, which sends one batch after the other."""
    count = len(texts) if isinstance(texts, Sized) else 0
    return replace(read_request(**asked), parts=-(-count // batch_size) if batch_size > 0 else 0)


def held(read: Callable[[Any], Read]) -> Callable[[Any], Read]:
    """The reader for an answer that is held by another one, which has the HTTP response too."""

    def read_held(result: Any) -> Read:
        return read(result.data)

    return read_held


def read_answer(result: object) -> Reading:
    """Any answer, or the first event of a stream; v1 has its usage under `meta`."""
    reason = text(own(result, "finish_reason"))
    return Reading(
        id=text(own(result, "id")) or text(own(result, "generation_id")),
        finish_reasons=(reason,) if reason else (),
        usage=_usage(own(result, "usage") or own(result, "meta")),
        failure=Failure(reason) if reason in _FAILED else None,
    )


def _usage(told: object) -> Usage | None:
    """Tokens as the model has seen them, or else as they are billed; the SDK has them as fractions."""
    if told is None:
        return None
    counted, billed = own(told, "tokens"), own(told, "billed_units")
    return Usage(
        input=_count(counted, billed, "input_tokens"),
        output=_count(counted, billed, "output_tokens"),
        cached=_whole(field(told, "cached_tokens")),
    )


def _count(counted: object, billed: object, name: str) -> int | None:
    found = _whole(field(counted, name))
    return _whole(field(billed, name)) if found is None else found


def _whole(value: object) -> int | None:
    found = number(value)
    return None if found is None else int(found)


def read_generation(result: object) -> Reading:
    """A `Generation`: each of its texts has a reason of its own."""
    reasons = (text(field(each, "finish_reason")) for each in items(own(result, "generations")))
    return replace(read_answer(result), finish_reasons=tuple(reason for reason in reasons if reason))


def read_event(event: Any) -> int | Reading:
    """An event of v2: each delta is one token; the last event has the reason and the usage."""
    kind = getattr(event, "type", None)
    if kind in ("content-delta", "tool-plan-delta", "tool-call-delta"):
        return 1
    return _ended(event.delta, field(event.delta, "error")) if kind == "message-end" else 0


def read_event_v1(event: Any) -> int | Reading:
    """An event of v1, of a chat or of a generation: each text is one token; the last event has the whole answer."""
    kind = getattr(event, "event_type", None)
    if kind in ("text-generation", "tool-calls-chunk"):
        return 1
    if kind == "stream-error":
        return Reading(failure=Failure(text(own(event, "finish_reason")) or "error", text(own(event, "err"))))
    if kind != "stream-end":
        return 0
    reason, found = text(own(event, "finish_reason")), _ended(event.response)
    failure = found.failure or (Failure(reason) if reason in _FAILED else None)
    return replace(found, finish_reasons=(reason,) if reason else found.finish_reasons, failure=failure)


def _ended(told: object, message: object = None) -> Reading:
    found = read_answer(told)
    failure = found.failure and replace(found.failure, message=text(message))
    return replace(found, is_last=True, failure=failure)
