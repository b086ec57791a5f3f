"""The table by which midspan sees the calls of parley: what is called, and how its words are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from midspan_instrumentation.provider import Piece, Prompt, Provider, Reading, Request, Server, Target, Usage

if TYPE_CHECKING:
    import parley


def read_request(*_: object, model: object = None, limit: object = None, live: object = False) -> Request:
    """The parameters have the SDK's own names; what is said is not read."""
    return Request(
        model=model if isinstance(model, str) else None,
        max_tokens=limit if isinstance(limit, int) else None,
        stream=live is True,
    )


def read_response(answer: Any) -> Reading:
    """A whole answer, or the first piece of a stream."""
    usage, ended = answer.usage, answer.ended
    return Reading(
        finish_reasons=(ended,) if ended else (),
        usage=None if usage is None else Usage(input=usage["heard"], output=usage["said"]),
    )


def read_piece(piece: parley.Piece) -> int | Reading:
    """Runs for every piece, so it returns a number wherever it can."""
    return 1 if piece.ended is None else read_response(piece)


def read_prompt(words: str, **_: object) -> Prompt:
    """Only asked for where the application wants content kept."""
    return Prompt(messages=[{"role": "user", "parts": [{"type": "text", "content": words}]}])


def read_text(answer: Any) -> list[Piece]:
    """The same for what was answered."""
    return [Piece(answer.text)] if answer.text else []


def read_server(client: object) -> Server:
    """Where it goes, and how long the client waits."""
    known = cast("parley.Client", client)
    url = urlsplit(known.url)
    return Server(address=url.hostname, port=url.port, timeout=known.timeout)


PROVIDER = Provider(
    name="parley",
    targets=(
        Target(
            module="parley",
            qualname="Client.say",
            operation="chat",
            read_request=read_request,
            read_response=read_response,
            read_chunk=read_piece,
            read_prompt=read_prompt,
            read_answer=read_text,
            read_pieces=read_text,
        ),
    ),
    read_client=lambda client: client,
    read_server=read_server,
)
