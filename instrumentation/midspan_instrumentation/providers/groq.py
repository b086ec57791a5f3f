"""Groq: completions, embeddings and sound, in OpenAI's format."""

from __future__ import annotations

from typing import Any

from midspan_instrumentation.provider import Provider, Reading, Server, replace
from midspan_instrumentation.providers import _audio, _chat_completions
from midspan_instrumentation.providers._fields import field
from midspan_instrumentation.providers._openai_targets import chat, embeddings
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


_CHAT = replace(chat("groq.resources.chat.completions", "Completions.create"), read_chunk=_read_chunk)
_EMBEDDINGS = replace(embeddings("groq.resources.embeddings", "Embeddings.create"), optional=True)

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
