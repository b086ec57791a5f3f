"""Reading Mistral's chat completions, which its agents and its fill-in-the-middle answer with too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from midspan_instrumentation.provider import Failure, Reading, Request, Server, replace
from midspan_instrumentation.providers import _chat_completions, _embeddings
from midspan_instrumentation.providers._addresses import server_at
from midspan_instrumentation.providers._fields import own, text
from midspan_instrumentation.providers._hosts import provider_at

if TYPE_CHECKING:
    from mistralai.client.models import CompletionEvent

_CLOUDS = {"mistralai.azure": "azure.ai.inference", "mistralai.gcp": "gcp.vertex_ai"}
"""Package → provider, of the clients for other clouds."""
SDK_TIMEOUT = 300.0
"""Seconds that the SDK waits where nothing else was asked for."""


def read_client(instance: object) -> object | None:
    """The client that a resource was taken from."""
    return getattr(instance, "parent_ref", None)


def read_server(instance: object) -> Server:
    """The server that the client was made for."""
    known: Any = getattr(instance, "sdk_configuration", None)
    if known is None:
        return Server()
    cloud = _CLOUDS.get(type(instance).__module__.partition(".client")[0])
    return server_at(known.get_server_details()[0], _seconds(known.timeout_ms), cloud)


def _seconds(milliseconds: object) -> float:
    return milliseconds / 1_000 if isinstance(milliseconds, (int, float)) else SDK_TIMEOUT


def read_request(
    *_: object,
    random_seed: object = None,
    timeout_ms: object = None,
    server_url: object = None,
    agent_id: object = None,
    conversation_id: object = None,
    **asked: object,
) -> Request:
    """`chat.complete`, `fim.complete`, `agents.complete` and what is named like them."""
    request = _chat_completions.read_request(seed=random_seed, **asked)
    named = {"gen_ai.agent.id": text(agent_id), "gen_ai.conversation.id": text(conversation_id)}
    attributes = {**request.attributes, **{name: value for name, value in named.items() if value is not None}}
    return replace(sent(request, timeout_ms, server_url), attributes=attributes)


def sent(request: Request, timeout_ms: object, server_url: object) -> Request:
    """The request with what every method takes beside it: how long to wait, and where to send it."""
    return replace(
        request,
        timeout=None if timeout_ms is None else _seconds(timeout_ms),
        server=_server_of(server_url) if isinstance(server_url, str) else None,
    )


def _server_of(url: str) -> Server:
    """Of a call that is sent elsewhere than the client's others: what its host tells."""
    found = server_at(url, SDK_TIMEOUT)
    return replace(found, provider=provider_at(found.address))


def read_embeddings_request(*_: object, output_dimension: object = None, **asked: object) -> Request:
    """`embeddings.create`."""
    given = _embeddings.read_request(dimensions=output_dimension, encoding_format=asked.get("encoding_format"))
    return replace(read_request(**asked), attributes=given.attributes)


def read_embeddings(result: object) -> Reading:
    """An `EmbeddingResponse`; the SDK puts zeros where the server has told nothing."""
    found = _embeddings.read_response(result)
    usage = found.usage
    return replace(found, id=text(own(result, "id")), usage=usage and replace(usage, output=None))


def read_answer(result: object) -> Reading:
    """A `ChatCompletionResponse`, or the first event of a stream, which names id and model alike."""
    return _told(_chat_completions.read_completion(own(result, "data") or result))


def read_event(event: CompletionEvent) -> int | Reading:
    """One token for each choice that has something new; the last chunk has the reason and the usage."""
    try:
        # Nearly every chunk ends here: another call for it would cost half as much again.
        (only,) = event.data.choices
        if only.finish_reason is None and only.delta.content:
            return 1
    except (TypeError, ValueError, AttributeError):
        pass  # not one choice, or an odd one
    found = _chat_completions.read_chunk(event.data)  # type: ignore[arg-type]
    if isinstance(found, int):
        return found
    is_last = found.usage is not None and bool(found.finish_reasons)
    return replace(_told(found), is_last=is_last)


def _told(found: Reading) -> Reading:
    """The model may also finish with an error."""
    return replace(found, failure=Failure("error")) if "error" in found.finish_reasons else found
