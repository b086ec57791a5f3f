"""The seam for a provider: a table of targets and small readers. Nothing here knows an SDK.

A provider module imports this one, and beside it only readers that it shares with others. It holds a `Provider`, and a
reader for each of the four things that midspan wants to know: what was asked (`Request`), where it goes (`Server`),
what a response says, and what one chunk of a stream says (both a `Reading`). Three more read the content, which is done
for applications that have asked for it alone: the `Prompt`, and the `Piece`s of a whole answer and of a chunk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, NamedTuple, Self

from midspan.tracking.instrumenting import Piece, Prompt

__all__ = [
    "ChunkReader",
    "Failure",
    "Piece",
    "PieceReader",
    "Prompt",
    "Provider",
    "Reading",
    "Request",
    "RetryDelay",
    "Server",
    "StreamClass",
    "Target",
    "Usage",
    "no_pieces",
    "no_prompt",
    "no_tokens",
]


class Usage(NamedTuple):
    """Tokens as the server reported them. `None` is "not told"; `output` includes `reasoning`."""

    input: int | None = None
    output: int | None = None
    reasoning: int | None = None
    cached: int | None = None


class Request(NamedTuple):
    """What a call asks for: never its content.

    `choices` is how many answers were asked for, so that a stream is over at the last one's end
    mark. `timeout` is in seconds. `attributes` are span attributes named by OpenTelemetry.
    """

    model: str | None = None
    stream: bool = False
    max_tokens: int | None = None
    timeout: float | None = None
    choices: int = 1
    attributes: Mapping[str, object] = MappingProxyType({})


class Server(NamedTuple):
    """Where a client sends its requests, and how long (in seconds) it waits for an answer.

    `provider` replaces the provider's own name for a service that speaks its protocol.
    """

    address: str | None = None
    port: int | None = None
    timeout: float | None = None
    provider: str | None = None


class Failure(NamedTuple):
    """An error that the server reported inside a stream: a low-cardinality type and a message."""

    type: str
    message: str | None = None


class Reading(NamedTuple):
    """What a reader found in a response, or in a chunk that says more than "one more token".

    `tokens` are output tokens to add to the estimate. Each of `finish_reasons` is the end mark of
    one choice. `failure` ends the operation as failed.
    """

    tokens: int = 0
    id: str | None = None
    model: str | None = None
    finish_reasons: tuple[str, ...] = ()
    usage: Usage | None = None
    failure: Failure | None = None


ChunkReader = Callable[..., int | Reading]
"""Reads one chunk: the number of output tokens in it, or a `Reading` when there is more to say.

It runs for every chunk, so it returns an int wherever it can."""


PieceReader = Callable[[Any], Iterable[Piece]]
"""Reads the content of a whole answer, or of one chunk: only where the application wants it kept."""


def no_tokens(_chunk: object) -> int:
    """The reader for streams of which nothing but the number of chunks is known."""
    return 0


def no_prompt(*_args: object, **_kwargs: object) -> Prompt:
    """The reader for calls of which no content is kept."""
    return Prompt()


def no_pieces(_answer: object) -> Iterable[Piece]:
    """The reader for answers of which no content is kept."""
    return ()


@dataclass(frozen=True, eq=False)
class Target:
    """One callable of an SDK whose calls are operations.

    `qualname` is looked up in `module`, and in `older_modules` for SDK releases that kept it elsewhere; `optional` is
    one that not every supported release has. `read_request` and `read_prompt` have the SDK's own parameter names and
    are called with the call's own arguments; `read_answer` and `read_pieces` read the content of a whole answer and of
    a chunk. `is_async` is declared, because decorated SDK methods hide that they are coroutine functions. `end_mark`
    are the bytes by which the body tells that it is over, for applications that read the body themselves.
    """

    module: str
    qualname: str
    operation: str
    read_request: Callable[..., Request]
    read_response: Callable[[object], Reading]
    read_chunk: ChunkReader = no_tokens
    read_prompt: Callable[..., Prompt] = no_prompt
    read_answer: PieceReader = no_pieces
    read_pieces: PieceReader = no_pieces
    operation_type: str = "llm_request"
    is_async: bool = False
    end_mark: bytes | None = None
    older_modules: tuple[str, ...] = ()
    optional: bool = False

    def as_async(self) -> Self:
        """The same of the class's async twin, as SDKs name it: `AsyncCompletions.create` of `Completions.create`."""
        return replace(self, qualname=f"Async{self.qualname}", is_async=True)


@dataclass(frozen=True, eq=False)
class StreamClass:
    """A class of streams of an SDK, which keeps its response and iterator in private attributes."""

    module: str
    qualname: str
    is_async: bool = False
    iterator: str = "_iterator"
    response: str = "response"


@dataclass(frozen=True, eq=False)
class RetryDelay:
    """The method by which an SDK says how many seconds it sleeps before its next attempt; called for nothing else."""

    module: str
    qualname: str


def _unknown_server(_instance: object) -> Server:
    return Server()


def _no_client(_instance: object) -> object | None:
    return None


@dataclass(frozen=True, eq=False)
class Provider:
    """One LLM SDK: its targets, its stream classes, how it waits, and how to look at the instance called.

    `read_client` returns the SDK client behind the instance that a target was called on (what
    `midspan.disable(client)` is given), `read_server` says where it sends its requests.
    """

    name: str
    targets: tuple[Target, ...]
    streams: tuple[StreamClass, ...] = ()
    retry_delays: tuple[RetryDelay, ...] = ()
    read_client: Callable[[object], object | None] = _no_client
    read_server: Callable[[object], Server] = _unknown_server
