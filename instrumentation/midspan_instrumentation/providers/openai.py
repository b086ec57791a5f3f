"""OpenAI: completions, responses, embeddings, images, sound, moderations, also of services that speak its protocol."""

from __future__ import annotations

from midspan_instrumentation.provider import Provider, Server, Target, replace
from midspan_instrumentation.providers import (
    _audio,
    _chat_completions,
    _chat_content,
    _embeddings,
    _images,
    _moderations,
    _responses,
    _responses_content,
    _text_completions,
)
from midspan_instrumentation.providers._stainless import read_client, retry_delays, server_behind, stream_classes


def _read_server(instance: object) -> Server:
    return server_behind(instance, _name_of_azure)


def _name_of_azure(client: object) -> str | None:
    is_azure = any(kind.__module__ == "openai.lib.azure" for kind in type(client).__mro__)
    return "azure.ai.openai" if is_azure else None


_CHAT = Target(
    module="openai.resources.chat.completions.completions",
    # Before 1.60, and the home of `parse` before 1.92.
    older_modules=("openai.resources.chat.completions", "openai.resources.beta.chat.completions"),
    qualname="Completions.create",
    operation="chat",
    read_request=_chat_completions.read_request,
    read_response=_chat_completions.read_completion,
    read_chunk=_chat_completions.read_chunk,
    read_processed=_chat_completions.read_processed,
    read_prompt=_chat_content.read_prompt,
    read_answer=_chat_content.read_answer,
    read_pieces=_chat_content.read_pieces,
    end_mark=b"data: [DONE]",
)
_COMPLETIONS = replace(
    _CHAT,
    module="openai.resources.completions",
    older_modules=(),
    operation="text_completion",
    read_chunk=_text_completions.read_chunk,
    read_prompt=_text_completions.read_prompt,
    read_answer=_text_completions.read_answer,
    read_pieces=_text_completions.read_answer,
)
_RESPONSES = Target(
    module="openai.resources.responses.responses",
    qualname="Responses.create",
    operation="chat",
    read_request=_responses.read_request,
    read_response=_responses.read_response,
    read_chunk=_responses.read_event,
    read_prompt=_responses_content.read_prompt,
    read_answer=_responses_content.read_answer,
    read_pieces=_responses_content.read_pieces,
    end_mark=b'"type":"response.completed"',
    optional=True,
)
_EMBEDDINGS = Target(
    module="openai.resources.embeddings",
    qualname="Embeddings.create",
    operation="embeddings",
    operation_type="embedding",
    read_request=_embeddings.read_request,
    read_response=_embeddings.read_response,
)

_IMAGES = Target(
    module="openai.resources.images",
    qualname="Images.generate",
    operation="generate_images",
    operation_type="image",
    read_request=_images.read_request,
    read_response=_images.read_response,
    read_chunk=_images.read_event,
    read_prompt=_audio.read_prompt,
    end_mark=b"event: image_generation.completed",
)
_EDITED = tuple(
    replace(_IMAGES, qualname=f"Images.{name}", operation="edit_images", end_mark=b"event: image_edit.completed")
    for name in ("edit", "create_variation")
)
_MODERATIONS = Target(
    module="openai.resources.moderations",
    qualname="Moderations.create",
    operation="moderation",
    read_request=_moderations.read_request,
    read_response=_moderations.read_response,
    read_prompt=_moderations.read_prompt,
)

_CREATED = (
    *(_CHAT, _COMPLETIONS, _RESPONSES, _EMBEDDINGS, _IMAGES, *_EDITED, _MODERATIONS),
    *_audio.targets("openai"),
)
_PARSED = tuple(
    replace(target, qualname=target.qualname.replace("create", "parse"), optional=True)
    for target in (_CHAT, _RESPONSES)
)

PROVIDER = Provider(
    name="openai",
    targets=tuple(each for target in (*_CREATED, *_PARSED) for each in (target, target.as_async())),
    streams=stream_classes("openai"),
    retry_delays=retry_delays("openai"),
    read_client=read_client,
    read_server=_read_server,
)
