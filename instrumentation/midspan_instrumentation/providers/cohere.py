"""Cohere: chat, text, embeddings, reranking and classification, of both versions of its API, also through AWS."""

from __future__ import annotations

from midspan_instrumentation.provider import Part, Provider, RetryDelay, Target, replace
from midspan_instrumentation.providers import _chat_content, _cohere, _cohere_content, _text_completions
from midspan_instrumentation.providers._fields import streamed

_V1, _CLIENT, _V2 = "cohere.base_client", "cohere.client", "cohere.v2.client"

_CHAT_V1 = Target(
    module=_V1,
    qualname="BaseCohere.chat",
    operation="chat",
    read_request=_cohere.read_request,
    read_response=_cohere.read_answer,
    read_chunk=_cohere.read_event_v1,
    read_prompt=_cohere_content.read_prompt_v1,
    read_answer=_cohere_content.read_answer_v1,
    read_pieces=_cohere_content.read_pieces_v1,
)
_GENERATE = replace(
    _CHAT_V1,
    qualname="BaseCohere.generate",
    operation="text_completion",
    read_response=_cohere.read_generation,
    read_prompt=_text_completions.read_prompt,
    read_answer=_cohere_content.read_generations,
    read_pieces=_cohere_content.read_generated,
)
_CHAT = replace(
    _CHAT_V1,
    module=_V2,
    qualname="V2Client.chat",
    read_chunk=_cohere.read_event,
    read_prompt=_chat_content.read_prompt,
    read_answer=_cohere_content.read_answer,
    read_pieces=_cohere_content.read_pieces,
    optional=True,
)
_EMBED = Target(
    module=_CLIENT,
    qualname="Client.embed",
    operation="embeddings",
    operation_type="embedding",
    read_request=_cohere.read_embed_request,
    read_response=_cohere.read_answer,
)
# The conventions have no names for these two; an order by relevance is what retrieval ends with.
_RERANK = Target(
    module=_V1,
    qualname="BaseCohere.rerank",
    operation="rerank",
    operation_type="retrieval",
    read_request=_cohere.read_request,
    read_response=_cohere.read_answer,
    read_prompt=_cohere_content.read_query,
)
_CLASSIFY = replace(_RERANK, qualname="BaseCohere.classify", operation="classify", operation_type="llm_request")


def _as_v2(target: Target) -> Target:
    """The same of the newer API, which older releases of the SDK lack."""
    name = target.qualname.rpartition(".")[2]
    return replace(target, module=_V2, qualname=f"V2Client.{name}", read_request=_cohere.read_request, optional=True)


def _as_stream(target: Target) -> Target:
    """A function that returns a generator, also in the asynchronous client."""
    return replace(target, qualname=f"{target.qualname}_stream", read_request=streamed(target.read_request))


_STREAMED = tuple(_as_stream(target) for target in (_CHAT_V1, _GENERATE, _CHAT))
_ANSWERED = (_CHAT_V1, _GENERATE, _CLASSIFY, _RERANK, _EMBED, _CHAT, _as_v2(_EMBED), _as_v2(_RERANK))
# Sends one batch after the other, when the application asks for more; has no asynchronous twin.
_EMBED_STREAM = _as_stream(replace(_EMBED, read_request=_cohere.read_request, optional=True))

PROVIDER = Provider(
    name="cohere",
    targets=(
        *(each for target in _ANSWERED for each in (target, target.as_async())),
        *(each for target in _STREAMED for each in (target, replace(target.as_async(), is_async=False))),
        _EMBED_STREAM,
    ),
    parts=(Part(_V1, "BaseCohere.embed"), Part(_V1, "AsyncBaseCohere.embed", is_async=True)),
    pool="_executor",
    retry_delays=(
        RetryDelay("cohere.core.http_client", "_retry_timeout"),
        RetryDelay("cohere.core.http_client", "_retry_timeout_from_retries"),
    ),
    read_client=_cohere.read_client,
    read_server=_cohere.read_server,
)
