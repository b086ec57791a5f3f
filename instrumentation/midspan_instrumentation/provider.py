"""The seam for a provider: a table of targets and small readers. Nothing here knows an SDK.

A provider module imports this one, and beside it only readers that it shares with others. It holds a `Provider`, and a
reader for each of the four things that midspan wants to know: what was asked (`Request`), where it goes (`Server`),
what a response says, and what one chunk of a stream says (both a `Reading`). Three more read the content, which is done
for applications that have asked for it alone: the `Prompt`, and the `Piece`s of a whole answer and of a chunk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Self

from msgspec import Struct
from msgspec.structs import replace

from midspan.tracking.instrumenting import Piece, Prompt

__all__ = [
    "Body",
    "ChunkReader",
    "Dispatch",
    "Failure",
    "Layer",
    "ManagerClass",
    "Part",
    "Piece",
    "PieceReader",
    "Processed",
    "Prompt",
    "Provider",
    "Reading",
    "Request",
    "RetryDelay",
    "Runner",
    "Server",
    "StreamClass",
    "Target",
    "Usage",
    "no_pieces",
    "no_processed",
    "no_prompt",
    "no_tokens",
    "replace",
]


class Usage(Struct, frozen=True):
    """Tokens as the server reported them. `None` is "not told"; `output` includes `reasoning`."""

    input: int | None = None
    output: int | None = None
    reasoning: int | None = None
    cached: int | None = None


class Server(Struct, frozen=True):
    """Where a client sends its requests, and how long (in seconds) it waits for an answer.

    `provider` replaces the provider's own name for a service that speaks its protocol. `model` is the one that the
    client was made for, where a call names none.
    """

    address: str | None = None
    port: int | None = None
    timeout: float | None = None
    provider: str | None = None
    model: str | None = None


class Request(Struct, frozen=True):
    """What a call asks for: never its content.

    `choices` is how many answers were asked for, so that a stream is over at the last one's end
    mark. `timeout` is in seconds. `attributes` are span attributes named by OpenTelemetry.
    `server` is for an SDK of many services, which is told at each call where to send it. `parts` is how many requests
    the SDK itself makes of the call, all at once (0: it is one request, made where it is called); `steps` how many
    steps its stream will tell of (0: it tells of none).
    """

    model: str | None = None
    stream: bool = False
    max_tokens: int | None = None
    timeout: float | None = None
    choices: int = 1
    attributes: Mapping[str, object] = MappingProxyType({})
    server: Server | None = None
    parts: int = 0
    steps: int = 0


class Failure(Struct, frozen=True):
    """An error that the server reported inside a stream: a low-cardinality type and a message."""

    type: str
    message: str | None = None


class Layer(Struct, frozen=True):
    """How far one of several parts of an answer is, in bytes: a layer of a model that is fetched."""

    key: str
    completed: float = 0.0
    total: float | None = None


class Reading(Struct, frozen=True):
    """What a reader found in a response, or in a chunk that says more than "one more token".

    `tokens` are output tokens to add to the estimate. Each of `finish_reasons` is the end mark of
    one choice. `failure` ends the operation as failed. `is_last` is for a chunk after which the provider says nothing
    more: the operation is completed with it, before the application has asked for another. `step` is one of the
    request's `steps`, which has been done. `stage` is one that the
    provider names, `layer` a part of what it does. `goes_on_as` are the provider and the id of the job that goes on
    after the call.
    """

    tokens: int = 0
    id: str | None = None
    model: str | None = None
    finish_reasons: tuple[str, ...] = ()
    usage: Usage | None = None
    failure: Failure | None = None
    is_last: bool = False
    step: int | None = None
    stage: str | None = None
    layer: Layer | None = None
    goes_on_as: tuple[str, str] | None = None


class Processed(Struct, frozen=True):
    """How many of a prompt's `total` tokens the server has processed, as it says before its answer begins."""

    tokens: int
    total: int


ChunkReader = Callable[..., int | Reading]
"""Reads one chunk: the number of output tokens in it, or a `Reading` when there is more to say.

It runs for every chunk, so it returns an int wherever it can."""


PieceReader = Callable[[Any], Iterable[Piece]]
"""Reads the content of a whole answer, or of one chunk: only where the application wants it kept."""


def no_tokens(_chunk: object) -> int:
    """The reader for streams of which nothing but the number of chunks is known."""
    return 0


def no_processed(_chunk: object) -> Processed | None:
    """The reader for streams that begin with their answer."""
    return None


def no_prompt(*_args: object, **_kwargs: object) -> Prompt:
    """The reader for calls of which no content is kept."""
    return Prompt()


def no_pieces(_answer: object) -> Iterable[Piece]:
    """The reader for answers of which no content is kept."""
    return ()


class Body(Struct, frozen=True):
    """The body that an answer carries unread: how it is found in what the SDK returns, which `read_response` is given;
    and what is made of its bytes, which `read_response` and `read_answer` are given then."""

    find: Callable[[object], object | None]
    parse: Callable[[bytes], object]


class Target(Struct, frozen=True, eq=False):
    """One callable of an SDK whose calls are operations.

    - `qualname` is looked up in `module`, and in `older_modules` for SDK releases that kept it elsewhere; `optional` is
      one that not every supported release has. `is_async` is declared, because decorated SDK methods hide that they are
      coroutine functions.
    - `read_request` and `read_prompt` have the SDK's own parameter names and are called with the call's own arguments;
      `read_answer` and `read_pieces` read the content of a whole answer and of a chunk; `read_processed` reads what
      some servers send before their answer.
    - `end_mark` are the bytes by which the body tells that it is over, for applications that read the body themselves.
    - `body` is for answers whose body, of the SDK's own class, the application reads itself.
    - `iterator` is the attribute of an answer in which the application finds the iterator of its stream, where the
      answer is of no class of streams.
    """

    module: str
    qualname: str
    operation: str
    read_request: Callable[..., Request]
    read_response: Callable[[object], Reading]
    read_chunk: ChunkReader = no_tokens
    read_processed: Callable[[Any], Processed | None] = no_processed
    read_prompt: Callable[..., Prompt] = no_prompt
    read_answer: PieceReader = no_pieces
    read_pieces: PieceReader = no_pieces
    operation_type: str = "llm_request"
    is_async: bool = False
    end_mark: bytes | None = None
    older_modules: tuple[str, ...] = ()
    optional: bool = False
    body: Body | None = None
    iterator: str | None = None

    def as_async(self) -> Self:
        """The same of the class's async twin, as SDKs name it: `AsyncCompletions.create` of `Completions.create`."""
        return replace(self, qualname=f"Async{self.qualname}", is_async=True)


class Dispatch(Struct, frozen=True, eq=False):
    """A callable of an SDK that calls of every kind go through.

    Given the instance and the call's own arguments, `choose` returns the target that such a call is read by, or None
    for one that is no operation. `is_async` is for a coroutine function: its targets are awaited, whatever they say.
    """

    module: str
    qualname: str
    choose: Callable[..., Target | None]
    older_modules: tuple[str, ...] = ()
    optional: bool = False
    is_async: bool = False


class StreamClass(Struct, frozen=True, eq=False):
    """A class of streams of an SDK, which keeps its response and iterator in private attributes.

    `maker` is the method that makes the iterator, of an SDK that only does so when the first chunk is asked for.
    `asked` is an attribute that the SDK asks the response's body for at every chunk, and takes None for where there is
    none.
    """

    module: str
    qualname: str
    is_async: bool = False
    iterator: str = "_iterator"
    response: str = "response"
    maker: str | None = None
    asked: str | None = None


class ManagerClass(Struct, frozen=True, eq=False):
    """A class of context managers of an SDK, each of which sends its request when it is entered."""

    module: str
    qualname: str
    is_async: bool = False


class RetryDelay(Struct, frozen=True, eq=False):
    """The method by which an SDK says how many seconds it sleeps before its next attempt; called for nothing else."""

    module: str
    qualname: str


class Part(Struct, frozen=True, eq=False):
    """A method that an SDK itself calls once for each part of a call: each is one step of the call's progress."""

    module: str
    qualname: str
    is_async: bool = False


class Runner(Struct, frozen=True, eq=False):
    """A function of an SDK that runs its first argument, a coroutine function, in a thread of its own where it must."""

    module: str
    qualname: str


def _unknown_server(_instance: object) -> Server:
    return Server()


def _no_client(_instance: object) -> object | None:
    return None


class Provider(Struct, frozen=True, eq=False):
    """One LLM SDK: its targets, its classes of streams and of their managers, how it waits, how it divides calls, and
    how to look at the instance called.

    `managed` are targets that return one of its `managers`, or one of the standard library's, which sends the request;
    `dispatches` lead to targets that are not among these. `pool` is the attribute by which an instance has the pool of
    threads that it makes the parts of a call in. `read_client` returns the SDK client behind the instance that a target
    was called on (what `midspan.disable(client)` is given), `read_server` says where it sends its requests.
    `covers_others` is an SDK that is built on others: what they do inside of its calls is part of these, and a stream
    ends when the application sees it end.
    """

    name: str
    targets: tuple[Target, ...] = ()
    managed: tuple[Target, ...] = ()
    dispatches: tuple[Dispatch, ...] = ()
    covers_others: bool = False
    streams: tuple[StreamClass, ...] = ()
    managers: tuple[ManagerClass, ...] = ()
    retry_delays: tuple[RetryDelay, ...] = ()
    parts: tuple[Part, ...] = ()
    pool: str | None = None
    runners: tuple[Runner, ...] = ()
    read_client: Callable[[object], object | None] = _no_client
    read_server: Callable[[object], Server] = _unknown_server

    @property
    def package(self) -> str:
        """The package of the SDK: that of its first callable."""
        return self.callables[0].module.partition(".")[0]

    @property
    def callables(self) -> tuple[Target | Dispatch, ...]:
        """Everything whose calls may be operations."""
        return (*self.targets, *self.managed, *self.dispatches)
