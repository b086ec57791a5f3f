"""OpenAI: completions, responses, decisions, embeddings, images, sound, moderations, also of services that speak its
protocol."""

from __future__ import annotations

from functools import partial

from midspan_instrumentation.provider import Provider, Target, no_pieces, no_tokens, replace
from midspan_instrumentation.providers import _audio, _images, _moderations
from midspan_instrumentation.providers._openai_targets import chat, embeddings, responses, text_completion
from midspan_instrumentation.providers._stainless import read_client, retry_delays, server_behind, stream_classes


def _name_of_azure(client: object) -> str | None:
    is_azure = any(kind.__module__ == "openai.lib.azure" for kind in type(client).__mro__)
    return "azure.ai.openai" if is_azure else None


_CHAT = replace(
    chat("openai.resources.chat.completions.completions", "Completions.create"),
    # Before 1.60, and the home of `parse` before 1.92.
    older_modules=("openai.resources.chat.completions", "openai.resources.beta.chat.completions"),
)
_COMPLETIONS = text_completion("openai.resources.completions", "Completions.create")
_RESPONSES = responses("openai.resources.responses.responses", "Responses.create")
# The conventions have no name for it: what was said is made shorter.
_COMPACT = replace(
    _RESPONSES, qualname="Responses.compact", operation="compact", read_chunk=no_tokens, read_answer=no_pieces
)
_DECISIONS = replace(_COMPACT, module="openai.resources.decisions", qualname="Decisions.create", operation="classify")
_EMBEDDINGS = embeddings("openai.resources.embeddings", "Embeddings.create")

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
    *(_CHAT, _COMPLETIONS, _RESPONSES, _COMPACT, _DECISIONS, _EMBEDDINGS, _IMAGES, *_EDITED, _MODERATIONS),
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
    read_server=partial(server_behind, named=_name_of_azure),
)
