"""Groq: completions, embeddings and sound, in OpenAI's format."""

from __future__ import annotations

from typing import Any

from midspan_instrumentation.provider import Provider, Reading, Server, Target, replace
from midspan_instrumentation.providers import _audio, _chat_completions, _chat_content, _embeddings
from midspan_instrumentation.providers._fields import field
from midspan_instrumentation.providers._stainless import read_client, retry_delays, server_behind, stream_classes


def _read_server(instance: object) -> Server:
    return server_behind(instance, lambda _: None)


def _read_chunk(chunk: Any) -> int | Reading:
    """Usage comes in a field of Groq's own, unasked, with the last chunk."""
    found = _chat_completions.read_chunk(chunk)
    if isinstance(found, int) or found.usage is not None:
        return found
    usage = field(getattr(chunk, "x_groq", None), "usage")
    return replace(found, usage=_chat_completions.read_usage(usage, "prompt", "completion"))


_CHAT = Target(
    module="groq.resources.chat.completions",
    qualname="Completions.create",
    operation="chat",
    read_request=_chat_completions.read_request,
    read_response=_chat_completions.read_completion,
    read_chunk=_read_chunk,
    read_prompt=_chat_content.read_prompt,
    read_answer=_chat_content.read_answer,
    read_pieces=_chat_content.read_pieces,
    end_mark=b"data: [DONE]",
)
_EMBEDDINGS = Target(
    module="groq.resources.embeddings",
    qualname="Embeddings.create",
    operation="embeddings",
    operation_type="embedding",
    read_request=_embeddings.read_request,
    read_response=_embeddings.read_response,
    optional=True,
)

PROVIDER = Provider(
    name="groq",
    targets=tuple(
        each for target in (_CHAT, _EMBEDDINGS, *_audio.targets("groq")) for each in (target, target.as_async())
    ),
    streams=stream_classes("groq"),
    retry_delays=retry_delays("groq"),
    read_client=read_client,
    read_server=_read_server,
)
