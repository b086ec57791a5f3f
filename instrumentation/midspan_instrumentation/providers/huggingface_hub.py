"""Hugging Face's `InferenceClient`: chats, text generation, and the other tasks, at any of the services it knows."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

from midspan_instrumentation.provider import Prompt, Provider, Reading, Request, Server, Target, replace
from midspan_instrumentation.providers import _chat_completions, _chat_content, _text_generation
from midspan_instrumentation.providers._addresses import server_at
from midspan_instrumentation.providers._fields import seconds, text
from midspan_instrumentation.providers._hosts import provider_at

if TYPE_CHECKING:
    from huggingface_hub import InferenceClient

NAME = "hugging_face"
_CLIENT = "huggingface_hub.inference._client"
_ASYNC_CLIENT = "huggingface_hub.inference._generated._async_client"
_SERVICES = "huggingface_hub.inference._providers"
_ROUTER = "https://router.huggingface.co"
_HOSTED = (None, "auto", "hf-inference")
"""What stands for Hugging Face itself in the place of a service."""
_OF_HUGGING_FACE = "hf_"
"""Tokens that begin with this go to its router, whichever service it asks."""


def _read_client(instance: object) -> object:
    return instance


def _read_server(instance: object) -> Server:
    client = cast("InferenceClient", instance)
    model, service, token = text(client.model), text(getattr(client, "provider", None)), text(client.token)
    is_routed = token is None or token.startswith(_OF_HUGGING_FACE)
    return _server(model, service, is_routed, seconds(client.timeout))


@lru_cache(maxsize=1_000)
def _server(model: str | None, service: str | None, is_routed: bool, timeout: float | None) -> Server:
    if model is not None and _is_url(model):
        return _server_at(model, timeout)
    own = None if service in _HOSTED else _url_of(service)
    provider = NAME if service in _HOSTED else (None if own is None else _server_at(own).provider) or service
    url = _ROUTER if is_routed else own
    found = Server(timeout=timeout) if url is None else server_at(url, timeout)
    return replace(found, provider=provider, model=model)


def _server_at(url: str, timeout: float | None = None) -> Server:
    found = server_at(url, timeout)
    return replace(found, provider=provider_at(found.address))


def _is_url(model: str) -> bool:
    return model.startswith(("http://", "https://"))


def _url_of(service: str | None) -> str | None:
    """The address of a service that is asked without the router, by the SDK's own table."""
    table: Any = getattr(sys.modules.get(_SERVICES), "PROVIDERS", {})
    urls = (text(getattr(helper, "base_url", None)) for helper in table.get(service, {}).values())
    return next(urls, None)


def _asked_at(request: Request) -> Request:
    """A call may name an address in the place of its model."""
    if request.model is None or not _is_url(request.model):
        return request
    return replace(request, model=None, server=_server_at(request.model))


def _read_chat(*args: object, **asked: object) -> Request:
    return _asked_at(_chat_completions.read_request(*args, **asked))


def _read_messages(messages: object = None, **asked: object) -> Prompt:
    return _chat_content.read_prompt(messages=messages, **asked)


def _read_generation(*args: object, **asked: object) -> Request:
    return _asked_at(_text_generation.read_request(*args, **asked))


def _read_task(*_: object, model: object = None, **_rest: object) -> Request:
    return _asked_at(Request(model=text(model)))


def _read_nothing(_result: object) -> Reading:
    """Of the answers to these tasks nothing but that they are there."""
    return Reading()


_CHAT = Target(
    module=_CLIENT,
    qualname="InferenceClient.chat_completion",
    operation="chat",
    read_request=_read_chat,
    read_response=_chat_completions.read_completion,
    read_chunk=_chat_completions.read_chunk,
    read_processed=_chat_completions.read_processed,
    read_prompt=_read_messages,
    read_answer=_chat_content.read_answer,
    read_pieces=_chat_content.read_pieces,
    end_mark=b"data: [DONE]",
)
_GENERATION = Target(
    module=_CLIENT,
    qualname="InferenceClient.text_generation",
    operation="text_completion",
    read_request=_read_generation,
    read_response=_text_generation.read_response,
    read_chunk=_text_generation.read_chunk,
    read_prompt=_text_generation.read_prompt,
    read_answer=_text_generation.read_answer,
    read_pieces=_text_generation.read_pieces,
)


def _task(method: str, operation: str, operation_type: str) -> Target:
    """A task of whose answer nothing is read."""
    return Target(
        module=_CLIENT,
        qualname=f"InferenceClient.{method}",
        operation=operation,
        operation_type=operation_type,
        read_request=_read_task,
        read_response=_read_nothing,
        optional=True,
    )


_NAMED = {
    "feature_extraction": ("embeddings", "embedding"),
    "text_to_image": ("generate_images", "image"),
    "image_to_image": ("edit_images", "image"),
    "text_to_video": ("generate_videos", "video"),
    "image_to_video": ("generate_videos", "video"),
    "text_to_speech": ("speech", "audio"),
    "automatic_speech_recognition": ("transcription", "audio"),
    "translation": ("translation", "llm_request"),
}
"""Method → operation and its type, where other SDKs have the same."""
_OTHERS = {
    "audio": ("audio_to_audio", "audio_classification"),
    "image": ("image_to_text", "image_classification", "image_segmentation", "object_detection"),
    "llm_request": (
        *("summarization", "question_answering", "table_question_answering", "fill_mask"),
        *("document_question_answering", "visual_question_answering", "sentence_similarity", "text_classification"),
        *("token_classification", "zero_shot_classification", "zero_shot_image_classification"),
    ),
}
"""Type of operation → the methods whose calls are such, and named so."""


def _targets() -> Iterable[Target]:
    yield from (_CHAT, _GENERATION)
    yield from (_task(method, *named) for method, named in _NAMED.items())
    yield from (_task(method, method, kind) for kind, methods in _OTHERS.items() for method in methods)


PROVIDER = Provider(
    name=NAME,
    targets=tuple(each for target in _targets() for each in (target, replace(target.as_async(), module=_ASYNC_CLIENT))),
    read_client=_read_client,
    read_server=_read_server,
)
