"""OpenAI: completions, responses and embeddings, also of services that speak its protocol.

Longer than its aim: four APIs, and each has a request, a response and a chunk of its own to read.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakKeyDictionary

from midspan_instrumentation.provider import (
    Failure,
    Provider,
    Reading,
    Request,
    Server,
    StreamClass,
    Target,
    Usage,
)

if TYPE_CHECKING:
    from openai import AsyncOpenAI, OpenAI
    from openai.types import Completion, CreateEmbeddingResponse
    from openai.types.chat import ChatCompletion, ChatCompletionChunk
    from openai.types.chat.chat_completion_chunk import ChoiceDelta
    from openai.types.responses import Response, ResponseStreamEvent

# Where a chunk has something new; the last two are extra fields of services that speak the protocol.
_OUTPUT = ("content", "tool_calls", "refusal", "reasoning_content", "reasoning")
_DEFAULT_PORTS = {"https": 443, "http": 80}


def _read_client(instance: object) -> object | None:
    return getattr(instance, "_client", None)


_servers: WeakKeyDictionary[object, tuple[object, object, Server]] = WeakKeyDictionary()
"""What was read of a client before: it is asked at every call, and the address costs as much as the rest."""


def _read_server(instance: object) -> Server:
    client = cast("OpenAI | AsyncOpenAI | None", _read_client(instance))
    if client is None:
        return Server()
    url, timeout = client.base_url, client.timeout
    known = _servers.get(client)
    if known is None or known[0] is not url or known[1] is not timeout:
        known = _servers[client] = url, timeout, _server_of(client)
    return known[2]


def _server_of(client: OpenAI | AsyncOpenAI) -> Server:
    url = client.base_url
    return Server(
        address=url.host,
        port=url.port or _DEFAULT_PORTS.get(url.scheme),
        timeout=_seconds(client.timeout),
        provider="azure.ai.openai" if _is_azure(client) else None,
    )


def _is_azure(client: object) -> bool:
    return any(kind.__module__ == "openai.lib.azure" for kind in type(client).__mro__)


# What was asked. The SDK's own sentinels for "not given" are of none of these types.


def _seconds(timeout: object) -> float | None:
    """A timeout is a number, or an object of the HTTP client with one for reading."""
    seconds = getattr(timeout, "read", timeout)
    return float(seconds) if isinstance(seconds, (int, float)) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _whole(value: object) -> int | None:
    return value if type(value) is int else None


def _given(names: dict[str, object]) -> dict[str, object]:
    """The attributes that have a value: numbers, texts, and lists of texts."""
    given: dict[str, object] = {}
    for name, value in names.items():
        # A tuple, not a union: this runs for every parameter of every call.
        if value is None:
            continue
        if isinstance(value, (int, float, str)):
            given[name] = value
        elif isinstance(value, list):
            texts = cast("list[object]", value)
            given[name] = tuple(text for text in texts if isinstance(text, str))
    return given


def _listed(value: object) -> object:
    """One text is a list of one: these attributes are lists."""
    return [value] if isinstance(value, str) else value


def read_chat(
    *_: object,
    model: object = None,
    stream: object = None,
    max_tokens: object = None,
    max_completion_tokens: object = None,
    n: object = None,
    temperature: object = None,
    top_p: object = None,
    frequency_penalty: object = None,
    presence_penalty: object = None,
    seed: object = None,
    stop: object = None,
    timeout: object = None,
    **_rest: object,
) -> Request:
    """`chat.completions.create` and `.parse`, and the older `completions.create`."""
    limit, choices = _whole(max_completion_tokens), _whole(n) or 1
    return Request(
        model=_text(model),
        stream=stream is True,
        max_tokens=_whole(max_tokens) if limit is None else limit,
        timeout=_seconds(timeout),
        choices=choices,
        attributes=_given(
            {
                "gen_ai.request.temperature": temperature,
                "gen_ai.request.top_p": top_p,
                "gen_ai.request.frequency_penalty": frequency_penalty,
                "gen_ai.request.presence_penalty": presence_penalty,
                "gen_ai.request.seed": seed,
                "gen_ai.request.stop_sequences": _listed(stop),
                "gen_ai.request.choice.count": None if choices == 1 else choices,
            }
        ),
    )


def read_responses(
    *_: object,
    model: object = None,
    stream: object = None,
    max_output_tokens: object = None,
    temperature: object = None,
    top_p: object = None,
    timeout: object = None,
    **_rest: object,
) -> Request:
    """`responses.create` and `.parse`."""
    return Request(
        model=_text(model),
        stream=stream is True,
        max_tokens=_whole(max_output_tokens),
        timeout=_seconds(timeout),
        attributes=_given({"gen_ai.request.temperature": temperature, "gen_ai.request.top_p": top_p}),
    )


def read_embeddings(
    *_: object,
    model: object = None,
    dimensions: object = None,
    encoding_format: object = None,
    timeout: object = None,
    **_rest: object,
) -> Request:
    """`embeddings.create`."""
    return Request(
        model=_text(model),
        timeout=_seconds(timeout),
        attributes=_given(
            {
                "gen_ai.embeddings.dimension.count": dimensions,
                "gen_ai.request.encoding_formats": _listed(encoding_format),
            }
        ),
    )


# What came back. Services that speak the protocol leave out, or set to null, what they please.


def _usage(usage: object, asked: str, told: str) -> Usage | None:
    """The APIs differ in their words for what was asked and what was told."""
    if usage is None:
        return None
    return Usage(
        input=_whole(getattr(usage, f"{asked}_tokens", None)),
        output=_whole(getattr(usage, f"{told}_tokens", None)),
        reasoning=_detail(usage, f"{told}_tokens_details", "reasoning_tokens"),
        cached=_detail(usage, f"{asked}_tokens_details", "cached_tokens"),
    )


def _parsed(result: object) -> object:
    """What a raw response holds, as an object like the SDK's own. Parsing that one with its
    `parse()` would run the application's post-parser."""
    http = _own(result, "http_response")
    if http is None or not http.headers.get("content-type", "").startswith("application/json"):
        return result
    return json.loads(http.content, object_hook=lambda fields: SimpleNamespace(**fields))


def _own(result: object, name: str) -> Any:
    """A field that most results lack: asking a model for it by `getattr` would raise inside."""
    return getattr(result, "__dict__", {}).get(name)


def _choices(answer: object) -> list[object]:
    choices = getattr(answer, "choices", None)
    return cast("list[object]", choices) if isinstance(choices, list) else []


def _detail(usage: object, group: str, name: str) -> int | None:
    details = getattr(usage, group, None)
    # An SDK older than the field keeps it as the mapping that it was.
    if isinstance(details, dict):
        return _whole(cast("dict[str, object]", details).get(name))
    return _whole(getattr(details, name, None))


def read_chat_completion(result: object) -> Reading:
    """A `ChatCompletion`, a `Completion`, or the first chunk of their streams, which names id and model alike."""
    completion = cast("ChatCompletion", _parsed(result))
    choices = _choices(completion)
    reasons = (_text(getattr(choice, "finish_reason", None)) for choice in choices)
    return Reading(
        id=_text(getattr(completion, "id", None)),
        model=_text(getattr(completion, "model", None)),
        finish_reasons=tuple(reason for reason in reasons if reason),
        usage=_usage(getattr(completion, "usage", None), "prompt", "completion"),
    )


def read_chat_chunk(chunk: ChatCompletionChunk) -> int | Reading:
    """One token for each choice that has something new."""
    try:
        (only,) = chunk.choices
        # Nearly every chunk ends here. One look at the namespace is cheaper than two attributes.
        choice = only.__dict__
        delta = choice["delta"]
        if delta is not None and delta.content and choice["finish_reason"] is None:
            return 1
    except (TypeError, ValueError, AttributeError, KeyError):
        pass  # not one choice, or an odd one
    return _read_whole_chunk(chunk, _has_output)


def _read_whole_chunk(chunk: object, has_output: Callable[[object], bool]) -> int | Reading:
    choices = _choices(chunk)
    tokens = sum(has_output(choice) for choice in choices)
    reasons = (_text(getattr(choice, "finish_reason", None)) for choice in choices)
    finish_reasons = tuple(reason for reason in reasons if reason)
    usage = _usage(getattr(chunk, "usage", None), "prompt", "completion")
    if usage is None and not finish_reasons:
        return tokens
    return Reading(tokens=tokens, finish_reasons=finish_reasons, usage=usage)


def _has_output(choice: object) -> bool:
    delta: ChoiceDelta | None = getattr(choice, "delta", None)
    return any(getattr(delta, name, None) for name in _OUTPUT)


def read_text_chunk(chunk: Completion) -> int | Reading:
    """A chunk of the older `completions.create`: one token for each choice that has text."""
    return _read_whole_chunk(chunk, lambda choice: bool(getattr(choice, "text", None)))


def read_response(result: object) -> Reading:
    """A `Response`, or the first event of a stream, which carries one."""
    response = cast("Response", _own(result, "response") or _parsed(result))
    return Reading(
        id=_text(getattr(response, "id", None)),
        model=_text(getattr(response, "model", None)),
        finish_reasons=_reasons(response),
        usage=_usage(getattr(response, "usage", None), "input", "output"),
        failure=_failure(getattr(response, "error", None)),
    )


def _reasons(response: Response) -> tuple[str, ...]:
    details = getattr(response, "incomplete_details", None)
    reason = _text(getattr(details, "reason", None)) or _text(getattr(response, "status", None))
    return (reason,) if reason else ()


def _failure(error: object) -> Failure | None:
    if error is None:
        return None
    return Failure(
        type=_text(getattr(error, "code", None)) or "error",
        message=_text(getattr(error, "message", None)),
    )


def read_event(event: ResponseStreamEvent) -> int | Reading:
    """Each delta is one token; the last event carries the response."""
    kind = _text(getattr(event, "type", None)) or ""
    if kind.endswith(".delta"):
        return 1
    if kind in ("response.completed", "response.incomplete", "response.failed"):
        return read_response(event)
    return Reading(failure=_failure(event)) if kind == "error" else 0


def read_embedding_response(result: object) -> Reading:
    """A `CreateEmbeddingResponse`."""
    response = cast("CreateEmbeddingResponse", _parsed(result))
    return Reading(
        model=_text(getattr(response, "model", None)),
        usage=_usage(getattr(response, "usage", None), "prompt", "completion"),
    )


def _chat(qualname: str, is_async: bool) -> Target:
    return Target(
        module="openai.resources.chat.completions.completions",
        # Before 1.60, and the home of `parse` before 1.92.
        older_modules=("openai.resources.chat.completions", "openai.resources.beta.chat.completions"),
        qualname=qualname,
        operation="chat",
        read_request=read_chat,
        read_response=read_chat_completion,
        read_chunk=read_chat_chunk,
        is_async=is_async,
        end_mark=b"data: [DONE]",
        optional=qualname.endswith("parse"),
    )


def _completions(qualname: str, is_async: bool) -> Target:
    return replace(
        _chat(qualname, is_async),
        module="openai.resources.completions",
        older_modules=(),
        operation="text_completion",
        read_chunk=read_text_chunk,
    )


def _responses(qualname: str, is_async: bool) -> Target:
    return Target(
        module="openai.resources.responses.responses",
        qualname=qualname,
        optional=qualname.endswith("parse"),
        operation="chat",
        read_request=read_responses,
        read_response=read_response,
        read_chunk=read_event,
        is_async=is_async,
        end_mark=b'"type":"response.completed"',
    )


def _embeddings(qualname: str, is_async: bool) -> Target:
    return Target(
        module="openai.resources.embeddings",
        qualname=qualname,
        operation="embeddings",
        operation_type="embedding",
        read_request=read_embeddings,
        read_response=read_embedding_response,
        is_async=is_async,
    )


PROVIDER = Provider(
    name="openai",
    targets=(
        _chat("Completions.create", is_async=False),
        _chat("Completions.parse", is_async=False),
        _chat("AsyncCompletions.create", is_async=True),
        _chat("AsyncCompletions.parse", is_async=True),
        _completions("Completions.create", is_async=False),
        _completions("AsyncCompletions.create", is_async=True),
        _responses("Responses.create", is_async=False),
        _responses("Responses.parse", is_async=False),
        _responses("AsyncResponses.create", is_async=True),
        _responses("AsyncResponses.parse", is_async=True),
        _embeddings("Embeddings.create", is_async=False),
        _embeddings("AsyncEmbeddings.create", is_async=True),
    ),
    streams=(
        StreamClass("openai._streaming", "Stream"),
        StreamClass("openai._streaming", "AsyncStream", is_async=True),
    ),
    read_client=_read_client,
    read_server=_read_server,
)
