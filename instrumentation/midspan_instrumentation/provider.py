"""The seam for a provider: a table of targets and small readers. Nothing here knows an SDK.

A provider module imports only this one. It holds a `Provider`, and a reader for each of the four
things that midspan wants to know: what was asked (`Request`), where it goes (`Server`), what a
response says, and what one chunk of a stream says (both a `Reading`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple


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


def no_tokens(_chunk: object) -> int:
    """The reader for streams of which nothing but the number of chunks is known."""
    return 0


@dataclass(frozen=True, slots=True)
class Target:
    """One callable of an SDK whose calls are operations.

    `qualname` is looked up in `module`, and in `older_modules` for SDK releases that kept it elsewhere; `optional` is
    one that not every supported release has. `read_request` has the SDK's own parameter names and is called with the
    call's own arguments. `is_async` is declared, because decorated SDK methods hide that they are coroutine functions.
    `end_mark` are the bytes by which the body tells that it is over, for applications that read the body themselves.
    """

    module: str
    qualname: str
    operation: str
    read_request: Callable[..., Request]
    read_response: Callable[[object], Reading]
    read_chunk: ChunkReader = no_tokens
    operation_type: str = "llm_request"
    is_async: bool = False
    end_mark: bytes | None = None
    older_modules: tuple[str, ...] = ()
    optional: bool = False


@dataclass(frozen=True, slots=True)
class StreamClass:
    """A class of streams of an SDK, which keeps its response and iterator in private attributes."""

    module: str
    qualname: str
    is_async: bool = False
    iterator: str = "_iterator"
    response: str = "response"


def _unknown_server(_instance: object) -> Server:
    return Server()


def _no_client(_instance: object) -> object | None:
    return None


@dataclass(frozen=True, slots=True)
class Provider:
    """One LLM SDK: its targets, its stream classes, and how to look at the instance called.

    `read_client` returns the SDK client behind the instance that a target was called on (what
    `midspan.disable(client)` is given), `read_server` says where it sends its requests.
    """

    name: str
    targets: tuple[Target, ...]
    streams: tuple[StreamClass, ...] = ()
    read_client: Callable[[object], object | None] = _no_client
    read_server: Callable[[object], Server] = _unknown_server
