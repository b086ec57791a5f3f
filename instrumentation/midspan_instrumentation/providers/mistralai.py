"""Mistral: chat, responses, fill-in-the-middle, agents and conversations, embeddings, documents, sound, moderations.

Also by the clients for Azure and Google's cloud, which are packages of their own in the same distribution.
"""

from __future__ import annotations

from collections.abc import Iterable

from midspan_instrumentation.provider import Provider, RetryDelay, StreamClass, Target, replace
from midspan_instrumentation.providers import (
    _audio,
    _chat_content,
    _mistral,
    _mistral_content,
    _mistral_conversations,
    _mistral_documents,
    _mistral_responses,
    _moderations,
    _responses_content,
    _text_completions,
)
from midspan_instrumentation.providers._fields import streamed

_CLIENT, _AZURE, _GCP = "mistralai.client", "mistralai.azure.client", "mistralai.gcp.client"

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
_RESPONSES = Target(
    module=f"{_CLIENT}.responses",
    qualname="Responses.create",
    operation="chat",
    read_request=_mistral_responses.read_request,
    read_response=_mistral_responses.read_response,
    read_chunk=_mistral_responses.read_event,
    read_prompt=_responses_content.read_prompt,
    read_answer=_responses_content.read_answer,
    read_pieces=_mistral_responses.read_pieces,
    end_mark=b"event: response.completed",
    optional=True,
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
_SPEECH = Target(
    module=f"{_CLIENT}.speech",
    qualname="Speech.complete",
    operation="speech",
    operation_type="audio",
    read_request=_mistral.read_request,
    read_response=_mistral_documents.read_transcript,
    read_chunk=_mistral_documents.read_spoken,
    read_prompt=_audio.read_prompt,
    end_mark=b"event: speech.audio.done",
)
_MODERATIONS = Target(
    module=f"{_CLIENT}.classifiers",
    qualname="Classifiers.moderate",
    operation="moderation",
    read_request=_mistral.read_request,
    read_response=_moderations.read_response,
    read_prompt=_mistral_documents.read_judged,
)
_JUDGED = tuple(
    replace(_MODERATIONS, qualname=f"Classifiers.{name}", operation=operation)
    for name, operation in (
        *(("moderate", "moderation"), ("moderate_chat", "moderation")),
        *(("classify", "classify"), ("classify_chat", "classify")),
    )
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
    *(_RESPONSES, _EMBEDDINGS, _OCR, _SPEECH),
    *_JUDGED,
)


def _in_cloud(package: str, *targets: Target) -> Iterable[Target]:
    """The same of a cloud's package, which has no other ones."""
    for target in targets:
        yield replace(target, module=target.module.replace(_CLIENT, package), optional=True)


def _stream_classes(package: str) -> Iterable[StreamClass]:
    module = f"{package}.utils.eventstreaming"
    yield StreamClass(module, "EventStream", iterator="generator")
    yield StreamClass(module, "EventStreamAsync", is_async=True, iterator="generator")


_IN_CLOUDS = (
    *_in_cloud(_AZURE, _CHAT, _streamed(_CHAT, "stream"), _OCR),
    *_in_cloud(_GCP, _CHAT, _streamed(_CHAT, "stream"), _FIM, _streamed(_FIM, "stream")),
)
_PACKAGES = (_CLIENT, _AZURE, _GCP)

PROVIDER = Provider(
    name="mistral_ai",
    targets=tuple(each for target in (*_TARGETS, *_IN_CLOUDS) for each in _both(target)),
    streams=tuple(each for package in _PACKAGES for each in _stream_classes(package)),
    retry_delays=tuple(RetryDelay(f"{package}.utils.retries", "_get_sleep_interval") for package in _PACKAGES),
    read_client=_mistral.read_client,
    read_server=_mistral.read_server,
)
