"""The calls of OpenAI's API as they are read wherever its format is spoken: by its own SDK, and by others."""

from __future__ import annotations

from midspan_instrumentation.provider import Target, replace
from midspan_instrumentation.providers import (
    _chat_completions,
    _chat_content,
    _embeddings,
    _responses,
    _responses_content,
    _text_completions,
)


def chat(module: str, qualname: str) -> Target:
    """A callable that answers messages."""
    return Target(
        module=module,
        qualname=qualname,
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


def text_completion(module: str, qualname: str) -> Target:
    """A callable that goes on with a text."""
    return replace(
        chat(module, qualname),
        operation="text_completion",
        read_chunk=_text_completions.read_chunk,
        read_prompt=_text_completions.read_prompt,
        read_answer=_text_completions.read_answer,
        read_pieces=_text_completions.read_answer,
    )


def responses(module: str, qualname: str) -> Target:
    """A callable of the newer API, which not every release has."""
    return Target(
        module=module,
        qualname=qualname,
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


def embeddings(module: str, qualname: str) -> Target:
    """A callable that embeds texts."""
    return Target(
        module=module,
        qualname=qualname,
        operation="embeddings",
        operation_type="embedding",
        read_request=_embeddings.read_request,
        read_response=_embeddings.read_response,
    )
