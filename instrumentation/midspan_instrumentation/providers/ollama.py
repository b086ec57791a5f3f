"""Ollama: chats, generations and embeddings of its own API, at a server of one's own or at the hosted one.

The functions of the package (`ollama.chat`) are methods that were bound to a client when it was imported: wrapping the
class does not reach them, so each is a target of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from midspan_instrumentation.provider import Provider, Reading, Request, Server, Target, Usage, replace
from midspan_instrumentation.providers import _ollama_content
from midspan_instrumentation.providers._fields import (
    Readers,
    field,
    fields_of,
    given,
    given_of,
    number,
    text,
    texts,
    whole,
)
from midspan_instrumentation.providers._stainless import server_behind

if TYPE_CHECKING:
    from ollama import ChatResponse, GenerateResponse

_OPTIONS: Readers = {
    "temperature": ("gen_ai.request.temperature", number),
    "top_p": ("gen_ai.request.top_p", number),
    "top_k": ("gen_ai.request.top_k", number),
    "frequency_penalty": ("gen_ai.request.frequency_penalty", number),
    "presence_penalty": ("gen_ai.request.presence_penalty", number),
    "seed": ("gen_ai.request.seed", whole),
    "stop": ("gen_ai.request.stop_sequences", texts),
}


def _read_request(
    model: object = None,
    *_: object,
    stream: object = None,
    think: object = None,
    format: object = None,  # noqa: A002 - the SDK's word
    options: object = None,
    dimensions: object = None,
    **_rest: object,
) -> Request:
    """`chat`, `generate` and both kinds of embeddings. A negative limit of tokens is none."""
    asked = fields_of(options)
    limit = whole(asked.get("num_predict")) or 0
    attributes: dict[str, object] = {
        "gen_ai.request.reasoning.level": text(think),
        "gen_ai.output.type": "json" if format else None,
        "gen_ai.embeddings.dimension.count": whole(dimensions),
    }
    return Request(
        model=text(model),
        stream=stream is True,
        max_tokens=limit if limit > 0 else None,
        attributes={**given_of(asked, _OPTIONS), **given(attributes)},
    )


def _read_response(answer: object) -> Reading:
    """A whole answer, or the last chunk of a stream; servers of before 2024 give no reason."""
    reasons = (text(field(answer, "done_reason")) or "stop",) if field(answer, "done") else ()
    usage = Usage(input=whole(field(answer, "prompt_eval_count")), output=whole(field(answer, "eval_count")))
    told = usage if usage.input or usage.output else None
    return Reading(model=text(field(answer, "model")), finish_reasons=reasons, usage=told)


def _read_chat_chunk(chunk: ChatResponse) -> int | Reading:
    """One token, of the answer or of the thinking before it; the last chunk has none, and says the rest."""
    try:
        # Nearly every chunk ends here. A look at a namespace is cheaper than an attribute.
        told, written = chunk.__dict__, chunk.message.__dict__
        if not told["done"] and (written["content"] or written["thinking"]):
            return 1
    except (AttributeError, KeyError):
        pass  # a mapping, before 0.4, or an odd one
    return _read_whole_chunk(chunk, field(chunk, "message"))


def _read_text_chunk(chunk: GenerateResponse) -> int | Reading:
    """The same for `generate`."""
    try:
        told = chunk.__dict__
        if not told["done"] and (told["response"] or told["thinking"]):
            return 1
    except (AttributeError, KeyError):
        pass  # a mapping, before 0.4, or an odd one
    return _read_whole_chunk(chunk, chunk)


def _read_whole_chunk(chunk: object, written: object) -> int | Reading:
    tokens = any(field(written, name) for name in ("content", "response", "thinking", "tool_calls"))
    return replace(_read_response(chunk), tokens=int(tokens)) if field(chunk, "done") else int(tokens)


def _read_server(instance: object) -> Server:
    return server_behind(instance, _no_name)


def _no_name(_client: object) -> None:
    """Who runs the server is told by nothing."""


def _read_client(instance: object) -> object:
    return instance


_CHAT = Target(
    module="ollama._client",
    qualname="Client.chat",
    operation="chat",
    read_request=_read_request,
    read_response=_read_response,
    read_chunk=_read_chat_chunk,
    read_prompt=_ollama_content.read_chat_prompt,
    read_answer=_ollama_content.read_chat_pieces,
    read_pieces=_ollama_content.read_chat_pieces,
)
_GENERATE = replace(
    _CHAT,
    qualname="Client.generate",
    operation="text_completion",
    read_chunk=_read_text_chunk,
    read_prompt=_ollama_content.read_text_prompt,
    read_answer=_ollama_content.read_text_pieces,
    read_pieces=_ollama_content.read_text_pieces,
)
_EMBEDDINGS = Target(
    module="ollama._client",
    qualname="Client.embeddings",
    operation="embeddings",
    operation_type="embedding",
    read_request=_read_request,
    read_response=_read_response,
)
# Since 0.3.
_EMBED = replace(_EMBEDDINGS, qualname="Client.embed", optional=True)

_OF_CLIENT = (_CHAT, _GENERATE, _EMBED, _EMBEDDINGS)
_OF_PACKAGE = tuple(
    replace(target, module="ollama", qualname=target.qualname.removeprefix("Client."), optional=True)
    for target in _OF_CLIENT
)

PROVIDER = Provider(
    name="ollama",
    targets=(*(each for target in _OF_CLIENT for each in (target, target.as_async())), *_OF_PACKAGE),
    read_client=_read_client,
    read_server=_read_server,
)
