"""Google's Gen AI SDK: Gemini's contents and interactions, streamed or not, embeddings and images, on Gemini API and
Vertex AI.

Each request to a model is one operation. Chats, automatic function calling and continuations send several, one after
another, between which functions of the application run: so what is wrapped is what sends one of them.
"""

from __future__ import annotations

from typing import Any

from midspan_instrumentation.provider import Provider, Reading, Server, StreamClass, Target, replace
from midspan_instrumentation.providers import _gemini, _gemini_content, _gemini_interactions
from midspan_instrumentation.providers._addresses import server_at
from midspan_instrumentation.providers._fields import streamed


def _read_images(_answer: object) -> Reading:
    """Images say nothing but themselves."""
    return Reading()


def _read_client(instance: object) -> Any:
    """What the parts of a client send with: it belongs to no other one. Interactions have a client of their own."""
    return getattr(instance, "_api_client", None) or (instance if hasattr(instance, "sdk_configuration") else None)


def _read_server(instance: object) -> Server:
    client = getattr(instance, "_api_client", None)
    if client is None:
        return _gemini_interactions.read_server(instance)
    options = getattr(client, "_http_options", None)
    vertex = "gcp.vertex_ai" if getattr(client, "vertexai", False) else None
    return server_at(getattr(options, "base_url", None) or "", _gemini.timeout_of(options), vertex)


_GENERATE = Target(
    module="google.genai.models",
    qualname="Models._generate_content",
    operation="generate_content",
    read_request=_gemini.read_request,
    read_response=_gemini.read_response,
    read_prompt=_gemini_content.read_prompt,
    read_answer=_gemini_content.read_pieces,
)
_STREAM = replace(
    _GENERATE,
    qualname="Models._generate_content_stream",
    read_request=streamed(_gemini.read_request),
    read_chunk=_gemini.read_chunk,
    read_pieces=_gemini_content.read_pieces,
)
_EMBED = Target(
    module="google.genai.models",
    qualname="Models.embed_content",
    operation="embeddings",
    operation_type="embedding",
    read_request=_gemini.read_request,
    read_response=_gemini.read_embeddings,
)
_IMAGES = replace(
    _EMBED,
    qualname="Models._generate_images",
    operation="generate_images",
    operation_type="image",
    read_response=_read_images,
)
_INTERACTIONS = Target(
    module="google.genai._gaos.google_genai",
    # Which sends one request, and raises what the application sees.
    qualname="GeminiNextGenInteractions._send_create_once",
    operation="generate_content",
    read_request=_gemini_interactions.read_request,
    read_response=_gemini_interactions.read_response,
    read_chunk=_gemini_interactions.read_event,
    read_prompt=_gemini_interactions.read_prompt,
    read_answer=_gemini_interactions.read_answer,
    read_pieces=_gemini_interactions.read_pieces,
    end_mark=b"data: [DONE]",
    optional=True,
)
_STREAM_MODULE = "google.genai._gaos.utils.eventstreaming"
_STREAMS = (
    StreamClass(_STREAM_MODULE, "Stream", iterator="generator"),
    StreamClass(_STREAM_MODULE, "AsyncStream", is_async=True, iterator="generator"),
)

PROVIDER = Provider(
    name=_gemini_interactions.NAME,
    targets=tuple(
        each for target in (_GENERATE, _STREAM, _EMBED, _IMAGES, _INTERACTIONS) for each in (target, target.as_async())
    ),
    streams=_STREAMS,
    read_client=_read_client,
    read_server=_read_server,
)
