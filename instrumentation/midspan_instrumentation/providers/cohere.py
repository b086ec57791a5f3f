"""Cohere: chat, text, embeddings, reranking, classification, documents and speech, of both versions of its API, also
through AWS and Oracle's cloud.

A client asks what it gives as `with_raw_response`, which is asked by applications too: there a call is seen as well,
for them, and for clients of v1 that were made before midspan was there, which keep some methods as they were then.
"""

from __future__ import annotations

from midspan_instrumentation.provider import Part, Provider, RetryDelay, Target, replace
from midspan_instrumentation.providers import _chat_content, _cohere, _cohere_content, _text_completions
from midspan_instrumentation.providers._fields import streamed

_V1, _CLIENT, _V2 = "cohere.base_client", "cohere.client", "cohere.v2.client"
_SPEECH = "cohere.audio.transcriptions.client"
_RAW_V1 = "cohere.raw_base_client"
_RAW = {
    _V1: (_RAW_V1, "RawBaseCohere"),
    _V2: ("cohere.v2.raw_client", "RawV2Client"),
    _SPEECH: ("cohere.audio.transcriptions.raw_client", "RawTranscriptionsClient"),
}

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
)
_EMBED = Target(
    module=_CLIENT,
    qualname="Client.embed",
    operation="embeddings",
    operation_type="embedding",
    read_request=_cohere.read_embed_request,
    read_response=_cohere.read_answer,
)
_EMBED_ONCE = replace(_EMBED, module=_V2, qualname="V2Client.embed", read_request=_cohere.read_request)
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
_PARSE = Target(
    module=_V2,
    qualname="V2Client.parse",
    operation="generate_content",
    read_request=_cohere.read_request,
    read_response=_cohere.read_answer,
    read_answer=_cohere_content.read_pages,
    optional=True,
)
_TRANSCRIBE = Target(
    module=_SPEECH,
    qualname="TranscriptionsClient.create",
    operation="transcription",
    operation_type="audio",
    read_request=_cohere.read_request,
    read_response=_cohere.read_answer,
    read_answer=_cohere_content.read_transcript,
)


def _as_stream(target: Target) -> Target:
    """A function that returns a generator, also in the asynchronous client."""
    return replace(target, qualname=f"{target.qualname}_stream", read_request=streamed(target.read_request))


def _below(target: Target) -> Target:
    """The same of what a client asks."""
    module, owner = _RAW[target.module]
    return replace(target, module=module, qualname=f"{owner}.{target.qualname.rpartition('.')[2]}")


def _as_raw(target: Target) -> Target:
    """A function that returns the answer with its HTTP response."""
    return replace(
        _below(target), read_response=_cohere.held(target.read_response), read_answer=_cohere.held(target.read_answer)
    )


def _as_raw_stream(target: Target) -> Target:
    """A function that returns the manager of such a one, and the answer is an iterator."""
    return replace(_below(target), iterator="_data")


_STREAMED = tuple(_as_stream(target) for target in (_CHAT_V1, _GENERATE, _CHAT))
_ONCE = (
    *(_CHAT_V1, _GENERATE, _CLASSIFY, _RERANK),
    *(_CHAT, _EMBED_ONCE, replace(_RERANK, module=_V2, qualname="V2Client.rerank"), _PARSE),
    _TRANSCRIBE,
)
_EMBED_ONCE_V1 = replace(_EMBED_ONCE, module=_V1)
_ANSWERED = (_EMBED, *_ONCE, *(_as_raw(target) for target in (*_ONCE, _EMBED_ONCE_V1)))
# Sends one batch after the other, when the application asks for more; has no asynchronous twin.
_EMBED_STREAM = _as_stream(replace(_EMBED, read_request=_cohere.read_embed_stream_request, optional=True))

PROVIDER = Provider(
    name="cohere",
    targets=(
        *(each for target in _ANSWERED for each in (target, target.as_async())),
        *(each for target in _STREAMED for each in (target, replace(target.as_async(), is_async=False))),
        _EMBED_STREAM,
    ),
    managed=tuple(each for target in map(_as_raw_stream, _STREAMED) for each in (target, target.as_async())),
    parts=(Part(_RAW_V1, "RawBaseCohere.embed"), Part(_RAW_V1, "AsyncRawBaseCohere.embed", is_async=True)),
    pool="_executor",
    retry_delays=(
        RetryDelay("cohere.core.http_client", "_retry_timeout"),
        RetryDelay("cohere.core.http_client", "_retry_timeout_from_retries"),
    ),
    read_client=_cohere.read_client,
    read_server=_cohere.read_server,
)
