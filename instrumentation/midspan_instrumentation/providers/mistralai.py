"""Mistral: chat, fill-in-the-middle, agents and conversations, embeddings, recognition of documents and of speech."""

from __future__ import annotations

from collections.abc import Iterable

from midspan_instrumentation.provider import Provider, RetryDelay, StreamClass, Target, replace
from midspan_instrumentation.providers import (
    _chat_content,
    _mistral,
    _mistral_content,
    _mistral_conversations,
    _mistral_documents,
    _text_completions,
)
from midspan_instrumentation.providers._fields import streamed

_CLIENT = "mistralai.client"

_CHAT = Target(
    module=f"{_CLIENT}.chat",
    qualname="Chat.complete",
    operation="chat",
    read_request=_mistral.read_request,
    read_response=_mistral.read_answer,
    read_chunk=_mistral.read_event,
    read_prompt=_chat_content.read_prompt,
    read_answer=_mistral_content.read_answer,
    read_pieces=_mistral_content.read_pieces,
    end_mark=b"data: [DONE]",
)
_FIM = replace(
    _CHAT,
    module=f"{_CLIENT}.fim",
    qualname="Fim.complete",
    operation="text_completion",
    read_prompt=_text_completions.read_prompt,
)
# As the SDK's own spans name them.
_AGENTS = replace(
    _CHAT,
    module=f"{_CLIENT}.agents",
    qualname="Agents.complete",
    operation="invoke_agent",
    operation_type="agent",
)
_CONVERSATIONS = Target(
    module=f"{_CLIENT}.conversations",
    qualname="Conversations.start",
    operation="invoke_agent",
    operation_type="agent",
    read_request=_mistral_conversations.read_request,
    read_response=_mistral_conversations.read_response,
    read_chunk=_mistral_conversations.read_event,
    read_prompt=_mistral_conversations.read_prompt,
    read_answer=_mistral_conversations.read_answer,
    read_pieces=_mistral_conversations.read_pieces,
    end_mark=b"event: conversation.response.done",
)
_EMBEDDINGS = Target(
    module=f"{_CLIENT}.embeddings",
    qualname="Embeddings.create",
    operation="embeddings",
    operation_type="embedding",
    read_request=_mistral.read_embeddings_request,
    read_response=_mistral.read_embeddings,
)
_OCR = Target(
    module=f"{_CLIENT}.ocr",
    qualname="Ocr.process",
    operation="generate_content",
    read_request=_mistral.read_request,
    read_response=_mistral_documents.read_pages,
    read_answer=_mistral_documents.read_pages_content,
)
_TRANSCRIPTIONS = Target(
    module=f"{_CLIENT}.transcriptions",
    qualname="Transcriptions.complete",
    operation="transcription",
    operation_type="audio",
    read_request=_mistral.read_request,
    read_response=_mistral_documents.read_transcript,
    read_chunk=_mistral_documents.read_event,
    read_answer=_mistral_documents.read_transcript_content,
    read_pieces=_mistral_documents.read_transcript_content,
)


def _streamed(target: Target, name: str) -> Target:
    owner = target.qualname.partition(".")[0]
    return replace(target, qualname=f"{owner}.{name}", read_request=streamed(target.read_request))


def _conversations() -> Iterable[Target]:
    for name in ("start", "append", "restart"):
        yield replace(_CONVERSATIONS, qualname=f"Conversations.{name}")
        yield _streamed(_CONVERSATIONS, f"{name}_stream")


def _both(target: Target) -> tuple[Target, Target]:
    """The method, and its asynchronous twin."""
    return target, replace(target, qualname=f"{target.qualname}_async", is_async=True)


_COMPLETED = (_CHAT, _FIM, _AGENTS, _TRANSCRIPTIONS)
_TARGETS = (
    *_COMPLETED,
    *(_streamed(target, "stream") for target in _COMPLETED),
    *_conversations(),
    _EMBEDDINGS,
    _OCR,
)

PROVIDER = Provider(
    name="mistral_ai",
    targets=tuple(each for target in _TARGETS for each in _both(target)),
    streams=(
        StreamClass(f"{_CLIENT}.utils.eventstreaming", "EventStream", iterator="generator"),
        StreamClass(f"{_CLIENT}.utils.eventstreaming", "EventStreamAsync", is_async=True, iterator="generator"),
    ),
    retry_delays=(RetryDelay(f"{_CLIENT}.utils.retries", "_get_sleep_interval"),),
    read_client=_mistral.read_client,
    read_server=_mistral.read_server,
)
